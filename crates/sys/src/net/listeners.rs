//! Who answers on loopback addresses: /proc/net/tcp and /proc/net/udp of a network namespace (proc_pid_net(5)).

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags};
use urunc_plan::input::Listener;

use super::in_namespace;
use crate::atomic;
use crate::error::{Result, SysError};

/// Longest file. A container's namespace has a few sockets when its process is started.
const LONGEST: u64 = 4 << 20;
/// `net/tcp_states.h`: of TCP a listener, of UDP a socket that is not connected.
const TCP_LISTEN: &str = "0A";
const TCP_CLOSE: &str = "07";

/// The listeners on IPv4 loopback addresses in a network namespace, and on all addresses.
pub fn listeners(netns: BorrowedFd<'_>) -> Result<Vec<Listener>> {
    in_namespace(netns, || {
        let mut found = of("/proc/thread-self/net/udp", false)?;
        found.extend(of("/proc/thread-self/net/tcp", true)?);
        Ok(found)
    })
}

fn of(path: &str, tcp: bool) -> Result<Vec<Listener>> {
    let failed = |errno| SysError::new("open", path, errno);
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let text = atomic::read_all(fd, path, LONGEST)?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(|line| listener(line, tcp)).collect())
}

/// `SL: ADDRESS:PORT ADDRESS:PORT STATE …`, in hexadecimal; an address is a word as it is in memory.
fn listener(line: &str, tcp: bool) -> Option<Listener> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, state) = (words.next()?, words.nth(1)?);
    let (address, port) = local.split_once(':')?;
    let address = Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.to_ne_bytes());
    let answers = state == if tcp { TCP_LISTEN } else { TCP_CLOSE };
    let near = address.is_loopback() || address.is_unspecified();
    (answers && near).then_some(Listener { tcp, address, port: u16::from_str_radix(port, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_on_loopback_addresses_are_read() {
        let word = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let line = |address, state| {
            format!("   0: {}:9C8F 00000000:0000 {state} 00000000:00000000 00", word(address))
        };
        let found = |tcp, address: [u8; 4]| Some(Listener { tcp, address: address.into(), port: 40079 });
        assert_eq!(listener(&line([127, 0, 0, 11], "07"), false), found(false, [127, 0, 0, 11]));
        assert_eq!(listener(&line([127, 0, 0, 11], "0A"), true), found(true, [127, 0, 0, 11]));
        assert_eq!(listener(&line([0; 4], "0A"), true), found(true, [0; 4]));
        for (address, state, tcp) in
            [([10, 0, 0, 1], "0A", true), ([127, 0, 0, 1], "01", true), ([127, 0, 0, 1], "01", false)]
        {
            assert_eq!(listener(&line(address, state), tcp), None);
        }
        let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt";
        for text in [header, "", "0:", "0: zz:1 0:0 07", "0: 00000000:12345 0:0 07"] {
            assert_eq!(listener(text, false), None, "{text}");
        }
    }
}
