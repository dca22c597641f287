//! The kernel of an image, where no key names it, and what lies beside it.

use std::io::ErrorKind;

use anyhow::Context;
use rustix::io::Errno;
use urunc_plan::PlanError;
use urunc_plan::input::ImageKeys;
use urunc_plan::kernel::{self, KernelFacts};
use urunc_plan::look::{self, Initrd, PLACES, Place};
use urunc_plan::read::ReadAt;
use urunc_plan::settings::Settings;
use urunc_sys::inroot::{self, Opened, Want};

use super::{File, Image, monitor};

/// Reads the kernel file, and completes the keys by it.
pub(super) fn into(
    image: &mut Image,
    keys: &mut ImageKeys,
    settings: &Settings,
    preference: &[String],
) -> anyhow::Result<KernelFacts> {
    let mut beside = None;
    if keys.binary.is_empty() {
        let place = image.place()?.ok_or_else(missing)?;
        place.kernel.clone_into(&mut keys.binary);
        keys.found.insert("binary".to_owned(), format!("{}, where image tools put it", place.kernel));
        beside = image.probe(place.initrd)?.map(|opened| (place, Initrd::of(&head(opened))));
    }
    let opened = image.open_key("binary", &keys.binary, Want::Regular)?;
    let facts = kernel::inspect(&File(opened.fd.into(), opened.bytes));
    if keys.guest.is_empty() || beside.is_some() {
        look::complete(keys, &facts, beside)?;
    }
    if keys.monitor.is_empty() {
        let candidates = look::candidates(keys, &facts, preference);
        let here = |name: &str| monitor::is_here(name, settings);
        look::choose(keys, &candidates, !preference.is_empty(), (here, urunc_sys::kvm::probe))?;
    }
    Ok(facts)
}

fn missing() -> PlanError {
    let places = PLACES.map(|place| place.kernel).join(" nor ");
    PlanError::key("binary", format!("missing, and the image has neither {places}"))
}

fn head(opened: Opened) -> [u8; 16] {
    let mut head = [0; 16];
    let file = File(opened.fd.into(), opened.bytes);
    let length = usize::try_from(file.size().min(16)).unwrap_or(0);
    // Of a file that cannot be read nothing is known.
    let _ = file.read_at(0, &mut head[..length]);
    head
}

impl Image {
    /// Has it a kernel where image tools put one, that says by itself what it is?
    ///
    /// # Errors
    /// As for any file that is there and cannot be opened.
    pub fn has_kernel(&self) -> anyhow::Result<bool> {
        let Some(place) = self.place()? else { return Ok(false) };
        let opened = self.probe(place.kernel)?;
        Ok(opened.is_some_and(|opened| look::tells(&kernel::inspect(&File(opened.fd.into(), opened.bytes)))))
    }

    fn place(&self) -> anyhow::Result<Option<Place>> {
        for place in PLACES {
            if self.probe(place.kernel)?.is_some() {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// A file that nobody named: what is no regular file is none.
    fn probe(&self, path: &str) -> anyhow::Result<Option<Opened>> {
        use ErrorKind::{InvalidInput, NotADirectory, NotFound};
        match inroot::open(self.root(), path, Want::Regular, false) {
            Err(error) if error.source.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Ok(None),
            Err(error) if matches!(error.source.kind(), InvalidInput | NotADirectory | NotFound) => Ok(None),
            opened => Ok(Some(opened.with_context(|| path.to_owned())?)),
        }
    }
}
