//! Netlink messages as bytes: a builder that never shortens and a parser that never trusts (netlink(7)).

/// Size of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Size of `struct nlattr`.
const ATTR_HEADER: usize = 4;
/// The upper two bits of an attribute's type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
const ATTR_TYPE_MASK: u16 = 0x3fff;

/// `nlmsg_flags` and the control messages of `linux/netlink.h`, as wide as they are in the header.
pub(super) const NLM_F_REQUEST: u16 = 0x1;
pub(super) const NLM_F_ACK: u16 = 0x4;
pub(super) const NLM_F_DUMP_INTR: u16 = 0x10;
pub(super) const NLM_F_CAPPED: u16 = 0x100;
pub(super) const NLM_F_EXCL: u16 = 0x200;
pub(super) const NLM_F_ACK_TLVS: u16 = 0x200;
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;

/// A request under construction.
///
/// What does not fit its length field makes the whole message invalid: a length that wraps around would let the rest
/// of the payload be read as attributes of its own (CVE-2021-43784).
#[derive(Debug, Clone)]
pub(super) struct Message {
    bytes: Vec<u8>,
    fault: Option<&'static str>,
}

impl Message {
    /// A message of type `kind` that starts with the fixed structure `body`.
    pub(super) fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        // With an acknowledgement every exchange has an end, whatever the request is.
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        bytes.extend_from_slice(body);
        let mut message = Self { bytes, fault: None };
        message.pad();
        message
    }

    /// The same without an acknowledgement: another message ends the exchange.
    pub(super) fn unacknowledged(mut self) -> Self {
        let flags = u16_at(&self.bytes, 6).unwrap_or_default() & !NLM_F_ACK;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self
    }

    /// Appends one attribute.
    pub(super) fn attr(self, kind: u16, payload: &[u8]) -> Self {
        self.nest(kind, |mut inner| {
            inner.bytes.extend_from_slice(payload);
            inner
        })
    }

    /// Appends a number in host byte order.
    pub(super) fn number(self, kind: u16, value: u32) -> Self {
        self.attr(kind, &value.to_ne_bytes())
    }

    /// Appends a string with its terminating NUL.
    pub(super) fn text(mut self, kind: u16, value: &str) -> Self {
        if value.contains('\0') {
            self.fault = Some("a name contains a NUL byte");
        }
        self.attr(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Appends an interface name, which has 1 to 15 bytes.
    pub(super) fn name(mut self, kind: u16, value: &str) -> Self {
        if !(1..libc::IFNAMSIZ).contains(&value.len()) {
            self.fault = Some("an interface name has 1 to 15 bytes");
        }
        self.text(kind, value)
    }

    /// Appends an attribute that holds what `fill` appends.
    pub(super) fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; ATTR_HEADER]);
        let mut whole = fill(self);
        match u16::try_from(whole.bytes.len() - start) {
            Ok(length) => {
                whole.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
                whole.bytes[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
            }
            Err(_) => whole.fault = Some("an attribute is longer than 65535 bytes"),
        }
        whole.pad();
        whole
    }

    /// The finished bytes, with length and sequence number; the reason when something did not fit.
    pub(super) fn finish(&self, sequence: u32) -> Result<Vec<u8>, &'static str> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let length = u32::try_from(self.bytes.len()).map_err(|_| "a message is longer than 4 GiB")?;
        let mut bytes = self.bytes.clone();
        bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        Ok(bytes)
    }

    fn pad(&mut self) {
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }
}

/// One received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// `nlmsg_type`.
    pub(super) kind: u16,
    /// `nlmsg_flags`.
    pub(super) flags: u16,
    /// `nlmsg_seq`.
    pub(super) sequence: u32,
    /// What follows the header.
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Splits the first message off a datagram; `None` when its header or length is broken.
    pub(super) fn split(datagram: &[u8]) -> Option<(Self, &[u8])> {
        let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
        let body = datagram.get(HEADER..length)?.to_vec();
        let reply = Self {
            kind: u16_at(datagram, 4)?,
            flags: u16_at(datagram, 6)?,
            sequence: u32_at(datagram, 8)?,
            body,
        };
        Some((reply, datagram.get(aligned(length)..).unwrap_or_default()))
    }

    /// The attributes behind a fixed structure of `fixed` bytes.
    pub(super) fn attrs(&self, fixed: usize) -> Attrs<'_> {
        Attrs(self.body.get(aligned(fixed)..).unwrap_or_default())
    }
}

/// Attributes in order, as (type, payload). Ends at the first one whose length does not fit.
#[derive(Debug, Clone)]
pub(super) struct Attrs<'a>(pub(super) &'a [u8]);

