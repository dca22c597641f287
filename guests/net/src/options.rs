//! The guest's addresses on its command line, as the runtime writes them for `MirageOS`; for other guests see
//! [`dialects`](crate::dialects).

use core::fmt;
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

/// What the command line says about the network: an address at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Address of IPv4.
    pub ipv4: Option<Cidr<Ipv4Addr>>,
    /// Gateway of IPv4.
    pub ipv4_gateway: Option<Ipv4Addr>,
    /// Address of IPv6.
    pub ipv6: Option<Cidr<Ipv6Addr>>,
    /// Gateway of IPv6.
    pub ipv6_gateway: Option<Ipv6Addr>,
}

/// Why the command line gives no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadOption<'a> {
    /// This word has a value that is none.
    Value(&'a str),
    /// There is no address; what to give.
    Missing(&'static str),
}

impl BadOption<'_> {
    /// Exit status of a guest that cannot use its command line, as `MirageOS` has it.
    pub const fn status(self) -> u8 {
        64
    }
}

impl fmt::Display for BadOption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(word) => write!(f, "{word}: not an address, or one that no host can have"),
            Self::Missing(what) => write!(f, "no address: give {what}"),
        }
    }
}

/// Takes the value of a name, if the name is one of the dialect's; `None` when the value cannot be used.
pub(crate) type Take = fn(&mut Options, name: &str, value: &str) -> Option<()>;

impl Options {
    /// Reads the options of `MirageOS` among the words of a command line: `--ipv4=A/N --ipv4-gateway=G --ipv6=A/N
    /// --ipv6-gateway=G`. The others are the application's. The first of several counts: the runtime's come first.
    ///
    /// # Errors
    /// A word whose value cannot be used, or no address.
    pub fn parse(cmdline: &str) -> Result<Self, BadOption<'_>> {
        let options = Self::read(cmdline, mirage)?;
        options.ok_or(BadOption::Missing("--ipv4=ADDRESS/PREFIX or --ipv6=ADDRESS/PREFIX"))
    }

    /// Reads the options of a dialect; `None` when there is no address.
    pub(crate) fn read(cmdline: &str, take: Take) -> Result<Option<Self>, BadOption<'_>> {
        let mut options = Self::default();
        let mut words = cmdline.split_ascii_whitespace();
        while let Some(word) = words.next() {
            // Hermit's have their values in the next word.
            let value = matches!(word, "-ip" | "-mask" | "-gateway").then(|| words.next()).flatten();
            let Some((name, value)) = value.map(|value| (word, value)).or_else(|| word.split_once('='))
            else {
                continue;
            };
            take(&mut options, name, value).ok_or(BadOption::Value(word))?;
        }
        let is_there = options.ipv4.is_some() || options.ipv6.is_some();
        Ok(is_there.then_some(options))
    }
}

fn mirage(options: &mut Options, name: &str, value: &str) -> Option<()> {
    match name {
        "--ipv4" => set(&mut options.ipv4, cidr4(value)),
        "--ipv4-gateway" => set(&mut options.ipv4_gateway, address4(value)),
        "--ipv6" => set(&mut options.ipv6, cidr6(value)),
        "--ipv6-gateway" => set(&mut options.ipv6_gateway, address6(value)),
        _ => Some(()),
    }
}

/// The first value counts, but all must be some.
pub(crate) fn set<T>(option: &mut Option<T>, value: Option<T>) -> Option<()> {
    option.get_or_insert(value?);
    Some(())
}

pub(crate) fn cidr4(value: &str) -> Option<Cidr<Ipv4Addr>> {
    cidr(value, 32, is_unicast4)
}

pub(crate) fn cidr6(value: &str) -> Option<Cidr<Ipv6Addr>> {
    cidr(value, 128, is_unicast6)
}

pub(crate) fn address4(value: &str) -> Option<Ipv4Addr> {
    address(value, is_unicast4)
}

pub(crate) fn address6(value: &str) -> Option<Ipv6Addr> {
    address(value, is_unicast6)
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
    }

    #[test]
    fn without_an_address_there_is_no_network() {
        assert!(matches!(Options::parse("--ipv4-gateway=10.0.0.1 serve"), Err(BadOption::Missing(_))));
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
            assert_eq!(Options::parse(&line), Err(BadOption::Value(word)));
        }
    }
}
