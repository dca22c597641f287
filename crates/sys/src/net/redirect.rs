//! Ingress redirects: every frame that one device receives leaves through another (tc-u32(8), tc-mirred(8)).
//!
//! One redirect is an ingress qdisc with a single filter of ours. The filter's action carries a cookie, made from the
//! container's id: it stays readable when the target device is gone, and tells our objects from everybody else's.

use std::hash::Hasher;

use rustix::io::Errno;

use super::kept;
use super::message::{Attrs, Message, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Reply, u32_at};
use super::netlink::{Refusal, Socket};
use crate::error::{Result, SysError};

mod wire;

use wire::{
    INGRESS_HANDLE, MIRRED_IFINDEX, TC_H_INGRESS, TCA_ACT_COOKIE, TCA_ACT_OPTIONS, TCA_KIND,
    TCA_MIRRED_PARMS, TCA_OPTIONS, TCM_IFINDEX, TCM_INFO, TCM_PARENT, TCMSG, filter, info, tcmsg,
};
pub(super) use wire::{PREFERENCE, TC_U32_TERMINAL, TCA_U32_ACT, TCA_U32_SEL, copy, u32_filter};

/// Beginning of every cookie of ours.
const MARK: [u8; 8] = *b"urunc v1";

/// Who made a redirect: the mark and a hash of the container's id.
pub(super) type Cookie = [u8; 16];

/// The cookie of a container.
pub(super) fn cookie(id: &str) -> Cookie {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.write(id.as_bytes());
    let mut cookie = [0; 16];
    cookie[..8].copy_from_slice(&MARK);
    cookie[8..].copy_from_slice(&hash.finish().to_be_bytes());
    cookie
}

/// What sits at a device's ingress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ingress {
    /// Nothing.
    Free,
    /// An ingress qdisc without any filter: a redirect that was interrupted half way, or a foreign one not yet used.
    Empty,
    /// A redirect of ours.
    Redirect {
        /// Whose.
        cookie: Cookie,
        /// Index of the device it leads to; 0 when that one is gone.
        target: u32,
        /// No other filter shares the qdisc.
        alone: bool,
    },
    /// Somebody else's.
    Foreign,
}

impl Ingress {
    /// Whether connecting the device has to be refused: everything but a redirect of ours that leads nowhere.
    fn occupied(&self) -> bool {
        !matches!(self, Self::Free | Self::Redirect { target: 0, alone: true, .. })
    }
}

/// Redirects what `from` receives to device `to`. On failure nothing of it is left.
pub(super) fn add(socket: &mut Socket, from: (u32, &str), to: u32, cookie: &Cookie) -> Result<()> {
    let (index, name) = from;
    let create = NLM_F_CREATE | NLM_F_EXCL;
    let qdisc = Message::new(libc::RTM_NEWQDISC, create, &tcmsg(index, INGRESS_HANDLE, TC_H_INGRESS, 0))
        .text(TCA_KIND, "ingress");
    socket.call(&qdisc).map_err(|refusal| refusal.on("add ingress qdisc to", name))?;
    socket.call(&filter(index, to, cookie)).map_err(|refusal| {
        // The qdisc is ours: its creation was exclusive. The first error is the one to report.
        let _ = delete_qdisc(socket, index);
        refusal.on("add redirect to", name)
    })?;
    Ok(())
}

/// What sits at the ingress of each device that has something there, by index.
pub(super) fn ingresses(socket: &mut Socket) -> std::result::Result<Vec<(u32, Ingress)>, Refusal> {
    let mut found = Vec::new();
    for (index, kind) in qdiscs(socket)? {
        found.push((index, classify(socket, index, &kind)?));
    }
    Ok(found)
}

/// Looks at one device's ingress.
fn inspect(socket: &mut Socket, index: u32) -> std::result::Result<Ingress, Refusal> {
    let found = qdiscs(socket)?.into_iter().find(|(device, _)| *device == index);
    found.map_or(Ok(Ingress::Free), |(_, kind)| classify(socket, index, &kind))
}

/// Index and kind of every qdisc at an ingress in the namespace; the kernel's dump knows no narrower request.
fn qdiscs(socket: &mut Socket) -> std::result::Result<Vec<(u32, String)>, Refusal> {
    let replies = socket.call(&Message::new(libc::RTM_GETQDISC, NLM_F_DUMP, &tcmsg(0, 0, 0, 0)))?;
    let at_ingress = |reply: &&Reply| u32_at(&reply.body, TCM_PARENT) == Some(TC_H_INGRESS);
    let pair = |reply: &Reply| Some((u32_at(&reply.body, TCM_IFINDEX)?, reply.attrs(TCMSG).text(TCA_KIND)));
    Ok(replies.iter().filter(at_ingress).filter_map(pair).collect())
}

