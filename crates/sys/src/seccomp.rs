//! Installs compiled filters.
#![allow(unsafe_code)]

use crate::{Result, SysError};
use urunc_plan::bpf::Insn;

/// Installs a filter on the calling thread with seccomp(2); filters of earlier calls stay, the most severe answer
/// wins. An empty program is no filter. `flags`: `SECCOMP_FILTER_FLAG_*`, of which LOG and SPEC_ALLOW make sense here.
///
/// # Errors
/// `EACCES` without no_new_privs and CAP_SYS_ADMIN, `EINVAL` for a program the kernel's checker refuses.
pub fn install(program: &[Insn], flags: u32) -> Result<()> {
    if program.is_empty() {
        return Ok(());
    }
    let code = |insn: &Insn| libc::sock_filter { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k };
    let mut filter: Vec<libc::sock_filter> = program.iter().map(code).collect();
    let object = || format!("filter of {} instructions", program.len());
    let Ok(len) = u16::try_from(filter.len()) else {
        return Err(SysError::new("install seccomp", object(), rustix::io::Errno::INVAL));
    };
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: `program` and the instructions it points to live across the call, which only reads them.
    let answer = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::from_ref(&program))
    };
    if answer == 0 { Ok(()) } else { Err(SysError::last("install seccomp", object())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use urunc_plan::bpf::{self, Cond, Op, SeccompData, ret};
    use urunc_plan::launch::Filter;
    use urunc_plan::seccomp;
    use urunc_plan::syscalls::Abi;

    /// What the kernel did to a call.
    #[derive(Debug, PartialEq)]
    enum Fate {
        Returned(i32),
        Killed(i32),
    }

    /// Makes the call in a child under the filter. Of the errno only the low byte comes back.
    fn real(program: &[Insn], flags: u32, nr: u32, args: [u64; 6]) -> Fate {
        // SAFETY: the child calls only async-signal-safe functions (malloc of a forked glibc child is one in practice:
        // its locks are reset by fork) and leaves by _exit.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            // SAFETY: prctl with integers; syscall on numbers that the tests choose to be harmless.
            let code = unsafe {
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                if install(program, flags).is_err() {
                    libc::_exit(255);
                }
                let answer =
                    libc::syscall(i64::from(nr), args[0], args[1], args[2], args[3], args[4], args[5]);
                if answer < 0 { io::Error::last_os_error().raw_os_error().unwrap_or(254) } else { 0 }
            };
            // SAFETY: ends the child without running the test harness' handlers.
            unsafe {
                libc::syscall(libc::SYS_exit_group, code);
                libc::_exit(253);
            }
        }
        let mut status = 0;
        // SAFETY: status is a valid out parameter, the pid our own child.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        if libc::WIFSIGNALED(status) {
            Fate::Killed(libc::WTERMSIG(status))
        } else {
            Fate::Returned(libc::WEXITSTATUS(status))
        }
    }

    /// The fate that an answer of the interpreter means, for a call that itself succeeds.
    fn fate(answer: u32) -> Fate {
        match answer & 0xffff_0000 {
            ret::KILL_PROCESS | ret::KILL_THREAD | ret::TRAP => Fate::Killed(libc::SIGSYS),
            ret::ERRNO => Fate::Returned((answer & 0xff).cast_signed()),
            ret::TRACE => Fate::Returned(libc::ENOSYS), // no tracer
            _ => Fate::Returned(0),
        }
    }

    fn agrees(program: &[Insn], name: &str, args: [u64; 6]) -> Fate {
        let abi = Abi::native(std::env::consts::ARCH).unwrap();
        let nr = abi.number(name).unwrap();
        let data = SeccompData { nr, arch: abi.audit_arch(), ip: 0, args };
        let real = real(program, 0, nr, args);
        assert_eq!(real, fate(bpf::run(program, &data)), "{name} {args:x?}");
        real
    }

    #[test]
    fn the_kernel_agrees_with_the_interpreter_about_a_profile() {
        let arg = |op: &str, value: u64, second: u64| {
            serde_json_rule(&format!(
                r#"[{{"index":0,"op":"SCMP_CMP_{op}","value":{value},"valueTwo":{second}}}]"#
            ))
        };
        let big = 0x1_0000_0005;
        for (op, value, second) in [
            ("EQ", big, 0),
            ("NE", big, 0),
            ("LT", big, 0),
            ("LE", big, 0),
            ("GE", big, 0),
            ("GT", big, 0),
            ("MASKED_EQ", 0x1_0000_000f, big),
        ] {
            let program = seccomp::compile(&arg(op, value, second), std::env::consts::ARCH).unwrap();
            let fates: Vec<Fate> = [0, 5, big - 1, big, big + 1, big + 16, u64::MAX]
                .map(|first| agrees(&program, "getppid", [first, 0, 0, 0, 0, 0]))
                .into();
            assert!(
                fates.contains(&Fate::Returned(0)) && fates.contains(&Fate::Returned(77)),
                "{op} {fates:?}"
            );
        }
    }

    /// getppid is allowed under the condition, else fails with 77; everything else is allowed.
    fn serde_json_rule(args: &str) -> Filter {
        let text = format!(
            r#"{{"profile":{{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":77,"syscalls":[
                {{"names":["exit_group","exit"],"action":"SCMP_ACT_ALLOW"}},
                {{"names":["getppid"],"action":"SCMP_ACT_ALLOW","args":{args}}}]}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn our_lists_and_pinned_rules() {
        let arch = std::env::consts::ARCH;
        let deny = seccomp::compile(&Filter::Deny(vec!["getppid".into()]), arch).unwrap();
        assert_eq!(agrees(&deny, "getppid", [0; 6]), Fate::Returned(libc::EPERM));
        assert_eq!(agrees(&deny, "getuid", [0; 6]), Fate::Returned(0));
        let allow =
            seccomp::compile(&Filter::Allow(vec!["exit_group".into(), "getuid".into()]), arch).unwrap();
        assert_eq!(agrees(&allow, "getppid", [0; 6]), Fate::Killed(libc::SIGSYS));
        assert_eq!(agrees(&allow, "getuid", [0; 6]), Fate::Returned(0));
        let abi = Abi::native(arch).unwrap();
        let number = |name| abi.number(name).unwrap();
        let first = Cond { arg: 0, op: Op::Le, value: 9 };
        let pinned =
            seccomp::pinned(abi, &[(number("exit_group"), vec![]), (number("getppid"), vec![first])]);
        assert_eq!(agrees(&pinned, "getppid", [9, 0, 0, 0, 0, 0]), Fate::Returned(0));
        assert_eq!(agrees(&pinned, "getppid", [10, 0, 0, 0, 0, 0]), Fate::Killed(libc::SIGSYS));
        assert_eq!(agrees(&pinned, "getppid", [1 << 32, 0, 0, 0, 0, 0]), Fate::Killed(libc::SIGSYS));
    }

    /// Numbers of x32 reach the same entry of the kernel as those of x86_64.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn x32_numbers_are_no_way_around() {
        let deny = seccomp::compile(&Filter::Deny(vec!["getppid".into()]), "x86_64").unwrap();
        let nr = Abi::X32.number("getppid").unwrap();
        assert_eq!(real(&deny, 0, nr, [0; 6]), Fate::Killed(libc::SIGSYS));
    }

    #[test]
    fn flags_are_taken_and_a_bad_program_is_refused() {
        let deny = seccomp::compile(&Filter::Deny(vec!["getppid".into()]), std::env::consts::ARCH).unwrap();
        let nr = Abi::native(std::env::consts::ARCH).unwrap().number("getppid").unwrap();
        let flags = seccomp::FLAG_LOG | seccomp::FLAG_SPEC_ALLOW;
        assert_eq!(real(&deny, flags, nr, [0; 6]), Fate::Returned(libc::EPERM));
        assert_eq!(real(&deny[..1], 0, nr, [0; 6]), Fate::Returned(255), "no RET at the end");
        assert_eq!(real(&[], 0, nr, [0; 6]), Fate::Returned(0));
    }
}
