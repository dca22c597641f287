//! Which machine this is, and where it has its switches.

use crate::machine::{in8, in16, out8, out16};
use crate::pci;
use crate::registers::Registers;

/// Vendor and device of Cloud Hypervisor's host bridge.
const CLOUD_HYPERVISOR: u32 = 0x0d57_8086;
/// Registers of a PC's power management as the firmware of QEMU's pc and q35 places them: events, their mask (bit 8 of
/// either is the power button), control.
const PM_EVENTS: u16 = 0x600;
const PM_MASK: u16 = 0x602;
const PM_BUTTON: u16 = 1 << 8;
const PM_CONTROL: u16 = 0x604;
/// Sleep type 0, which is off there, and sleep enable.
const PM_OFF: u16 = 1 << 13;
/// What a sleep control register takes where hardware is reduced (ACPI 6.5, 4.8.3.7): sleep type 5, sleep enable.
const SLEEP_OFF: u8 = 5 << 2 | 1 << 5;
/// That register of Cloud Hypervisor.
const SLEEP_CONTROL: u16 = 0x600;
/// Generic event device of QEMU's microvm: events, which reading clears, and that register.
const GED_EVENTS: u64 = 0xfea0_0000;
const GED_BUTTON: u32 = 1 << 1;
const GED_SLEEP_CONTROL: u64 = 0xfea0_0200;
/// Keyboard controller: data, then status and command.
const KEYBOARD_DATA: u16 = 0x60;
const KEYBOARD: u16 = 0x64;
const HAS_DATA: u8 = 1;
const PULSE_RESET: u8 = 0xfe;
/// Delete, the last of the keys that Firecracker presses to stop a guest (scan code set 2).
const DELETE: u8 = 0x71;
/// What a port without a device reads as.
const NOTHING: u8 = 0xff;

/// A kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// QEMU's pc and q35, and what else is a PC.
    Pc,
    /// QEMU's microvm.
    Microvm,
    /// Firecracker, without a PCI bus.
    Firecracker,
    /// Cloud Hypervisor; Firecracker with a PCI bus has the same one.
    CloudHypervisor,
}

impl Platform {
    /// This machine.
    pub fn find() -> Self {
        match pci::host_bridge() {
            Some(CLOUD_HYPERVISOR) => Self::CloudHypervisor,
            Some(_) => Self::Pc,
            None if has(KEYBOARD) => Self::Firecracker,
            None => Self::Microvm,
        }
    }

    /// Uses the switch. Firecracker has none: a reset ends it.
    pub(crate) fn power_off(self) {
        match self {
            Self::Pc => out16(PM_CONTROL, PM_OFF),
            Self::Microvm => Registers::map(GED_SLEEP_CONTROL, 1).write8(0, SLEEP_OFF),
            Self::Firecracker => {
                pulse_reset();
            }
            Self::CloudHypervisor => out8(SLEEP_CONTROL, SLEEP_OFF),
        }
    }

    /// Says that somebody will look at the power button.
    pub fn watch_button(self) {
        if self == Self::Pc {
            out16(PM_MASK, in16(PM_MASK) | PM_BUTTON);
        }
    }

    /// Somebody has pressed the power button, or the keys that are one. Where Cloud Hypervisor has its button only ACPI
    /// tells.
    pub fn is_button_pressed(self) -> bool {
        match self {
            Self::Pc => in16(PM_EVENTS) & PM_BUTTON != 0,
            Self::Microvm => Registers::map(GED_EVENTS, 4).read32(0) & GED_BUTTON != 0,
            Self::Firecracker | Self::CloudHypervisor => {
                in8(KEYBOARD) & HAS_DATA != 0 && in8(KEYBOARD_DATA) == DELETE
            }
        }
    }
}

/// There is a device at this port.
pub(crate) fn has(port: u16) -> bool {
    in8(port) != NOTHING
}

/// Pulses the reset line; false when there is no keyboard controller.
pub(crate) fn pulse_reset() -> bool {
    let is_there = has(KEYBOARD);
    if is_there {
        out8(KEYBOARD, PULSE_RESET);
    }
    is_there
}
