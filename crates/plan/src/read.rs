//! Random access to a file's bytes, so that parsers of foreign files stay pure.

/// Bytes that can be read at an offset.
pub trait ReadAt {
    /// Size in bytes.
    fn size(&self) -> u64;
    /// Fills `buf` from `offset`; false when the file is shorter or cannot be read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> bool;
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> bool {
        let source = usize::try_from(offset)
            .ok()
            .and_then(|start| Some(start..start.checked_add(buf.len())?))
            .and_then(|range| self.get(range));
        source.is_some_and(|bytes| {
            buf.copy_from_slice(bytes);
            true
        })
    }
}

/// A slice is unsized, so `&dyn ReadAt` is made from a reference to the reference.
impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> bool {
        (**self).read_at(offset, buf)
    }
}