impl<'a> Attrs<'a> {
    /// Payload of the first attribute of type `kind`.
    pub(super) fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.clone().find(|(found, _)| *found == kind).map(|(_, payload)| payload)
    }

    /// The attributes inside the first attribute of type `kind`; none when it is missing.
    pub(super) fn inside(&self, kind: u16) -> Attrs<'a> {
        Attrs(self.get(kind).unwrap_or_default())
    }

    /// A number in host byte order.
    pub(super) fn number(&self, kind: u16) -> Option<u32> {
        u32_at(self.get(kind)?, 0)
    }

    /// A string up to its NUL; empty when missing. Bytes that are not UTF-8 are replaced.
    pub(super) fn text(&self, kind: u16) -> String {
        let bytes = self.get(kind).unwrap_or_default();
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & ATTR_TYPE_MASK;
        let payload = self.0.get(ATTR_HEADER..length)?;
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some((kind, payload))
    }
}

/// Host-order number at `offset`, if it is there.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u32::from_ne_bytes(*chunk))
}

/// Host-order number at `offset`, if it is there.
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u16::from_ne_bytes(*chunk))
}

/// Rounds up to NLMSG_ALIGNTO, which is NLA_ALIGNTO too.
pub(super) fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Reply {
        let (reply, rest) = Reply::split(bytes).expect("a whole message");
        assert!(rest.is_empty());
        reply
    }

    #[test]
    fn nested_attributes_come_back() {
        let message = Message::new(7, NLM_F_EXCL, &[9; 5])
            .name(1, "eth0")
            .nest(2, |inner| inner.text(3, "u32").attr(4, &[1, 2, 3]).number(5, 77));
        let reply = parse(&message.finish(42).unwrap());
        assert_eq!(
            (reply.kind, reply.flags, reply.sequence),
            (7, NLM_F_REQUEST | NLM_F_ACK | NLM_F_EXCL, 42)
        );
        let attrs = reply.attrs(5);
        assert_eq!(attrs.text(1), "eth0");
        let inner = attrs.inside(2);
        assert_eq!(
            (inner.text(3).as_str(), inner.get(4), inner.number(5)),
            ("u32", Some(&[1, 2, 3][..]), Some(77))
        );
        assert_eq!(inner.count(), 3);
    }

    #[test]
    fn interface_names_have_1_to_15_bytes() {
        for (length, fits) in [(0, false), (1, true), (15, true), (16, false), (300, false)] {
            let message = Message::new(1, 0, &[]).name(3, &"x".repeat(length));
            assert_eq!(message.finish(1).is_ok(), fits, "{length} bytes");
        }
        assert!(Message::new(1, 0, &[]).name(3, "a\0b").finish(1).is_err());
    }

    #[test]
    fn a_length_that_would_wrap_is_an_error_in_the_outer_attribute_too() {
        let just = Message::new(1, 0, &[]).attr(1, &vec![0; 65531]);
        assert!(just.finish(1).is_ok());
        assert!(Message::new(1, 0, &[]).attr(1, &vec![0; 65532]).finish(1).is_err());
        let half = vec![0; 40_000];
        let both = Message::new(1, 0, &[]).nest(1, |inner| inner.attr(2, &half).attr(3, &half));
        assert!(both.finish(1).is_err());
        assert!(Message::new(1, 0, &[]).attr(2, &half).attr(3, &half).finish(1).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_built_is_whole_or_refused(length in 0usize..=1 << 17, tail in any::<u8>()) {
            let payload = vec![tail; length];
            match Message::new(1, 0, &[0; 16]).attr(5, &payload).text(6, "end").finish(1) {
                Ok(bytes) => {
                    prop_assert!(length <= 65531);
                    let reply = parse(&bytes);
                    prop_assert_eq!(reply.attrs(16).get(5), Some(&payload[..]));
                    prop_assert_eq!(reply.attrs(16).text(6), "end");
                    prop_assert_eq!(reply.attrs(16).count(), 2);
                }
                Err(_) => prop_assert!(length > 65531),
            }
        }

        #[test]
        fn arbitrary_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..600), len in 0u32..80, alen in 0u16..40) {
            // Plausible lengths first, so that the parser gets past its first check often enough.
            let mut bytes = bytes;
            for (at, value) in [(0, &len.to_ne_bytes()[..]), (16, &alen.to_ne_bytes()[..])] {
                if let Some(place) = bytes.get_mut(at..at + value.len()) {
                    place.copy_from_slice(value);
                }
            }
            let mut rest = &bytes[..];
            while let Some((reply, next)) = Reply::split(rest) {
                prop_assert!(next.len() < rest.len());
                rest = next;
                for fixed in [0, 4, 20, 700] {
                    let attrs = reply.attrs(fixed);
                    prop_assert!(attrs.clone().count() * ATTR_HEADER <= reply.body.len());
                    for kind in 0..32 {
                        let _ = (attrs.text(kind), attrs.number(kind), attrs.inside(kind).count());
                    }
                }
            }
        }
    }
}