fn classify(socket: &mut Socket, index: u32, kind: &str) -> std::result::Result<Ingress, Refusal> {
    if kind != "ingress" {
        return Ok(Ingress::Foreign);
    }
    let filters =
        socket.call(&Message::new(libc::RTM_GETTFILTER, NLM_F_DUMP, &tcmsg(index, 0, INGRESS_HANDLE, 0)))?;
    if filters.is_empty() {
        return Ok(Ingress::Empty);
    }
    // One filter is dumped as several messages (itself, its hash table, its key) of one preference.
    let is_ours = |filter: &Reply| u32_at(&filter.body, TCM_INFO).is_some_and(|info| infos().contains(&info));
    let alone = filters.iter().all(is_ours);
    let redirect = filters.iter().find_map(|filter| ours(&filter.attrs(TCMSG)));
    Ok(redirect.map_or(Ingress::Foreign, |(cookie, target)| Ingress::Redirect { cookie, target, alone }))
}

/// Where the redirects of ours among filters lead to.
pub(super) fn targets(filters: &[Reply]) -> Vec<u32> {
    filters.iter().filter_map(|filter| ours(&filter.attrs(TCMSG))).map(|(_, target)| target).collect()
}

/// Cookie and target of a filter of ours.
fn ours(filter: &Attrs<'_>) -> Option<(Cookie, u32)> {
    let action = filter.inside(TCA_OPTIONS).inside(TCA_U32_ACT).inside(1);
    let cookie: Cookie = action.get(TCA_ACT_COOKIE)?.try_into().ok()?;
    let target = u32_at(action.inside(TCA_ACT_OPTIONS).get(TCA_MIRRED_PARMS)?, MIRRED_IFINDEX)?;
    cookie.starts_with(&MARK).then_some((cookie, target))
}

/// Takes a redirect of this container's, or one that was interrupted half way, off a device. Leaves everything else.
pub(super) fn remove(socket: &mut Socket, from: (u32, &str), mine: &Cookie) -> Result<()> {
    let (index, name) = from;
    let failed = |refusal: Refusal| refusal.on("remove redirect from", name);
    let outcome = match inspect(socket, index).map_err(failed)? {
        Ingress::Empty => delete_qdisc(socket, index),
        Ingress::Redirect { cookie, alone: true, .. } if cookie == *mine => delete_qdisc(socket, index),
        // Somebody has added filters beside ours since: the qdisc is theirs now.
        Ingress::Redirect { cookie, .. } if cookie == *mine => delete_filters(socket, index),
        _ => Ok(()),
    };
    match outcome {
        // Gone in the meantime, or the whole device is.
        Err(Refusal { errno: Errno::NODEV | Errno::NOENT | Errno::INVAL, .. }) | Ok(()) => Ok(()),
        Err(refusal) => Err(failed(refusal)),
    }
}

/// Makes room for a redirect: removes one of ours whose target is gone, refuses what is in use. What else its owner has
/// left is for `forget`, and is removed first: the redirect is the sign that there may be something.
pub(super) fn reclaim(
    socket: &mut Socket,
    from: (u32, &str),
    forget: impl FnOnce(&Cookie) -> Result<()>,
) -> Result<()> {
    let (index, name) = from;
    let found = inspect(socket, index).map_err(|refusal| refusal.on("inspect ingress of", name))?;
    if let Ingress::Redirect { cookie, target: 0, alone: true } = &found {
        forget(cookie)?;
    }
    match found {
        Ingress::Free => Ok(()),
        state if state.occupied() => {
            Err(in_use(name, "it already has an ingress or clsact qdisc, which is left as it is"))
        }
        _ => delete_qdisc(socket, index).map_err(|refusal| refusal.on("remove leftover redirect from", name)),
    }
}

