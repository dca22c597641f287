//! What a guest with a network needs of the ABI that it is made for.

/// A network device, and the time.
pub trait Port {
    /// Hardware address.
    fn mac(&self) -> [u8; 6];

    /// MTU, bytes.
    fn mtu(&self) -> u16;

    /// Takes a frame that came; `None` when there is none.
    fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a [u8]>;

    /// A frame can be sent now. One that is sent all the same may be lost.
    fn can_send(&mut self) -> bool {
        true
    }

    /// Sends a frame; one that the host does not take is lost, as on any wire.
    fn send(&mut self, frame: &[u8]);

    /// Time since any moment before the guest's start, nanoseconds.
    fn now(&self) -> u64;

    /// A number that is another one at the next start.
    fn seed(&self) -> u64;

    /// Waits until this time at the latest, or until a frame comes.
    fn sleep_until(&mut self, deadline: u64);
}
