//! The image: for this host, for the planned target, and not larger than its memory.

use urunc_plan::launch::{Target, Tender};
use urunc_plan::solo5::{self, Load, Solo5Image, TARGET_HVT, TARGET_SPT};

use crate::TenderError;
use crate::sys::File;

/// EM_X86_64.
#[cfg(target_arch = "x86_64")]
const ELF_MACHINE: u16 = 62;
/// EM_AARCH64.
#[cfg(target_arch = "aarch64")]
const ELF_MACHINE: u16 = 183;

/// Reads headers and notes again, and checks them: since the plan the file may have become another.
pub(crate) fn read(file: &File<'_>, plan: &Tender) -> Result<(Solo5Image, Load), TenderError> {
    let (image, load) = solo5::parse_load(file)
        .map_err(TenderError::Image)?
        .ok_or_else(|| TenderError::Image("not a Solo5 image: no ABI note".to_owned()))?;
    check(&image, &load, plan)?;
    Ok((image, load))
}

fn check(image: &Solo5Image, load: &Load, plan: &Tender) -> Result<(), TenderError> {
    let bad = |why: String| Err(TenderError::Image(why));
    let (name, target) = match plan.target {
        Target::Spt => ("spt", TARGET_SPT),
        Target::Hvt => ("hvt", TARGET_HVT),
    };
    if image.machine != ELF_MACHINE {
        return bad(format!("made for ELF machine {}, this host is {ELF_MACHINE}", image.machine));
    }
    if image.target != target {
        return bad(format!("made for ABI target {}, not {target} ({name})", image.target));
    }
    if !(1..=2).contains(&image.version) {
        return bad(format!("{name} ABI version {}, not 1 or 2", image.version));
    }
    let size = plan.memory_mib.saturating_mul(1 << 20);
    let needed = image.end.max(load.kernel_end);
    if needed >= size {
        let why = format!("the image ends at {needed:#x} and needs a stack above");
        return Err(TenderError::Memory { mib: plan.memory_mib, why });
    }
    Ok(())
}
