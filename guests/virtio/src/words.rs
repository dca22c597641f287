//! The words of the command line.

/// What the guest shall do; see [`Word::list`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `hello`: says how it was entered, and with which command line.
    Hello,
    /// `initrd`: says how long it is, and its checksum.
    Initrd,
    /// `block`: says how large the device is, and what its first sector begins with.
    Block,
    /// `http`: serves pages, for ever.
    Http,
    /// `exit=N`: ends with this status, where the monitor has a device for it.
    Exit(u8),
    /// `poweroff`.
    PowerOff,
    /// `panic`: says so as Linux does, and by the device for it.
    Panic,
    /// `triple`: a triple fault.
    Triple,
    /// `reset`: by the keyboard controller.
    Reset,
    /// `hang`: works for ever.
    Hang,
    /// `hlt`: sleeps for ever.
    Halt,
    /// `flood`: writes to the console for ever.
    Flood,
}

impl Word {
    /// All words of a command line that are one, in order. They may be a Linux guest's init or arguments of it; the
    /// monitor's own words, and variables, are none.
    pub fn list(cmdline: &str) -> impl Iterator<Item = Self> {
        cmdline.split_ascii_whitespace().filter_map(Self::parse)
    }

    fn parse(word: &str) -> Option<Self> {
        let word = ["init=", "rdinit="].iter().find_map(|name| word.strip_prefix(name)).unwrap_or(word);
        Some(match word {
            "hello" => Self::Hello,
            "initrd" => Self::Initrd,
            "block" => Self::Block,
            "http" => Self::Http,
            "poweroff" => Self::PowerOff,
            "panic" => Self::Panic,
            "triple" => Self::Triple,
            "reset" => Self::Reset,
            "hang" => Self::Hang,
            "hlt" => Self::Halt,
            "flood" => Self::Flood,
            _ => Self::Exit(word.strip_prefix("exit=")?.parse().ok()?),
        })
    }
}

/// Addresses of the devices that a monitor names: `virtio_mmio.device=SIZE@ADDRESS:IRQ[:ID]` (kernel documentation,
/// `kernel-parameters.txt`).
pub fn devices(cmdline: &str) -> impl Iterator<Item = u64> {
    cmdline.split_ascii_whitespace().filter_map(|word| {
        let (_, place) = word.strip_prefix("virtio_mmio.device=")?.split_once('@')?;
        let address = place.split(':').next()?;
        match address.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => address.parse().ok(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn words_are_found_among_a_linux_guests() {
        let of = |line| Word::list(line).collect::<Vec<_>>();
        let line = "panic=-1 console=ttyS0 ip=10.0.0.2:::255.0.0.0:hello:eth0:off A=hang init=hello -- block exit=42";
        assert_eq!(of(line), [Word::Hello, Word::Block, Word::Exit(42)]);
        assert_eq!(of("rdinit=http"), [Word::Http]);
        assert_eq!(of("exit=256 exit= exit=x Hello /hello hello="), []);
        let all = "hello initrd block http exit=0 poweroff panic triple reset hang hlt flood";
        assert_eq!(of(all).len(), 12);
    }

    #[test]
    fn devices_are_where_the_monitor_says() {
        let of = |line: &str| devices(line).collect::<Vec<_>>();
        let line =
            "http pci=off virtio_mmio.device=4K@0xc0001000:5 virtio_mmio.device=512@0xfeb02e00:12:1 -- x";
        assert_eq!(of(line), [0xc000_1000, 0xfeb0_2e00]);
        assert_eq!(of("virtio_mmio.device=4K@4096:5"), [4096]);
        for word in ["", "4K", "4K@", "4K@0x", "4K@0xg:5", "@:"] {
            assert_eq!(of(&std::format!("virtio_mmio.device={word}")), []);
        }
    }
}
