//! Messages as bytes: little-endian, each value aligned to its size from the beginning of the message.

use super::Call;

/// Bytes that tell how long a message is.
pub(super) const HEADER: usize = 16;
/// Longest message accepted, bytes; the specification allows 128 MiB, systemd's answers have some hundred.
pub(super) const MAX_MESSAGE: usize = 1 << 20;

const LITTLE_ENDIAN: u8 = b'l';
const VERSION: u8 = 1;
const METHOD_CALL: u8 = 1;

// Header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

/// What a message is; calls from others are [`Kind::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Return,
    Error,
    Signal,
    Other,
}

/// A received message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// Serial of the call that it answers, else 0.
    pub(crate) reply_to: u32,
    pub(crate) sender: String,
    pub(crate) member: String,
    /// Name of the error.
    pub(crate) error: String,
    pub(crate) body: Vec<u8>,
}

/// Appends values.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    pub(crate) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.align(4);
        self.bytes.extend(value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.align(8);
        self.bytes.extend(value.to_le_bytes());
    }

    /// A string or an object path.
    pub(crate) fn string(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.bytes.extend(text.bytes());
        self.byte(0);
    }

    pub(crate) fn signature(&mut self, text: &str) {
        self.byte(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.bytes.extend(text.bytes());
        self.byte(0);
    }

    /// An array whose elements are aligned to `to`; the space before the first one does not count.
    pub(crate) fn array(&mut self, to: usize, elements: impl FnOnce(&mut Self)) {
        self.u32(0);
        let place = self.bytes.len() - 4;
        self.align(to);
        let begin = self.bytes.len();
        elements(self);
        let length = u32::try_from(self.bytes.len() - begin).unwrap_or(u32::MAX);
        self.bytes[place..place + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Takes values off; `None` is a value that does not fit.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A string or an object path.
    pub(crate) fn string(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.text(length)
    }

    fn signature(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        self.text(length)
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        (self.byte()? == 0).then_some(text)
    }
}

/// A method call.
pub(super) fn method_call(call: &Call<'_>, serial: u32) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes.extend([LITTLE_ENDIAN, METHOD_CALL, 0, VERSION]);
    out.u32(u32::try_from(call.body.len()).unwrap_or(u32::MAX));
    out.u32(serial);
    let fields = [
        (PATH, "o", call.path),
        (INTERFACE, "s", call.interface),
        (MEMBER, "s", call.member),
        (DESTINATION, "s", call.destination),
    ];
    out.array(8, |out| {
        for (code, kind, value) in fields {
            out.align(8);
            out.byte(code);
            out.signature(kind);
            out.string(value);
        }
        if !call.signature.is_empty() {
            out.align(8);
            out.byte(SIGNATURE);
            out.signature("g");
            out.signature(call.signature);
        }
    });
    out.align(8);
    out.bytes.extend(call.body);
    out.bytes
}

/// Length of the whole message that begins with these [`HEADER`] bytes.
pub(super) fn length(header: &[u8]) -> Option<usize> {
    let mut header = Reader::new(header);
    let [endian, _, _, version] = *header.take(4)? else { return None };
    let (body, _serial, fields) = (header.u32()?, header.u32()?, header.u32()?);
    if (endian, version) != (LITTLE_ENDIAN, VERSION) {
        return None;
    }
    let fields = usize::try_from(fields).ok()?.checked_next_multiple_of(8)?;
    HEADER.checked_add(fields)?.checked_add(usize::try_from(body).ok()?)
}

/// A whole message.
pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader::new(bytes);
    let [_, kind, _, _] = *reader.take(4)? else { return None };
    let kind = match kind {
        2 => Kind::Return,
        3 => Kind::Error,
        4 => Kind::Signal,
        _ => Kind::Other,
    };
    let (_, _, fields) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let end = HEADER.checked_add(usize::try_from(fields).ok()?)?;
    let [sender, member, error] = [const { String::new() }; 3];
    let mut message = Message { kind, reply_to: 0, sender, member, error, body: Vec::new() };
    while reader.at < end {
        field(&mut reader, &mut message)?;
        reader.align(8);
    }
    if reader.at != end.checked_next_multiple_of(8)? {
        return None;
    }
    message.body = bytes.get(reader.at..)?.to_vec();
    Some(message)
}

/// One header field; those that nobody asks for are passed over.
fn field(reader: &mut Reader<'_>, message: &mut Message) -> Option<()> {
    reader.align(8);
    let code = reader.byte()?;
    match reader.signature()? {
        "s" | "o" => {
            let value = reader.string()?;
            let place = match code {
                MEMBER => &mut message.member,
                ERROR_NAME => &mut message.error,
                SENDER => &mut message.sender,
                _ => return Some(()),
            };
            value.clone_into(place);
        }
        "u" => {
            let value = reader.u32()?;
            if code == REPLY_SERIAL {
                message.reply_to = value;
            }
        }
        "g" => {
            reader.signature()?;
        }
        _ => return None,
    }
    Some(())
}
