//! What the guest finds in low memory: boot information, filled manifest, command line (`spt_abi.h`, `hvt_abi.h`,
//! `mft_abi.h`).

use urunc_plan::solo5::MAX_CMDLINE;

use crate::TenderError;

/// Guest address of the boot information, target spt.
pub(crate) const SPT_BOOT_INFO: u64 = 0x1_1000;
/// Guest address of the boot information, target hvt.
pub(crate) const HVT_BOOT_INFO: u64 = 0x1_0000;
const MFT_HEADER: usize = 8;
const MFT_ENTRY: usize = 104;
const RESERVED_FIRST: u32 = 0x4000_0000;

/// A device as the guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attached {
    /// Name in the manifest.
    pub name: String,
    /// Descriptor number.
    pub fd: i32,
    /// What it is.
    pub kind: Kind,
}

/// The properties that the manifest tells the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// BLOCK_BASIC.
    Block {
        /// Size, bytes; a multiple of the sector size.
        capacity: u64,
        /// Bytes.
        sector_size: u16,
    },
    /// NET_BASIC.
    Net {
        /// Hardware address.
        mac: [u8; 6],
        /// Bytes.
        mtu: u16,
    },
}

/// The fixed part of the boot information.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BootInfo {
    /// Size of guest memory, bytes.
    pub mem_size: u64,
    /// End of the loaded image.
    pub kernel_end: u64,
    /// What only guests of one target are told.
    pub abi: Abi,
}

/// The targets' own parts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Abi {
    /// Descriptors for system calls.
    Spt {
        /// The epoll set of timer and network devices.
        epoll_fd: i32,
        /// CLOCK_MONOTONIC timer.
        timer_fd: i32,
    },
    /// A processor's clock.
    Hvt {
        /// Ticks of the time stamp counter in a second.
        cycle_freq: u64,
    },
}

impl BootInfo {
    /// Where it goes.
    pub(crate) fn address(&self) -> u64 {
        match self.abi {
            Abi::Spt { .. } => SPT_BOOT_INFO,
            Abi::Hvt { .. } => HVT_BOOT_INFO,
        }
    }

    /// The structure, for a manifest directly behind it and a command line at `text`.
    fn encode(&self, text: u64) -> Vec<u8> {
        let Self { mem_size, kernel_end, abi } = *self;
        let words = |manifest| match abi {
            Abi::Spt { epoll_fd, timer_fd } => {
                let fds = u64::from(epoll_fd.cast_unsigned()) | u64::from(timer_fd.cast_unsigned()) << 32;
                vec![mem_size, kernel_end, text, manifest, fds]
            }
            // Two words of features and the address of a ring, of Solo5 0.11: without the feature guests make
            // hypercalls, and older ones do not look.
            Abi::Hvt { cycle_freq } => vec![mem_size, kernel_end, cycle_freq, text, manifest, 0, 0],
        };
        let bytes = words(0).len() as u64 * 8;
        words(self.address() + bytes).into_iter().flat_map(u64::to_le_bytes).collect()
    }
}

/// The bytes at [`BootInfo::address`]: boot information, manifest and command line, one after the other.
pub(crate) fn encode(info: &BootInfo, devices: &[Attached], cmdline: &str) -> Result<Vec<u8>, TenderError> {
    if cmdline.len() > MAX_CMDLINE {
        return Err(TenderError::Cmdline(format!("{} bytes, at most {MAX_CMDLINE}", cmdline.len())));
    }
    if cmdline.contains('\0') {
        return Err(TenderError::Cmdline("holds a NUL byte".to_owned()));
    }
    let manifest = MFT_HEADER + MFT_ENTRY * (devices.len() + 1);
    let text = info.address() + (info.encode(0).len() + manifest) as u64;
    let mut out = info.encode(text);
    out.reserve(manifest + cmdline.len() + 1);
    out.extend_from_slice(&1u32.to_le_bytes());
    out.extend_from_slice(&u32::try_from(devices.len() + 1).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&entry(None, 0));
    for device in devices {
        let fd = if let Abi::Spt { .. } = info.abi { device.fd } else { 0 };
        out.extend_from_slice(&entry(Some(device), fd));
    }
    out.extend_from_slice(cmdline.as_bytes());
    out.push(0);
    Ok(out)
}

/// One manifest entry; `None` is the reserved first one. `fd` is the descriptor for the guest's own calls.
fn entry(device: Option<&Attached>, fd: i32) -> [u8; MFT_ENTRY] {
    let mut out = [0; MFT_ENTRY];
    let mut put = |at: usize, bytes: &[u8]| {
        for (to, from) in out.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    };
    let Some(device) = device else {
        put(68, &RESERVED_FIRST.to_le_bytes());
        return out;
    };
    put(0, device.name.as_bytes());
    match device.kind {
        Kind::Block { capacity, sector_size } => {
            put(68, &1u32.to_le_bytes());
            put(72, &capacity.to_le_bytes());
            put(80, &sector_size.to_le_bytes());
        }
        Kind::Net { mac, mtu } => {
            put(68, &2u32.to_le_bytes());
            put(72, &mac);
            put(78, &mtu.to_le_bytes());
        }
    }
    put(88, &fd.to_le_bytes());
    put(96, &[1]);
    out
}
