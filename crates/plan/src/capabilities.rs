//! Capabilities of an ordinary container: those that are asked for and can be granted.

use crate::error::excerpt;
use crate::launch::Notice;
use crate::ordinary::CapabilitySets;

/// capabilities(7), by number.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Bit mask of the names; unknown ones are not in it.
pub fn mask(names: &[String]) -> u64 {
    names.iter().filter_map(|name| number(name)).fold(0, |mask, number| mask | 1 << number)
}

fn number(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// What is granted of `asked` by a runtime that has `own`: the rest is a warning and no error (OCI spec, config.md,
/// `capabilities`). The sets fit together as capset(2) and prctl(2) demand.
pub fn granted(asked: &CapabilitySets, own: u64) -> (CapabilitySets, Option<Notice>) {
    let bounding = mask(&asked.bounding) & own;
    let permitted = mask(&asked.permitted) & own;
    let inheritable = mask(&asked.inheritable) & bounding;
    let masks = [
        (&asked.bounding, bounding),
        (&asked.effective, mask(&asked.effective) & permitted),
        (&asked.inheritable, inheritable),
        (&asked.permitted, permitted),
        (&asked.ambient, mask(&asked.ambient) & permitted & inheritable),
    ];
    let mut refused: Vec<&String> = Vec::new();
    let [bounding, effective, inheritable, permitted, ambient] = masks.map(|(names, granted)| {
        let has = |name: &&String| number(name).is_some_and(|number| granted >> number & 1 == 1);
        refused.extend(names.iter().filter(|name| !has(name)));
        NAMES
            .iter()
            .enumerate()
            .filter(|(n, _)| granted >> n & 1 == 1)
            .map(|(_, n)| (*n).to_owned())
            .collect()
    });
    refused.sort_unstable();
    refused.dedup();
    (CapabilitySets { bounding, effective, inheritable, permitted, ambient }, warning(&refused))
}

fn warning(refused: &[&String]) -> Option<Notice> {
    const SHOWN: usize = 4;
    let names: Vec<_> = refused.iter().take(SHOWN).map(|name| excerpt(name)).collect();
    let more = refused.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let text = format!(
        "process.capabilities that are not granted in every set that asks: {}{more}",
        names.join(", ")
    );
    (!refused.is_empty()).then_some(Notice { warn: true, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_what_fits_together_is_granted() {
        let all = names(&["CAP_CHOWN", "CAP_KILL", "CAP_SYS_RESOURCE"]);
        let asked = CapabilitySets {
            bounding: names(&["CAP_KILL", "CAP_CHOWN"]),
            permitted: all.clone(),
            effective: names(&["CAP_SYS_RESOURCE", "CAP_CHOWN", "CAP_BPF"]),
            inheritable: all.clone(),
            ambient: all,
        };
        let (granted, notice) = granted(&asked, !(1 << 24));
        let both = names(&["CAP_CHOWN", "CAP_KILL"]);
        assert_eq!((granted.bounding, granted.permitted), (both.clone(), both.clone()));
        assert_eq!((granted.inheritable, granted.ambient), (both.clone(), both));
        assert_eq!(granted.effective, names(&["CAP_CHOWN"]));
        assert_eq!(
            notice.unwrap().text,
            "process.capabilities that are not granted in every set that asks: CAP_BPF, CAP_SYS_RESOURCE"
        );
    }

    #[test]
    fn unknown_names_are_told_and_not_granted() {
        let many: Vec<String> = (0..100).map(|n| format!("CAP_{n}\n")).collect();
        let (sets, notice) =
            granted(&CapabilitySets { bounding: many, ..CapabilitySets::default() }, u64::MAX);
        assert_eq!(sets, CapabilitySets::default());
        assert!(notice.unwrap().text.ends_with(r"CAP_11\n and 96 more"));
        assert_eq!(granted(&CapabilitySets::default(), 0).1, None);
    }

    #[test]
    fn numbers_are_the_kernel_s() {
        assert_eq!(
            mask(&names(&["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"])),
            1 | 1 << 21 | 1 << 40
        );
    }
}
