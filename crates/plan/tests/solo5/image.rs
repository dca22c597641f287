//! Writes small Solo5 images without a linker; also used by the tests of the tender.

/// Offset of program header `index`.
pub const fn program(index: usize) -> usize {
    64 + 56 * index
}

/// A loadable segment.
pub struct Part {
    pub vaddr: u64,
    pub flags: u32,
    pub bytes: Vec<u8>,
    /// Zeroes behind the bytes.
    pub zeroes: u64,
}

/// An image: the program headers are the parts, then the ABI note, then the manifest note.
pub struct Image {
    pub entry: u64,
    pub target: u32,
    pub version: u32,
    /// Name and whether it is a network device.
    pub devices: Vec<(&'static str, bool)>,
    pub parts: Vec<Part>,
}

impl Image {
    /// Code at 1 MiB and data two pages above, for spt ABI 2.
    pub fn new(code: &[u8], data: &[u8]) -> Self {
        let part = |vaddr, flags, bytes: &[u8]| Part { vaddr, flags, bytes: bytes.to_vec(), zeroes: 0 };
        let parts = vec![part(0x10_0000, 5, code), part(0x10_2000, 6, data)];
        Self { entry: 0x10_0000, target: 2, version: 2, devices: Vec::new(), parts }
    }

    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let notes = [self.abi(), self.manifest()];
        let parts = self.parts.iter().map(|p| (1, p.flags, p.vaddr, &p.bytes, p.zeroes));
        let headers: Vec<_> = parts.chain(notes.iter().map(|n| (4, 4, 0, n, 0))).collect();
        let mut file = self.header(headers.len());
        let mut content = Vec::new();
        for (kind, flags, vaddr, bytes, zeroes) in &headers {
            let (offset, len) = (program(headers.len()) + content.len(), bytes.len() as u64);
            file.extend(words32(&[*kind, *flags]));
            file.extend(words(&[offset as u64, *vaddr, *vaddr, len, len + zeroes, 8]));
            content.extend(*bytes);
            content.resize(content.len().next_multiple_of(8), 0);
        }
        file.extend(content);
        file
    }

    fn header(&self, programs: usize) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let machine = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
        file.extend(words32(&[2 | machine << 16, 1]));
        file.extend(words(&[self.entry, 64, 0]));
        file.extend(words32(&[0, 64 | 56 << 16, programs as u32, 0]));
        file
    }

    fn abi(&self) -> Vec<u8> {
        note(0x3149_4241, &words32(&[self.target, self.version, 0, 0]))
    }

    fn manifest(&self) -> Vec<u8> {
        let mut descriptor = words32(&[0, 1, self.devices.len() as u32 + 1]);
        descriptor.extend(entry("", 0x4000_0000));
        descriptor.extend(self.devices.iter().flat_map(|(name, net)| entry(name, if *net { 2 } else { 1 })));
        note(0x3154_464d, &descriptor)
    }
}

fn note(kind: u32, descriptor: &[u8]) -> Vec<u8> {
    [&words32(&[6, descriptor.len() as u32, kind]), b"Solo5\0\0\0".as_slice(), descriptor].concat()
}

fn entry(name: &str, kind: u32) -> Vec<u8> {
    let mut entry = name.as_bytes().to_vec();
    entry.resize(68, 0);
    entry.extend(kind.to_le_bytes());
    entry.resize(104, 0);
    entry
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn words32(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
