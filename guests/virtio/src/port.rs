//! A network device with the machine's clock, as the network stack wants them.

use core::hint;

use guest::Port;
use virtio::clock::Clock;
use virtio::net::Net;

/// A reply often comes so soon that no sleep is worth its interrupt, nanoseconds.
const AWAKE: u64 = 50_000;
/// Shortest and longest sleep between looks at the device, nanoseconds.
const NAP: u64 = 100_000;
const SLEEP: u64 = 5_000_000;

/// The device and the clock.
pub(crate) struct Wire {
    net: Net,
    clock: Clock,
}

impl Wire {
    /// This device.
    pub(crate) fn new(net: Net) -> Self {
        Self { net, clock: Clock::start() }
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
