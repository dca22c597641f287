//! What the jail is made of: everything is opened by descriptor before init exists.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use anyhow::Context;
use urunc_plan::launch::{Base, Exec, ImageFile, Member, Target};
use urunc_plan::{LaunchPlan, cpio};
use urunc_sys::root::{self, Access};
use urunc_sys::{atomic, process};

use crate::facts::Image;

/// Name of `/dev/kvm` among a built-in monitor's files.
pub const KVM: &str = "kvm";

/// Everything the jail is made of, opened by `create` before the clone.
#[derive(Debug, Default)]
pub struct Materials {
    /// Detached mounts and where they go, in order.
    pub(super) mounts: Vec<(OwnedFd, String)>,
    /// Device nodes: path, and what is to be there.
    pub(super) devices: Vec<(String, Device)>,
    /// The image's own tree: a mount of it for [`Base::Image`], the directory for [`Base::Chroot`].
    pub(super) base: Option<OwnedFd>,
    /// Path of the image's tree.
    pub rootfs: PathBuf,
    /// Detached mounts of the null device, one for each masked path.
    pub(super) nulls: Vec<OwnedFd>,
    /// Image files that are not given as they are: their path in the private root, and their content.
    pub copies: Vec<(String, Vec<u8>)>,
    /// Files that a built-in monitor uses: those of the image by target, and [`KVM`].
    pub files: Vec<(String, OwnedFd)>,
    /// Engine's console socket.
    pub console: Option<OwnedFd>,
}

/// A device of the host's.
#[derive(Debug)]
pub(super) enum Device {
    /// Its number, for a node of our own.
    Number(u64),
    /// A mount of it: in a user namespace nobody makes nodes.
    Mount(OwnedFd),
}

impl Materials {
    /// Opens what the plan names.
    ///
    /// # Errors
    /// Names the path; nothing has changed on the host.
    pub fn open(plan: &LaunchPlan, image: &mut Image) -> anyhow::Result<Self> {
        let mut materials = Self::default();
        let builtin = matches!(plan.exec, Exec::Tender(_));
        if let Exec::Tender(tender) = &plan.exec
            && tender.target == Target::Hvt
        {
            materials.files.push((KVM.to_owned(), urunc_sys::kvm::open()?));
        }
        for file in &plan.root.image_files {
            let opened = image.take(&file.key, &file.source, file.writable)?;
            if let Some(member) = &file.member {
                materials.copies.push((file.target.clone(), copy(file, member, opened)?));
            } else if builtin {
                materials.files.push((file.target.clone(), opened));
            } else {
                materials.mounts.push((image_mount(file, opened.as_fd())?, file.target.clone()));
            }
        }
        materials.base = match plan.root.base {
            Base::Tmpfs => None,
            Base::Image => Some(root::detached(image.root(), Access::Tree, "rootfs").context("root.path")?),
            Base::Chroot => Some(process::duplicate(image.root())?),
        };
        for bind in &plan.root.binds {
            let mount = root::detached_path(&bind.path, Access::Program).context("monitor file")?;
            materials.mounts.push((mount, bind.path.clone()));
        }
        for path in &plan.root.devices {
            let device = if plan.namespaces.uid_map.is_empty() {
                Device::Number(root::device_number(path)?)
            } else {
                Device::Mount(root::detached_path(path, Access::Device)?)
            };
            materials.devices.push((path.clone(), device));
        }
        for _ in &plan.root.masked {
            materials.nulls.push(root::detached_path("/dev/null", Access::Device)?);
        }
        Ok(materials)
    }
}

fn image_mount(file: &ImageFile, opened: BorrowedFd<'_>) -> anyhow::Result<OwnedFd> {
    let access = if file.writable { Access::Writable } else { Access::Data };
    root::detached(opened, access, &file.source).with_context(|| file.key.clone())
}

/// The archive with its new member.
fn copy(file: &ImageFile, member: &Member, opened: OwnedFd) -> anyhow::Result<Vec<u8>> {
    let named = || format!("{} {}", file.key, file.source);
    let archive = atomic::read_all(opened, &file.source, cpio::LIMIT).with_context(named)?;
    let merged = cpio::with_member(&archive, &member.name, member.content.as_bytes());
    merged.map_err(|why| anyhow::anyhow!(why)).with_context(named)
}
