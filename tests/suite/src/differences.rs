//! Where a runtime is known not to do what a case asks: each row says why, and the suite fails when it is no longer so.

use crate::sandbox::Flavour;

/// (runtime, case, reason).
const DIFFERENCES: &[(Flavour, &str, &str)] = &[
    (
        Flavour::Runc,
        "lifecycle/poststart-hooks-run-at-start-with-a-running-container",
        "runc 1.1 runs poststart hooks at the end of create",
    ),
    (
        Flavour::Runc,
        "lifecycle/a-failing-poststart-hook-fails-start-and-stops",
        "runc 1.1 runs poststart hooks at the end of create, so create fails",
    ),
    (
        Flavour::Runc,
        "lifecycle/a-failing-startContainer-hook-fails-start",
        "runc start does not wait for what init does after it was let go",
    ),
    (
        Flavour::Runc,
        "lifecycle/a-failing-poststop-hook-does-not-stop-the-next-one",
        "runc ends the list of poststop hooks at the first failure",
    ),
    (
        Flavour::Runc,
        "lifecycle/root-propagation-is-the-container-s-only",
        "runc 1.1 leaves the root a private mount when it shall be shared",
    ),
    (
        Flavour::Runc,
        "lifecycle/a-user-namespace-has-users-of-its-own",
        "runc looks for the root as the container's user, who may not enter the suite's directory",
    ),
    (
        Flavour::Runc,
        "crash/create-killed-in-prestart",
        "runc delete --force forgets the cgroups of a create that was killed",
    ),
    (
        Flavour::Runc,
        "crash/create-killed-in-createRuntime",
        "runc delete --force forgets the cgroups of a create that was killed",
    ),
    (
        Flavour::Runc,
        "crash/create-killed-in-createContainer",
        "runc delete --force forgets the cgroups of a create that was killed",
    ),
    (
        Flavour::Runc,
        "crash/create-killed-at-many-moments",
        "runc delete --force forgets the cgroups of a create that was killed",
    ),
    (Flavour::Runc, "crash/start-killed-in-poststart", "runc 1.1 runs poststart hooks at the end of create"),
    (Flavour::Runc, "bad-config/i-35-a-root-on-a-full-file-system", "runc 1.1 does not say what is full"),
    (Flavour::Runc, "bad-config/i-09-the-version-is-missing", "runc 1.1 does not look at it"),
];

/// Why `case` does not hold for `flavour`, if it is known not to.
pub fn reason(flavour: Flavour, case: &str) -> Option<&'static str> {
    DIFFERENCES.iter().find(|(f, name, _)| *f == flavour && *name == case).map(|(_, _, reason)| *reason)
}
