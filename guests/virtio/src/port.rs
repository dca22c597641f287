//! A network device with the machine's clock, as the network stack wants them.

use core::hint;

use guest::Port;
use virtio::clock::Clock;
use virtio::net::Net;
use virtio::platform::Platform;
use virtio::{end, println};

/// A reply often comes so soon that no sleep is worth its interrupt, nanoseconds.
const AWAKE: u64 = 50_000;
/// Shortest and longest sleep between looks at the device, nanoseconds.
const NAP: u64 = 100_000;
const SLEEP: u64 = 5_000_000;

/// Time between looks at the power button, nanoseconds.
const LOOK: u64 = 10_000_000;

/// The device and the clock, and somebody's finger on the power button.
pub(crate) struct Wire {
    net: Net,
    clock: Clock,
    platform: Platform,
    next_look: u64,
}

impl Wire {
    /// This device.
    pub(crate) fn new(net: Net) -> Self {
        let platform = Platform::find();
        platform.watch_button();
        Self { net, clock: Clock::start(), platform, next_look: 0 }
    }

    /// Powers the machine off when it is asked to.
    fn look(&mut self, now: u64) {
        if now >= self.next_look {
            self.next_look = now + LOOK;
            if self.platform.is_button_pressed() {
                println!("http: power button");
                end::power_off();
            }
        }
    }
}

impl Port for Wire {
    fn mac(&self) -> [u8; 6] {
        self.net.mac
    }

    fn mtu(&self) -> u16 {
        self.net.mtu
    }

    fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        self.look(self.clock.now());
        self.net.receive(buffer)
    }

    fn can_send(&mut self) -> bool {
        self.net.can_send()
    }

    fn send(&mut self, frame: &[u8]) {
        self.net.send(frame);
    }

    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn seed(&self) -> u64 {
        Clock::ticks()
    }

    /// The device interrupts nobody: it is looked at, less and less often.
    fn sleep_until(&mut self, deadline: u64) {
        self.net.tell();
        let start = self.now();
        let mut sleep = NAP;
        while !self.net.is_ready() {
            let now = self.now();
            self.look(now);
            if now >= deadline {
                return;
            }
            if now - start < AWAKE {
                hint::spin_loop();
                continue;
            }
            self.clock.sleep(sleep.min(deadline - now));
            sleep = (sleep * 2).min(SLEEP);
        }
    }
}
