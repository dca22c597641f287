//! The requests of redirects on the wire: u32 filters with a mirred action (linux/pkt_cls.h, linux/tc_act/tc_mirred.h).

use super::Cookie;
use crate::net::message::{Message, NLM_F_CREATE, NLM_F_EXCL};

/// `linux/pkt_sched.h`: parent of ingress and clsact qdiscs, and the handle that both have.
pub(super) const TC_H_INGRESS: u32 = 0xffff_fff1;
pub(super) const INGRESS_HANDLE: u32 = 0xffff_0000;
/// Preference of our filter; `tc filter show` prints it. Those of [`crate::net::kept`] come before.
pub(in crate::net) const PREFERENCE: u32 = 0x7572;
/// `linux/rtnetlink.h`, `linux/pkt_cls.h`, `linux/tc_act/tc_mirred.h`.
pub(super) const TCA_KIND: u16 = 1;
pub(super) const TCA_OPTIONS: u16 = 2;
pub(in crate::net) const TCA_U32_SEL: u16 = 5;
pub(in crate::net) const TCA_U32_ACT: u16 = 7;
pub(super) const TCA_ACT_KIND: u16 = 1;
pub(super) const TCA_ACT_OPTIONS: u16 = 2;
pub(super) const TCA_ACT_COOKIE: u16 = 6;
pub(super) const TCA_MIRRED_PARMS: u16 = 2;
pub(in crate::net) const TC_U32_TERMINAL: u8 = 1;
const TC_ACT_STOLEN: u32 = 4;
const TC_ACT_OK: u32 = 0;
const TCA_EGRESS_REDIR: u32 = 1;
const TCA_EGRESS_MIRROR: u32 = 2;
/// Size of `struct tcmsg`, and where its members are.
pub(super) const TCMSG: usize = 20;
pub(super) const TCM_IFINDEX: usize = 4;
pub(super) const TCM_PARENT: usize = 12;
pub(super) const TCM_INFO: usize = 16;
/// `tc_mirred.ifindex`.
pub(super) const MIRRED_IFINDEX: usize = 24;

/// `tc filter add dev INDEX parent ffff: pref PREFERENCE protocol all u32 match u8 0 0 action mirred egress redirect dev TO`.
pub(super) fn filter(index: u32, to: u32, cookie: &Cookie) -> Message {
    // struct tc_u32_sel: flags, offshift, nkeys, …; one key whose mask is zero matches every frame.
    let mut selector = [0; 32];
    selector[0] = TC_U32_TERMINAL;
    selector[2] = 1;
    u32_filter(index, info(), |options| {
        mirred(options.attr(TCA_U32_SEL, &selector), (TC_ACT_STOLEN, TCA_EGRESS_REDIR), to, cookie)
    })
}

/// The action of a filter that sends a copy to device `to`; the frame itself goes on to the namespace's own stack.
pub(in crate::net) fn copy(options: Message, to: u32) -> Message {
    // Without a mark: it is the redirect that says whose the qdisc is.
    mirred(options, (TC_ACT_OK, TCA_EGRESS_MIRROR), to, &[])
}

fn mirred(options: Message, (then, what): (u32, u32), to: u32, cookie: &[u8]) -> Message {
    // struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex.
    let parameters = [0, 0, then, 0, 0, what, to].map(u32::to_ne_bytes).concat();
    let action = |list: Message| {
        let list = list.text(TCA_ACT_KIND, "mirred");
        let list = if cookie.is_empty() { list } else { list.attr(TCA_ACT_COOKIE, cookie) };
        list.nest(TCA_ACT_OPTIONS, |options| options.attr(TCA_MIRRED_PARMS, &parameters))
    };
    options.nest(TCA_U32_ACT, |actions| actions.nest(1, action))
}

pub(in crate::net) fn u32_filter(index: u32, info: u32, options: impl FnOnce(Message) -> Message) -> Message {
    let body = tcmsg(index, 0, INGRESS_HANDLE, info);
    let message = Message::new(libc::RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &body);
    message.text(TCA_KIND, "u32").nest(TCA_OPTIONS, options)
}

/// `tcm_info` of the redirect: preference, and ETH_P_ALL in network order.
pub(super) fn info() -> u32 {
    PREFERENCE << 16 | u32::from(3u16.to_be())
}

/// `struct tcmsg` of `linux/rtnetlink.h`.
pub(super) fn tcmsg(index: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, index, handle, parent, info].map(u32::to_ne_bytes).concat()
}
