//! One rtnetlink socket: a request, then everything the kernel says to it, synchronously (rtnetlink(7)).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use urunc_plan::error::abridged;

use super::message::{
    Attrs, Message, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, Reply, u32_at,
};
use super::nft::Batch;
use crate::error::{Result, SysError};

/// A dump never returns more than this in one datagram.
const DATAGRAM: usize = 32 << 10;
/// How often a request is repeated when the kernel is busy or a dump was overtaken by a change.
const ATTEMPTS: usize = 32;
/// `enum nlmsgerr_attrs`: the extended error text.
const NLMSGERR_ATTR_MSG: u16 = 1;
/// Size of `struct nlmsghdr`.
const HEADER: usize = 16;

/// The kernel's refusal, with its own words where it has some.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Cause.
    pub(super) errno: Errno,
    /// Text of the extended acknowledgement; empty when there is none.
    pub(super) text: String,
}

impl Refusal {
    /// What was tried on what: `add ingress qdisc to eth0: File exists (os error 17): Exclusivity flag on, …`.
    pub(super) fn on(self, op: &'static str, object: &str) -> SysError {
        let plain = std::io::Error::from(self.errno);
        if self.text.is_empty() {
            return SysError::new(op, object, plain);
        }
        SysError::new(op, object, std::io::Error::new(plain.kind(), format!("{plain}: {}", self.text)))
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, text: String::new() }
    }
}

/// Makes the datagram of a sequence number, or says what does not fit.
type Finish<'a> = dyn Fn(u32) -> std::result::Result<Vec<u8>, &'static str> + 'a;

/// A socket bound to the network namespace it was made in.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    /// For one datagram. To have one for each answer takes longer than some answers do.
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace; it stays there when the thread moves on.
    pub(super) fn open() -> Result<Self> {
        // Protocol `None` is number 0, NETLINK_ROUTE.
        Self::of(None, "rtnetlink")
    }

    /// As [`Self::open`], for the packet filter; EPROTONOSUPPORT where the kernel has none of nfnetlink.
    pub(super) fn open_netfilter() -> Result<Self> {
        Self::of(Some(netlink::NETFILTER), "nfnetlink")
    }

    fn of(protocol: Option<Protocol>, name: &str) -> Result<Self> {
        let fail = |errno: Errno| SysError::new("open netlink socket", name, errno);
        let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
        let fd = rustix::net::socket_with(family, SocketType::RAW, flags, protocol).map_err(fail)?;
        // A connected socket takes messages from the kernel only, not from other sockets of the namespace.
        rustix::net::connect(&fd, &netlink::SocketAddrNetlink::new(0, 0)).map_err(fail)?;
        // Older kernels lack some of these; they improve errors and checks, nothing depends on them.
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK, libc::NETLINK_GET_STRICT_CHK] {
            enable(&fd, option);
        }
        Ok(Self { fd, sequence: 0, buffer: vec![0; DATAGRAM] })
    }

    /// Sends a request and returns its replies, when the kernel has accepted it.
    pub(super) fn call(&mut self, message: &Message) -> std::result::Result<Vec<Reply>, Refusal> {
        self.persist(&|sequence| message.finish(sequence))
    }

    /// Makes the changes of a batch; on a refusal none of them is made.
    pub(super) fn commit(&mut self, batch: &Batch) -> std::result::Result<(), Refusal> {
        self.persist(&|sequence| batch.finish(sequence)).map(drop)
    }

    fn persist(&mut self, finish: &Finish<'_>) -> std::result::Result<Vec<Reply>, Refusal> {
        for _ in 0..ATTEMPTS {
            match self.exchange(finish) {
                // EINTR is a dump that a change has overtaken (NLM_F_DUMP_INTR).
                Err(Refusal { errno: Errno::BUSY | Errno::INTR, .. }) => rustix::thread::sched_yield(),
                outcome => return outcome,
            }
        }
        self.exchange(finish)
    }

    fn exchange(&mut self, finish: &Finish<'_>) -> std::result::Result<Vec<Reply>, Refusal> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes =
            finish(self.sequence).map_err(|fault| Refusal { errno: Errno::INVAL, text: fault.to_owned() })?;
        rustix::io::retry_on_intr(|| rustix::net::send(&self.fd, &bytes, SendFlags::empty()))?;
        let mut answer = Answer::to(self.sequence);
        loop {
            let length = self.receive()?;
            let datagram = self.buffer.get_mut(..length).unwrap_or_default();
            let whole = answer.take(datagram);
            // Whatever is read next, nothing of this one is taken for a part of it.
            datagram.fill(0);
            if whole? {
                return Ok(answer.replies);
            }
        }
    }

    /// Rtnetlink answers inside `send`, and continues a dump inside `recv`: an empty queue means that no answer will
    /// ever come, so waiting could only hang.
    fn receive(&mut self) -> std::result::Result<usize, Refusal> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let buffer = self.buffer.as_mut_slice();
        let (_, length) = rustix::io::retry_on_intr(|| rustix::net::recv(&self.fd, &mut *buffer, flags))?;
        if length > buffer.len() { Err(Errno::MSGSIZE.into()) } else { Ok(length) }
    }
}

/// Hears that something has changed in the network namespace it was made in.
#[derive(Debug)]
pub(super) struct Changes(OwnedFd);

