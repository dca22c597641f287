//! urunit, the init program of Linux images: environment, user and directory of the application are lines of a file, so
//! that they neither count against the kernel's limits nor become its parameters.

use crate::PlanError;
use crate::cmdline::cannot_carry;
use crate::error::excerpt;
use crate::guest::{Boot, Config};

/// Where a kernel shows an initrd that is no archive, and that it was told to keep.
const WHOLE: &str = "/sys/firmware/initrd";
/// Name of the file in the guest's own initrd.
const MEMBER: &str = "urunit.conf";

/// Is init urunit? Its images call it `/urunit`.
pub(super) fn is_init(boot: &Boot<'_>) -> bool {
    boot.args.first().is_some_and(|app| app.rsplit('/').next() == Some("urunit"))
}

/// The words that lead it to its file.
pub(super) fn words(boot: &Boot<'_>) -> String {
    if boot.initrd {
        format!("URUNIT_CONFIG=/{MEMBER}")
    } else {
        format!("retain_initrd URUNIT_CONFIG={WHOLE}")
    }
}

/// The file: blocks of lines between marks. It is read as text that ends with NUL.
pub(super) fn config(boot: &Boot<'_>) -> Result<Config, PlanError> {
    let mut lines = vec!["UES".to_owned()];
    for entry in boot.env {
        if entry.find('=').is_none_or(|at| at == 0) {
            return Err(PlanError::config(
                "process.env",
                format!("\"{}\" is not NAME=value", excerpt(entry)),
            ));
        }
        if entry.starts_with("UEE") || entry.contains('\n') {
            return Err(cannot_carry(
                "urunit",
                "a newline, or a variable whose name begins with UEE,",
                entry,
            ));
        }
        lines.push(entry.clone());
    }
    lines.extend(["UEE", "UCS"].map(str::to_owned));
    let cwd = if boot.cwd.is_empty() { "/" } else { boot.cwd };
    if cwd.contains('\n') {
        return Err(cannot_carry("urunit", "a newline", cwd));
    }
    lines.extend([format!("UID:{}", boot.user.0), format!("GID:{}", boot.user.1), format!("WD:{cwd}")]);
    let args = boot.args.get(1..).unwrap_or_default();
    lines.push(format!("ARC:{}", args.len()));
    for arg in args {
        // It takes such a word for the beginning of several.
        if arg.starts_with('\'') && !arg.ends_with('\'') {
            return Err(cannot_carry("urunit", "a single quote at the beginning", arg));
        }
        lines.push(format!("ARV:{arg}"));
    }
    lines.push("UCE".to_owned());
    Ok(Config { name: MEMBER.to_owned(), content: format!("{}\n\0\0\0\0", lines.join("\n")) })
}
