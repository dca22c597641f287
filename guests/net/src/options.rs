//! The guest's addresses on its command line: `--ipv4=A/N --ipv4-gateway=G --ipv6=A/N --ipv6-gateway=G`, the options of
//! a `MirageOS` guest with a static address.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An address and the length of its network's prefix, bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr<A> {
    /// Address.
    pub address: A,
    /// Prefix length.
    pub prefix: u8,
}

impl Cidr<Ipv4Addr> {
    /// The address is in this network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        let common = (self.address.to_bits() ^ address.to_bits()).leading_zeros();
        common >= u32::from(self.prefix)
    }
}

/// What the command line says about the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// `--ipv4`.
    pub ipv4: Option<Cidr<Ipv4Addr>>,
    /// `--ipv4-gateway`.
    pub ipv4_gateway: Option<Ipv4Addr>,
    /// `--ipv6`.
    pub ipv6: Option<Cidr<Ipv6Addr>>,
    /// `--ipv6-gateway`.
    pub ipv6_gateway: Option<Ipv6Addr>,
}

/// An option with a value that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadOption<'a>(pub &'a str);

impl Options {
    /// Reads the options among the words of a command line; the others are the application's. The first of several
    /// counts: the runtime's come first.
    ///
    /// # Errors
    /// The word whose value cannot be used.
    pub fn parse(cmdline: &str) -> Result<Self, BadOption<'_>> {
        let mut options = Self::default();
        for word in cmdline.split_ascii_whitespace() {
            let Some((name, value)) = word.split_once('=') else { continue };
            match name {
                "--ipv4" => set(&mut options.ipv4, cidr(value, 32, is_unicast4), word)?,
                "--ipv4-gateway" => set(&mut options.ipv4_gateway, address(value, is_unicast4), word)?,
                "--ipv6" => set(&mut options.ipv6, cidr(value, 128, is_unicast6), word)?,
                "--ipv6-gateway" => set(&mut options.ipv6_gateway, address(value, is_unicast6), word)?,
                _ => {}
            }
        }
        Ok(options)
    }
}

fn set<'a, T>(option: &mut Option<T>, value: Option<T>, word: &'a str) -> Result<(), BadOption<'a>> {
    let value = value.ok_or(BadOption(word))?;
    option.get_or_insert(value);
    Ok(())
}

fn cidr<A: FromStr + Copy>(value: &str, longest: u8, usable: fn(A) -> bool) -> Option<Cidr<A>> {
    let (text, prefix) = value.split_once('/')?;
    let prefix = prefix.parse().ok().filter(|prefix| *prefix <= longest)?;
    Some(Cidr { address: address(text, usable)?, prefix })
}

fn address<A: FromStr + Copy>(value: &str, usable: fn(A) -> bool) -> Option<A> {
    value.parse().ok().filter(|address| usable(*address))
}

fn is_unicast4(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_broadcast() || address.is_multicast() || address.is_loopback())
}

fn is_unicast6(address: Ipv6Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtimes_options_are_read_among_the_applications() {
        let options = Options::parse(
            "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --ipv6=fd00::2/64 --ipv6-gateway=fe80::1 serve --port=80 \"a b\"",
        );
        let expected = Options {
            ipv4: Some(Cidr { address: Ipv4Addr::new(10, 0, 0, 2), prefix: 24 }),
            ipv4_gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
            ipv6: Some(Cidr { address: "fd00::2".parse().unwrap(), prefix: 64 }),
            ipv6_gateway: Some("fe80::1".parse().unwrap()),
        };
        assert_eq!(options, Ok(expected));
        assert_eq!(Options::parse(""), Ok(Options::default()));
    }

    #[test]
    fn the_first_of_several_counts() {
        let options = Options::parse("--ipv4=10.0.0.2/32 --ipv4=10.0.0.3/8").unwrap();
        assert_eq!(options.ipv4, Some(Cidr { address: Ipv4Addr::new(10, 0, 0, 2), prefix: 32 }));
    }

    #[test]
    fn a_value_that_is_no_address_of_a_host_is_named() {
        for word in [
            "--ipv4=",
            "--ipv4=10.0.0.2",
            "--ipv4=10.0.0.2/33",
            "--ipv4=10.0.0.2/-1",
            "--ipv4=0.0.0.0/0",
            "--ipv4=224.0.0.1/24",
            "--ipv4=255.255.255.255/32",
            "--ipv4=fd00::2/64",
            "--ipv4-gateway=10.0.0.1/24",
            "--ipv6=fd00::2/129",
            "--ipv6=ff02::1/64",
            "--ipv6=::/0",
            "--ipv6-gateway=10.0.0.1",
        ] {
            let line = std::format!("{word} serve");
            assert_eq!(Options::parse(&line), Err(BadOption(word)));
        }
    }
}
