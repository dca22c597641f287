//! The way of a guest's file into its initrd.

use crate::error::excerpt;
use crate::guest::Config;
use crate::launch::{GeneratedFile, Member, Root};
use crate::{PlanError, Request, cpio};

/// The initrd in the private root.
const TARGET: &str = "/guest/initrd";

/// Bytes of the private root that the file takes, with the copy of the image's initrd that it goes into.
pub(crate) fn copied(req: &Request, config: Option<&Config>) -> u64 {
    let Some(config) = config else { return 0 };
    let own = req.initrd_bytes.filter(|_| !req.image.initrd.is_empty());
    let own = own.map_or(0, |bytes| bytes.saturating_add(1 << 20));
    own.saturating_add((config.content.len() as u64).next_multiple_of(4096))
}

/// Adds the file: into the image's initrd, else in its place.
///
/// # Errors
/// The image's initrd is too large to be copied.
pub(crate) fn add(root: &mut Root, req: &Request, config: Option<Config>) -> Result<(), PlanError> {
    let bytes = copied(req, config.as_ref());
    let Some(Config { name, content }) = config else { return Ok(()) };
    if bytes > cpio::LIMIT {
        let why = format!("{bytes} bytes, at most {} can be given a file for init", cpio::LIMIT);
        return Err(PlanError::File { file: format!("initrd {}", excerpt(&req.image.initrd)), why });
    }
    root.tmpfs_bytes = root.tmpfs_bytes.saturating_add(bytes);
    match root.image_files.iter_mut().find(|file| file.target == TARGET) {
        Some(file) => file.member = Some(Member { name, content }),
        None => root.files.push(GeneratedFile { path: TARGET.to_owned(), mode: 0o400, owned: true, content }),
    }
    Ok(())
}
