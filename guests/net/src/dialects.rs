//! Addresses as the runtime writes them for each kind of guest, so that one guest can stand in for any.

use core::net::Ipv4Addr;

use crate::options::{BadOption, Cidr, Options, Take, address4, address6, cidr4, cidr6, set};

/// All but that of `MirageOS`. No word has a meaning in two of them.
const DIALECTS: [Take; 5] = [linux, mewz, unikraft, osv, hermit];

impl Options {
    /// Reads the options of the kind of guest that the command line is for: the first whose address is there.
    ///
    /// # Errors
    /// A word whose value cannot be used, or no address.
    pub fn any(cmdline: &str) -> Result<Self, BadOption<'_>> {
        for dialect in DIALECTS {
            if let Some(options) = Self::read(cmdline, dialect)? {
                return Ok(options);
            }
        }
        Self::parse(cmdline)
            .map_err(|why| if let BadOption::Missing(_) = why { BadOption::Missing(LINUX) } else { why })
    }
}

const LINUX: &str = "ip=ADDRESS::GATEWAY:MASK:HOST:eth0:off";

/// `ip=A:SERVER:G:MASK:HOST:DEVICE:AUTOCONF` (kernel documentation, nfsroot) and `ip6=A/N,G,NAMESERVER,HOST`.
fn linux(options: &mut Options, name: &str, value: &str) -> Option<()> {
    match name {
        // The other one is Mewz's.
        "ip" if options.ipv4.is_none() && !value.contains('/') => {
            let mut fields = value.split(':');
            options.ipv4 = Some(Cidr { address: address4(fields.next()?)?, prefix: 32 });
            gateway(options, fields.nth(1)?)?;
            mask(options, fields.next()?)
        }
        "ip6" if options.ipv6.is_none() => {
            let mut fields = value.split(',');
            options.ipv6 = Some(cidr6(fields.next()?)?);
            match fields.next().unwrap_or_default() {
                "" => Some(()),
                far => set(&mut options.ipv6_gateway, address6(far)),
            }
        }
        _ => Some(()),
    }
}

/// `ip=A/N gateway=G`.
fn mewz(options: &mut Options, name: &str, value: &str) -> Option<()> {
    match name {
        "ip" if value.contains('/') => set(&mut options.ipv4, cidr4(value)),
        "gateway" if options.ipv4.is_some() => gateway(options, value),
        _ => Some(()),
    }
}

/// `netdev.ip=A/N:G:NAMESERVER`, before 0.16.1 `netdev.ipv4_addr=A netdev.ipv4_gw_addr=G netdev.ipv4_subnet_mask=MASK`.
fn unikraft(options: &mut Options, name: &str, value: &str) -> Option<()> {
    match name {
        "netdev.ip" => {
            let mut fields = value.split(':');
            set(&mut options.ipv4, cidr4(fields.next()?))?;
            gateway(options, fields.next().unwrap_or_default())
        }
        "netdev.ipv4_addr" => alone(options, value),
        "netdev.ipv4_gw_addr" => gateway(options, value),
        "netdev.ipv4_subnet_mask" => mask(options, value),
        _ => Some(()),
    }
}

/// `--ip=DEVICE,A,MASK --defaultgw=G`.
fn osv(options: &mut Options, name: &str, value: &str) -> Option<()> {
    match name {
        "--ip" => {
            let mut fields = value.split(',').skip(1);
            alone(options, fields.next()?)?;
            mask(options, fields.next()?)
        }
        "--defaultgw" => gateway(options, value),
        _ => Some(()),
    }
}

/// `-ip A -mask MASK -gateway G`.
fn hermit(options: &mut Options, name: &str, value: &str) -> Option<()> {
    match name {
        "-ip" => alone(options, value),
        "-mask" => mask(options, value),
        "-gateway" => gateway(options, value),
        _ => Some(()),
    }
}

/// An address whose mask comes later.
fn alone(options: &mut Options, value: &str) -> Option<()> {
    set(&mut options.ipv4, address4(value).map(|address| Cidr { address, prefix: 32 }))
}

fn mask(options: &mut Options, value: &str) -> Option<()> {
    let mask = value.parse::<Ipv4Addr>().ok()?.to_bits();
    // Ones, then zeros.
    let is_one = mask.count_zeros() == mask.trailing_zeros();
    options.ipv4.as_mut()?.prefix = is_one.then_some(mask.leading_ones() as u8)?;
    Some(())
}

/// A gateway that may be missing.
fn gateway(options: &mut Options, value: &str) -> Option<()> {
    if value.is_empty() { Some(()) } else { set(&mut options.ipv4_gateway, address4(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(Options::any(line), Ok(expected));
        let alone = Options::any("ip=10.0.0.2:::255.255.255.255:a:eth0:off ip6=fd00::2/64,,,a").unwrap();
        assert_eq!((alone.ipv4.map(|own| own.prefix), alone.ipv4_gateway), (Some(32), None));
        assert_eq!((alone.ipv6.map(|own| own.prefix), alone.ipv6_gateway), (Some(64), None));
        assert_eq!(Options::any("ip=10.0.0.2:::0.0.0.0").unwrap().ipv4.map(|own| own.prefix), Some(0));
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
            assert_eq!(Options::any(&line), Err(BadOption::Value(word)));
        }
    }

    #[test]
    fn every_guests_words_say_the_same() {
        let expected = Options {
            ipv4: Some(Cidr { address: Ipv4Addr::new(10, 0, 0, 2), prefix: 24 }),
            ipv4_gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
            ..Options::default()
        };
        for line in [
            "panic=-1 ip=10.0.0.2::10.0.0.1:255.255.255.0:a:eth0:off init=http --",
            "ip=10.0.0.2/24 gateway=10.0.0.1 http",
            "Unikraft env.vars=[ A=1 ] netdev.ip=10.0.0.2/24:10.0.0.1:8.8.8.8 -- http",
            "a netdev.ipv4_addr=10.0.0.2 netdev.ipv4_gw_addr=10.0.0.1 netdev.ipv4_subnet_mask=255.255.255.0 -- http",
            "--ip=eth0,10.0.0.2,255.255.255.0 --defaultgw=10.0.0.1 --nameserver=8.8.8.8 http",
            "-ip 10.0.0.2 -mask 255.255.255.0 -gateway 10.0.0.1 env=A=1 -- http",
            "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 http",
        ] {
            assert_eq!(Options::any(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn words_of_other_guests_mean_nothing() {
        let line = "ip=10.0.0.2:::255.255.255.0 gateway=x --defaultgw=y netdev.ip_addr=z -x -- --ipv4=w";
        assert_eq!(Options::any(line).unwrap().ipv4_gateway, None);
        assert!(matches!(Options::any("gateway=10.0.0.1 -ip"), Err(BadOption::Missing(LINUX))));
        for word in ["ip=10.0.0.2/33", "netdev.ip=10.0.0.2", "--ip=eth0,10.0.0.2", "--ipv4=x", "-ip"] {
            let line = std::format!("http {word} x");
            assert_eq!(Options::any(&line), Err(BadOption::Value(word)));
        }
    }
}
