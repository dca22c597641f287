//! The command of the guest: `process.args`, or the key `cmdline` where an engine had to invent args.

use crate::error::excerpt;
use crate::launch::Notice;
use crate::{PlanError, Request};

/// Where Docker's `--init` binds its init, and the args it puts in front.
pub const DOCKER_INIT: &str = "/sbin/docker-init";

/// The words, and a notice when they are not `process.args`.
///
/// Engines demand a command even for an image that has none, so guides tell users to write `unikernel`, and pod
/// templates have `sleep infinity`: with the key `cmdline` these stand for it.
///
/// # Errors
/// There is no command at all, or a word contains a NUL byte.
pub fn words(req: &Request) -> Result<(Vec<String>, Option<Notice>), PlanError> {
    let args = match req.args.as_slice() {
        [init, dashes, rest @ ..] if init == DOCKER_INIT && dashes == "--" => rest,
        args => args,
    };
    if let Some(bad) = args.iter().chain(&req.env).find(|word| word.contains('\0')) {
        return Err(PlanError::config("process", format!("\"{}\" contains a NUL byte", excerpt(bad))));
    }
    if !matches!(req.cwd.as_bytes(), [] | [b'/', ..]) || req.cwd.contains('\0') {
        return Err(PlanError::config(
            "process.cwd",
            format!("\"{}\" is not an absolute path", excerpt(&req.cwd)),
        ));
    }
    let placeholder = match args {
        [] => true,
        [word] => word == "unikernel",
        [first, second] => first == "sleep" && second == "infinity",
        _ => false,
    };
    let from_key: Vec<String> = req.image.cmdline.split_whitespace().map(str::to_owned).collect();
    if placeholder && !from_key.is_empty() {
        let text = format!("the command is the image's cmdline, because process.args is {args:?}");
        return Ok((from_key, Some(Notice { warn: false, text })));
    }
    if args.is_empty() {
        return Err(PlanError::config("process.args", "no command, and the image has no key cmdline"));
    }
    Ok((args.to_vec(), None))
}
