//! `/etc/ld.so.cache` in the format of glibc 2.2 and later: which file stands for a library name (ld.so(8)).

/// A loaded cache.
pub struct Cache {
    /// From the header on; offsets of names count from here.
    bytes: Vec<u8>,
}

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

impl Cache {
    /// `None` if this is not such a cache. Before glibc 2.32 an older format stands in front of it.
    pub fn new(mut bytes: Vec<u8>) -> Option<Self> {
        let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        bytes.drain(..start);
        Some(Self { bytes })
    }

    /// Every file of that name, best first, for all architectures. Variants for particular CPUs are left out: the
    /// plain one always exists beside them.
    pub fn files<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let count = self.u32_at(MAGIC.len()).unwrap_or(0) as usize;
        (0..count)
            .map_while(move |i| self.entry(HEADER + i * ENTRY))
            .filter_map(move |(key, file, plain)| (plain && key == name).then_some(file))
    }

    /// Name, file, and whether it is for every CPU.
    fn entry(&self, at: usize) -> Option<(&str, &str, bool)> {
        let hwcap = self.bytes.get(at + 16..at + 24)?;
        let plain = hwcap.iter().all(|byte| *byte == 0);
        Some((self.string(self.u32_at(at + 4)?)?, self.string(self.u32_at(at + 8)?)?, plain))
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?))
    }

    fn string(&self, at: u32) -> Option<&str> {
        let text = self.bytes.get(at as usize..)?;
        let end = text.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&text[..end]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (name, file, hwcap)
    fn cache(entries: &[(&str, &str, u64)]) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(u32::try_from(entries.len()).unwrap().to_le_bytes());
        bytes.resize(HEADER, 0);
        let base = HEADER + entries.len() * ENTRY;
        for (name, file, hwcap) in entries {
            bytes.extend(0x303_u32.to_le_bytes());
            for text in [name, file] {
                bytes.extend(u32::try_from(base + strings.len()).unwrap().to_le_bytes());
                strings.extend_from_slice(text.as_bytes());
                strings.push(0);
            }
            bytes.extend([0; 4]);
            bytes.extend(hwcap.to_le_bytes());
        }
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn plain_files_of_a_name_are_found_in_order_behind_the_old_format_too() {
        let entries = [
            ("libb.so", "/v3/libb.so", 1 << 62),
            ("libb.so", "/lib64/libb.so", 0),
            ("libb.so", "/lib32/libb.so", 0),
            ("liba.so", "/lib/liba.so", 0),
        ];
        let old = b"ld.so-1.7.0\0\0\0\0\0".to_vec();
        for prefix in [Vec::new(), old] {
            let found = Cache::new([prefix, cache(&entries)].concat()).unwrap();
            assert_eq!(found.files("libb.so").collect::<Vec<_>>(), ["/lib64/libb.so", "/lib32/libb.so"]);
            assert_eq!(found.files("libc.so").count(), 0);
        }
    }

    #[test]
    fn a_truncated_or_foreign_cache_finds_less_and_never_fails() {
        assert!(Cache::new(b"something else".to_vec()).is_none());
        let whole = cache(&[("liba.so", "/lib/liba.so", 0)]);
        for length in MAGIC.len()..whole.len() {
            assert_eq!(Cache::new(whole[..length].to_vec()).unwrap().files("liba.so").count(), 0);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_damage_panics(at in 0_usize..120, bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..16)) {
            let mut damaged = cache(&[("liba.so", "/lib/liba.so", 0), ("libb.so", "/lib/libb.so", 0)]);
            damaged.splice(at..(at + bytes.len()).min(damaged.len()), bytes);
            if let Some(cache) = Cache::new(damaged) {
                // A damaged string may be a longer one, never one of bytes outside the file.
                proptest::prop_assert!(cache.files("liba.so").count() <= 2);
            }
        }
    }
}
