//! A virtual machine of KVM with one slot of memory and one processor (linux/kvm.h, Documentation/virt/kvm/api.rst).

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::exit::RunPage;
use crate::TenderError;
use crate::load::Memory;

const API_VERSION: i32 = 12;
const GET_API_VERSION: u64 = 0xae00;
const CREATE_VM: u64 = 0xae01;
const CHECK_EXTENSION: u64 = 0xae03;
const GET_VCPU_MMAP_SIZE: u64 = 0xae04;
const CREATE_VCPU: u64 = 0xae41;
const SET_USER_MEMORY_REGION: u64 = 0x4020_ae46;
/// Enters the guest; the one request that is left to a running tender.
pub(super) const RUN: u64 = 0xae80;
const GET_TSC_KHZ: u64 = 0xaea3;

const CAP_GET_TSC_KHZ: u64 = 61;
const CAP_SYNC_REGS: u64 = 74;

/// `struct kvm_userspace_memory_region`.
#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest: u64,
    bytes: u64,
    host: u64,
}

/// `/dev/kvm`.
pub(super) struct Device(pub(super) OwnedFd);

impl Device {
    /// The device behind a descriptor.
    pub(super) fn new(fd: Option<OwnedFd>) -> Result<Self, TenderError> {
        let device = Self(fd.ok_or_else(|| TenderError::Host("no descriptor of /dev/kvm".to_owned()))?);
        let version = number(&device.0, GET_API_VERSION, 0).map_err(named("KVM_GET_API_VERSION"))?;
        if version != API_VERSION {
            return Err(TenderError::Host(format!("KVM of API version {version}, not {API_VERSION}")));
        }
        if !device.has(CAP_GET_TSC_KHZ) {
            return Err(TenderError::Host("KVM does not tell the guest's clock rate (2.6.38)".to_owned()));
        }
        Ok(device)
    }

    fn has(&self, capability: u64) -> bool {
        number(&self.0, CHECK_EXTENSION, capability).is_ok_and(|answer| answer > 0)
    }

    /// A processor of a new machine with this memory. The machine lives as long as its processor, and belongs to this
    /// process: KVM serves no other.
    pub(super) fn processor(&self, memory: &Memory) -> Result<Processor, TenderError> {
        let vm = create(&self.0, CREATE_VM).map_err(named("KVM_CREATE_VM"))?;
        let host = memory.host_range();
        let mut region =
            MemoryRegion { slot: 0, flags: 0, guest: 0, bytes: host.end - host.start, host: host.start };
        exchange(&vm, SET_USER_MEMORY_REGION, &mut region).map_err(named("KVM_SET_USER_MEMORY_REGION"))?;
        let fd = create(&vm, CREATE_VCPU).map_err(named("KVM_CREATE_VCPU"))?;
        let size = number(&self.0, GET_VCPU_MMAP_SIZE, 0).map_err(named("KVM_GET_VCPU_MMAP_SIZE"))?;
        let page = RunPage::map(&fd, usize::try_from(size).unwrap_or_default(), self.has(CAP_SYNC_REGS))?;
        Ok(Processor { fd, page })
    }
}

/// A machine's only processor.
pub(super) struct Processor {
    /// For [`RUN`] and registers.
    pub(super) fd: OwnedFd,
    /// What KVM says of each return.
    pub(super) page: RunPage,
}

impl Processor {
    /// Ticks of the guest's time stamp counter in a second.
    pub(super) fn cycle_freq(&self) -> Result<u64, TenderError> {
        let unstable =
            || TenderError::Host("the time stamp counter is unstable: no clock for the guest".to_owned());
        match number(&self.fd, GET_TSC_KHZ, 0) {
            Ok(khz) => {
                u64::try_from(khz).ok().filter(|khz| *khz > 0).map(|khz| khz * 1000).ok_or_else(unstable)
            }
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Err(unstable()),
            Err(error) => Err(named("KVM_GET_TSC_KHZ")(error)),
        }
    }
}

/// Says which request failed.
pub(super) fn named(request: &'static str) -> impl Fn(std::io::Error) -> TenderError {
    move |source| TenderError::System { call: request.to_owned(), source }
}

/// ioctl(2) with a number or no argument.
fn number(fd: &OwnedFd, request: u64, argument: u64) -> std::io::Result<i32> {
    // SAFETY: the requests used here take a number, or nothing, and touch no memory of ours.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, argument) };
    if answer < 0 { Err(std::io::Error::last_os_error()) } else { Ok(answer) }
}

/// ioctl(2) with a structure of the kernel's layout for `request`.
pub(super) fn exchange<T>(fd: &OwnedFd, request: u64, argument: &mut T) -> std::io::Result<()> {
    // SAFETY: every caller pairs a request with the structure of that request; the borrow outlives the call.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, std::ptr::from_mut(argument)) };
    if answer < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// An ioctl(2) that returns a new descriptor.
fn create(fd: &OwnedFd, request: u64) -> std::io::Result<OwnedFd> {
    let new = number(fd, request, 0)?;
    // SAFETY: the kernel has just made this descriptor (close-on-exec) and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_has_the_size_its_request_encodes() {
        assert_eq!(size_of::<MemoryRegion>() as u64, SET_USER_MEMORY_REGION >> 16 & 0x3fff);
    }
}