/// Takes redirects of ours that lead nowhere off a device, and what else their owner has left, as [`reclaim`] does; what
/// is somebody else's stays and is no hindrance.
pub(super) fn release(
    socket: &mut Socket,
    from: (u32, &str),
    forget: impl FnOnce(&Cookie) -> Result<()>,
) -> Result<()> {
    let (index, name) = from;
    let failed = |refusal: Refusal| refusal.on("remove leftover redirect from", name);
    match inspect(socket, index).map_err(failed)? {
        Ingress::Redirect { cookie, target: 0, alone } => {
            forget(&cookie)?;
            let delete = if alone { delete_qdisc } else { delete_filters };
            delete(socket, index).map_err(failed)
        }
        Ingress::Redirect { .. } => Err(in_use(name, "its frames are another unikernel's")),
        _ => Ok(()),
    }
}

fn in_use(name: &str, why: &str) -> SysError {
    SysError::new("connect", name, std::io::Error::new(std::io::ErrorKind::AlreadyExists, why))
}

fn delete_qdisc(socket: &mut Socket, index: u32) -> std::result::Result<(), Refusal> {
    let body = tcmsg(index, INGRESS_HANDLE, TC_H_INGRESS, 0);
    socket.call(&Message::new(libc::RTM_DELQDISC, 0, &body)).map(drop)
}

/// Deletes all filters of ours, and leaves the qdisc to others.
fn delete_filters(socket: &mut Socket, index: u32) -> std::result::Result<(), Refusal> {
    infos().into_iter().try_for_each(|info| {
        match socket.call(&Message::new(libc::RTM_DELTFILTER, 0, &tcmsg(index, 0, INGRESS_HANDLE, info))) {
            // There are none of this kind.
            Err(Refusal { errno: Errno::NOENT | Errno::INVAL, .. }) | Ok(_) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    })
}

/// `tcm_info` of all filters that a device of the container can have from us.
fn infos() -> [u32; 3] {
    [info(), kept::COPIED_ARP, kept::KEPT_ANSWERS]
}

/// FNV-1a: stable across builds, unlike the standard library's hasher.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;

    /// Runs `f` on a thread in a new namespace with the veth pair v2, v3 (their indexes).
    fn with_pair(f: impl FnOnce(&mut Socket) + Send + 'static) {
        let thread = std::thread::spawn(move || {
            // SAFETY: unshare(2) of a network namespace touches no memory, and only this thread moves.
            let outcome = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(outcome, 0, "unshare: {}", std::io::Error::last_os_error());
            let words = "link add v2 index 2 type veth peer name v3 index 3";
            assert!(std::process::Command::new("ip").args(words.split(' ')).status().unwrap().success());
            f(&mut Socket::open().unwrap());
        });
        thread.join().unwrap();
    }

    #[test]
    fn a_redirect_is_read_back_and_is_not_added_twice() {
        with_pair(|socket| {
            let mine = cookie("mine");
            assert_eq!(inspect(socket, 2).unwrap(), Ingress::Free);
            add(socket, (2, "v2"), 3, &mine).unwrap();
            let expected = Ingress::Redirect { cookie: mine, target: 3, alone: true };
            assert_eq!(inspect(socket, 2).unwrap(), expected);
            assert_eq!(ingresses(socket).unwrap(), [(2, expected.clone())]);
            let said = add(socket, (2, "v2"), 3, &cookie("other")).unwrap_err();
            let words = "File exists (os error 17): Exclusivity flag on, cannot modify";
            assert_eq!(
                (said.to_string().as_str(), said.source.to_string().as_str()),
                ("add ingress qdisc to v2", words)
            );
            assert_eq!(inspect(socket, 2).unwrap(), expected);
            remove(socket, (2, "v2"), &cookie("other")).unwrap();
            assert_eq!(inspect(socket, 2).unwrap(), expected);
            remove(socket, (2, "v2"), &mine).unwrap();
            assert_eq!(inspect(socket, 2).unwrap(), Ingress::Free);
        });
    }

    #[test]
    fn a_filter_that_fails_takes_its_qdisc_with_it() {
        with_pair(|socket| {
            let said = add(socket, (2, "v2"), 99, &cookie("x")).unwrap_err();
            assert_eq!(said.to_string(), "add redirect to v2");
            assert!(said.source.to_string().starts_with("No such device (os error 19)"), "{said:?}");
            assert_eq!(inspect(socket, 2).unwrap(), Ingress::Free);
        });
    }

    #[test]
    fn cookies_differ_by_id_and_stay_the_same_across_builds() {
        assert_ne!(cookie("a"), cookie("b"));
        assert_eq!(cookie("a"), *b"urunc v1\xaf\x63\xdc\x4c\x86\x01\xec\x8c");
    }
}
