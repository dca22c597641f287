//! What the guest finds in low memory: boot information, filled manifest, command line (`spt_abi.h`, `mft_abi.h`).

use urunc_plan::solo5::MAX_CMDLINE;

use crate::TenderError;

/// Guest address of the boot information.
pub(crate) const BOOT_INFO: u64 = 0x1_1000;
/// Size of the boot information, bytes.
const BOOT_INFO_BYTES: usize = 40;
const MFT_HEADER: usize = 8;
const MFT_ENTRY: usize = 104;
const RESERVED_FIRST: u32 = 0x4000_0000;

/// A device as the guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attached {
    /// Name in the manifest.
    pub name: String,
    /// Descriptor number; spt guests use it in their system calls.
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
    /// The epoll set of timer and network devices.
    pub epoll_fd: i32,
    /// CLOCK_MONOTONIC timer.
    pub timer_fd: i32,
}

/// The bytes at [`BOOT_INFO`]: boot information, manifest and command line, one after the other.
pub(crate) fn encode(info: &BootInfo, devices: &[Attached], cmdline: &str) -> Result<Vec<u8>, TenderError> {
    if cmdline.len() > MAX_CMDLINE {
        return Err(TenderError::Cmdline(format!("{} bytes, at most {MAX_CMDLINE}", cmdline.len())));
    }
    if cmdline.contains('\0') {
        return Err(TenderError::Cmdline("holds a NUL byte".to_owned()));
    }
    let manifest = BOOT_INFO + BOOT_INFO_BYTES as u64;
    let text = manifest + (MFT_HEADER + MFT_ENTRY * (devices.len() + 1)) as u64;
    let mut out = Vec::with_capacity(BOOT_INFO_BYTES + MFT_HEADER + MFT_ENTRY + cmdline.len());
    for word in [info.mem_size, info.kernel_end, text, manifest] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&info.epoll_fd.to_le_bytes());
    out.extend_from_slice(&info.timer_fd.to_le_bytes());
    out.extend_from_slice(&1u32.to_le_bytes());
    out.extend_from_slice(&u32::try_from(devices.len() + 1).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&entry(None));
    for device in devices {
        out.extend_from_slice(&entry(Some(device)));
    }
    out.extend_from_slice(cmdline.as_bytes());
    out.push(0);
    Ok(out)
}

/// One manifest entry; `None` is the reserved first one.
fn entry(device: Option<&Attached>) -> [u8; MFT_ENTRY] {
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
    put(88, &device.fd.to_le_bytes());
    put(96, &[1]);
    out
}
