//! Tests that change their own process do it in a child.
#![allow(unsafe_code)]

/// Runs the steps in a child and returns what they return, 0 to 255. By fork(3) of the C library, which leaves the heap
/// usable in the child of a program with threads; a bare clone3(2) may find it locked for ever.
pub(crate) fn run(steps: impl FnOnce() -> i32) -> i32 {
    let mut status = 0;
    // SAFETY: the child runs the steps alone and never returns; `status` is a live int.
    unsafe {
        match libc::fork() {
            0 => crate::process::exit_now(steps()),
            pid => assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid),
        }
    }
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -status }
}
