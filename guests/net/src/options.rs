//! The guest's addresses on its command line, as the runtime writes them for two kinds of guests: for `MirageOS`
//! (`--ipv4=A/N --ipv4-gateway=G --ipv6=A/N --ipv6-gateway=G`) and for Linux
//! (`ip=A:SERVER:G:MASK:HOST:DEVICE:AUTOCONF`, `ip6=A/N,G,NAMESERVER,HOST`).

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

impl Options {
    /// Reads the options of `MirageOS` among the words of a command line; the others are the application's. The first
    /// of several counts: the runtime's come first.
    ///
    /// # Errors
    /// A word whose value cannot be used, or no address.
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
        options.some("--ipv4=ADDRESS/PREFIX or --ipv6=ADDRESS/PREFIX")
    }

    /// Reads the words `ip=` (kernel documentation, nfsroot) and `ip6=` of a Linux guest's command line, the first of
    /// each.
    ///
    /// # Errors
    /// A word whose value cannot be used, or no address.
    pub fn linux(cmdline: &str) -> Result<Self, BadOption<'_>> {
        let mut options = Self::default();
        for word in cmdline.split_ascii_whitespace() {
            let Some((name, value)) = word.split_once('=') else { continue };
            match name {
                "ip" if options.ipv4.is_none() => {
                    let (own, gateway) = ip(value).ok_or(BadOption::Value(word))?;
                    (options.ipv4, options.ipv4_gateway) = (Some(own), gateway);
                }
                "ip6" if options.ipv6.is_none() => {
                    let (own, gateway) = ip6(value).ok_or(BadOption::Value(word))?;
                    (options.ipv6, options.ipv6_gateway) = (Some(own), gateway);
                }
                _ => {}
            }
        }
        options.some("ip=ADDRESS::GATEWAY:MASK:HOST:eth0:off or ip6=ADDRESS/PREFIX,GATEWAY")
    }

    fn some(self, what: &'static str) -> Result<Self, BadOption<'static>> {
        let is_there = self.ipv4.is_some() || self.ipv6.is_some();
        is_there.then_some(self).ok_or(BadOption::Missing(what))
    }
}

fn ip(value: &str) -> Option<(Cidr<Ipv4Addr>, Option<Ipv4Addr>)> {
    let mut fields = value.split(':');
    let own = address(fields.next()?, is_unicast4)?;
    let gateway = match fields.nth(1)? {
        "" => None,
        value => Some(address(value, is_unicast4)?),
    };
    let mask = fields.next()?.parse::<Ipv4Addr>().ok()?.to_bits();
    let prefix = mask.leading_ones() as u8;
    // Ones, then zeros.
    (mask.count_zeros() == mask.trailing_zeros()).then_some((Cidr { address: own, prefix }, gateway))
}

fn ip6(value: &str) -> Option<(Cidr<Ipv6Addr>, Option<Ipv6Addr>)> {
    let mut fields = value.split(',');
    let own = cidr(fields.next()?, 128, is_unicast6)?;
    let gateway = match fields.next() {
        None | Some("") => None,
        Some(value) => Some(address(value, is_unicast6)?),
    };
    Some((own, gateway))
}

fn set<'a, T>(option: &mut Option<T>, value: Option<T>, word: &'a str) -> Result<(), BadOption<'a>> {
    let value = value.ok_or(BadOption::Value(word))?;
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
    }

    #[test]
    fn without_an_address_there_is_no_network() {
        assert!(matches!(Options::parse("--ipv4-gateway=10.0.0.1 serve"), Err(BadOption::Missing(_))));
        assert!(matches!(Options::linux("panic=-1 --ipv4=10.0.0.2/24"), Err(BadOption::Missing(_))));
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

    #[test]
    fn a_linux_guests_words_are_the_runtimes() {
        let line = "panic=-1 console=ttyS0 ip=10.0.0.2::10.0.0.1:255.255.255.0:urunc:eth0:off:8.8.8.8 \
                    ip6=fd00::2/64,fe80::1,,urunc ip=10.0.0.3::::: init=/http --";
        let expected = Options {
            ipv4: Some(Cidr { address: Ipv4Addr::new(10, 0, 0, 2), prefix: 24 }),
            ipv4_gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
            ipv6: Some(Cidr { address: "fd00::2".parse().unwrap(), prefix: 64 }),
            ipv6_gateway: Some("fe80::1".parse().unwrap()),
        };
        assert_eq!(Options::linux(line), Ok(expected));
        let alone = Options::linux("ip=10.0.0.2:::255.255.255.255:a:eth0:off ip6=fd00::2/64,,,a").unwrap();
        assert_eq!((alone.ipv4.map(|own| own.prefix), alone.ipv4_gateway), (Some(32), None));
        assert_eq!((alone.ipv6.map(|own| own.prefix), alone.ipv6_gateway), (Some(64), None));
        assert_eq!(Options::linux("ip=10.0.0.2:::0.0.0.0").unwrap().ipv4.map(|own| own.prefix), Some(0));
    }

    #[test]
    fn a_linux_guests_word_that_is_no_address_is_named() {
        for word in [
            "ip=",
            "ip=dhcp",
            "ip=10.0.0.2",
            "ip=10.0.0.2:::",
            "ip=10.0.0.2:::255.0.255.0",
            "ip=10.0.0.2::x:255.255.255.0",
            "ip=224.0.0.1:::255.255.255.0",
            "ip6=fd00::2",
            "ip6=fd00::2/129,,",
            "ip6=fd00::2/64,10.0.0.1",
        ] {
            let line = std::format!("console=ttyS0 {word} --");
            assert_eq!(Options::linux(&line), Err(BadOption::Value(word)));
        }
    }
}