impl Changes {
    /// Subscribes the calling thread's network namespace; `groups` is a mask of RTMGRP_* (`linux/rtnetlink.h`).
    pub(super) fn open(groups: u32) -> Result<Self> {
        let fail = |errno: Errno| SysError::new("listen to", "rtnetlink", errno);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).map_err(fail)?;
        rustix::net::bind(&fd, &netlink::SocketAddrNetlink::new(0, groups)).map_err(fail)?;
        Ok(Self(fd))
    }

    /// Forgets what has come. A queue that ran over is one that something has come to.
    pub(super) fn clear(&self) {
        let mut byte = [0; 1];
        while rustix::net::recv(&self.0, &mut byte, RecvFlags::DONTWAIT).is_ok() {}
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What the kernel says to one request, datagram by datagram.
#[derive(Debug)]
pub(super) struct Answer {
    sequence: u32,
    /// All but the verdict.
    pub(super) replies: Vec<Reply>,
    overtaken: bool,
}

impl Answer {
    /// Nothing yet; `sequence` is the `nlmsg_seq` of the request.
    pub(super) fn to(sequence: u32) -> Self {
        Self { sequence, replies: Vec::new(), overtaken: false }
    }

    /// Adds a datagram; true when it ends the answer.
    pub(super) fn take(&mut self, datagram: &[u8]) -> std::result::Result<bool, Refusal> {
        let mut rest = datagram;
        while !rest.is_empty() {
            let (reply, next) = Reply::split(rest).ok_or(Errno::BADMSG)?;
            rest = next;
            if reply.sequence != self.sequence {
                continue; // the tail of a request that ended early
            }
            self.overtaken |= reply.flags & NLM_F_DUMP_INTR != 0;
            match reply.kind {
                NLMSG_ERROR | NLMSG_DONE => {
                    verdict(&reply)?;
                    return if self.overtaken { Err(Errno::INTR.into()) } else { Ok(true) };
                }
                _ => self.replies.push(reply),
            }
        }
        Ok(false)
    }
}

/// Reads NLMSG_ERROR and NLMSG_DONE: both start with a negative errno or zero.
fn verdict(reply: &Reply) -> std::result::Result<(), Refusal> {
    let code = u32_at(&reply.body, 0).ok_or(Errno::BADMSG)?.cast_signed();
    if code >= 0 {
        return Ok(());
    }
    let is_error = reply.kind == NLMSG_ERROR;
    let capped = reply.flags & NLM_F_CAPPED != 0;
    let echoed = match (is_error, capped) {
        (false, _) => 0,
        (true, true) => HEADER,
        // The whole request is repeated before the attributes.
        (true, false) => {
            u32_at(&reply.body, 4).and_then(|length| usize::try_from(length).ok()).unwrap_or(HEADER)
        }
    };
    let attrs = Attrs(reply.body.get(4usize.saturating_add(echoed.min(DATAGRAM))..).unwrap_or_default());
    let acked = reply.flags & NLM_F_ACK_TLVS != 0;
    let text =
        if acked { abridged(attrs.text(NLMSGERR_ATTR_MSG).trim_end_matches('.')) } else { String::new() };
    // Error numbers end at MAX_ERRNO (linux/err.h).
    let number = Some(code.saturating_neg()).filter(|number| *number < 4096);
    Err(Refusal { errno: number.map_or(Errno::BADMSG, Errno::from_raw_os_error), text })
}

#[allow(unsafe_code)]
fn enable(fd: &OwnedFd, option: libc::c_int) {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or_default();
    // SAFETY: `on` lives across the call and `size` is its size; setsockopt(2) only reads it.
    unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), size) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(body: &[u8], kind: u16, flags: u16) -> Refusal {
        verdict(&Reply { kind, flags, sequence: 1, body: body.to_vec() }).unwrap_err()
    }

    #[test]
    fn the_kernels_text_is_found_behind_a_capped_and_a_whole_request() {
        let text = [&14u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"no device\0\0\0"].concat();
        let code = (-19i32).to_ne_bytes();
        let header = |length: u32| [&length.to_ne_bytes()[..], &[0; 12]].concat();
        let capped = [&code[..], &header(40), &text].concat();
        let whole = [&code[..], &header(40), &[7; 24], &text].concat();
        let done = [&code[..], &text].concat();
        let sentence = [&code[..], &15u16.to_ne_bytes(), &1u16.to_ne_bytes(), b"no device.\0\0"].concat();
        let tlvs = NLM_F_ACK_TLVS;
        for refusal in [
            refused(&capped, NLMSG_ERROR, tlvs | NLM_F_CAPPED),
            refused(&whole, NLMSG_ERROR, tlvs),
            refused(&done, NLMSG_DONE, tlvs),
            refused(&sentence, NLMSG_DONE, tlvs),
        ] {
            let said = refusal.on("find device", "eth7");
            assert_eq!(said.to_string(), "find device eth7");
            assert_eq!(said.source.to_string(), "No such device (os error 19): no device");
        }
        let silent = refused(&capped, NLMSG_ERROR, NLM_F_CAPPED).on("find device", "eth7");
        assert_eq!(silent.source.raw_os_error(), Some(19));
    }

    proptest! {
        #[test]
        fn any_verdict_is_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..64), flags in any::<u16>()) {
            for kind in [NLMSG_ERROR, NLMSG_DONE] {
                let _ = verdict(&Reply { kind, flags, sequence: 1, body: body.clone() });
            }
        }
    }
}
