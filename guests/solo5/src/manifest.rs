//! The two notes of a guest (`elf_abi.h`, `mft_abi.h`).

/// Note header: the name is "Solo5" with its NUL, padded to 8.
#[repr(C)]
struct NoteHeader {
    name_size: u32,
    desc_size: u32,
    kind: u32,
    name: [u8; 8],
}

impl NoteHeader {
    const fn new(kind: [u8; 4], desc_size: usize) -> Self {
        Self {
            name_size: 6,
            desc_size: desc_size as u32,
            kind: u32::from_le_bytes(kind),
            name: *b"Solo5\0\0\0",
        }
    }
}

/// ABI target and version.
#[repr(C)]
pub struct AbiNote {
    header: NoteHeader,
    target: u32,
    version: u32,
    reserved: [u32; 2],
}

impl AbiNote {
    /// Target spt or hvt, version 2.
    pub const OWN: Self = Self {
        header: NoteHeader::new(*b"ABI1", 16),
        target: if cfg!(feature = "hvt") { 1 } else { 2 },
        version: 2,
        reserved: [0; 2],
    };
}

/// Start of a manifest; the entries follow.
#[repr(C, align(8))]
pub struct Header {
    version: u32,
    /// Number of entries, the reserved first one included.
    pub entries: u32,
}

/// One device.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Entry {
    name: [u8; 68],
    kind: u32,
    properties: [u64; 2],
    fd: i32,
    reserved: u32,
    /// 1 when the tender has attached it.
    pub attached: u8,
    padding: [u8; 7],
}

impl Entry {
    /// The reserved first entry.
    pub const FIRST: Self = Self::new("", 0x4000_0000);

    /// A block device.
    pub const fn block(name: &str) -> Self {
        Self::new(name, 1)
    }

    /// A network device.
    pub const fn net(name: &str) -> Self {
        Self::new(name, 2)
    }

    const fn new(text: &str, kind: u32) -> Self {
        let mut name = [0; 68];
        let mut at = 0;
        while at < text.len() {
            name[at] = text.as_bytes()[at];
            at += 1;
        }
        Self { name, kind, properties: [0; 2], fd: 0, reserved: 0, attached: 0, padding: [0; 7] }
    }

    /// Name without terminator.
    pub fn name(&self) -> &[u8] {
        self.name.split(|byte| *byte == 0).next().unwrap_or(&[])
    }

    /// Descriptor for the system calls.
    #[cfg(not(feature = "hvt"))]
    pub fn fd(&self) -> u64 {
        u64::from(self.fd.unsigned_abs())
    }

    /// Size of a block device, bytes.
    pub fn capacity(&self) -> u64 {
        self.properties[0]
    }

    /// Sector size of a block device, bytes.
    pub fn sector_size(&self) -> u64 {
        self.properties[1] & 0xffff
    }

    /// Hardware address of a network device.
    pub fn mac(&self) -> [u8; 6] {
        let bytes = self.properties[0].to_le_bytes();
        [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]
    }

    /// MTU of a network device, bytes.
    pub fn mtu(&self) -> u16 {
        (self.properties[0] >> 48) as u16
    }
}

/// The manifest note of `N` entries. The manifest itself is aligned to 8, behind 4 bytes of padding.
#[repr(C, align(8))]
pub struct Note<const N: usize> {
    header: NoteHeader,
    padding: u32,
    manifest: Header,
    entries: [Entry; N],
}

impl<const N: usize> Note<N> {
    /// A note of these entries, `N` of them.
    pub const fn new(devices: &[Entry]) -> Self {
        let mut entries = [Entry::FIRST; N];
        let mut at = 0;
        while at < N {
            entries[at] = devices[at];
            at += 1;
        }
        Self {
            header: NoteHeader::new(*b"MFT1", 4 + size_of::<Header>() + N * size_of::<Entry>()),
            padding: 0,
            manifest: Header { version: 1, entries: N as u32 },
            entries,
        }
    }
}

/// Keeps a host kernel from running the guest as an ordinary program, as Solo5's own guests do it.
#[used]
#[unsafe(link_section = ".interp")]
static INTERPRETER: [u8; 20] = *b"/nonexistent/solo5/\0";
