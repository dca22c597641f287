//! D-05: what others have in a guest's network stays as it is, byte for byte.

use super::Entry;
use crate::bad_input::network::{connected, refused, run, two_devices};
use crate::harness::Case;
use crate::reality::network::Network;
use crate::sandbox::Sandbox;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("d-05-others-beside-the-guest", |s| {
        run(s, |s| {
            let tap = "ip tuntap add tap0_urunc mode tap";
            let theirs = [with_filters("eth0", "clsact"), with_filters("tap0_urunc", "ingress")].concat();
            let words = [tap, "ip link set tap0_urunc alias urunc:mine"];
            let words: Vec<&str> = words.into_iter().chain(theirs.iter().map(String::as_str)).collect();
            let tap = connected(s, &two_devices([100, 50]), &words);
            assert_eq!((tap.device.as_str(), tap.name.as_str()), ("net1", "tap1_urunc"));
        });
    }),
    ("d-05-clsact-of-others-on-the-guest-s-device", |s| run(s, |s| in_the_way(s, "clsact"))),
    ("d-05-ingress-of-others-on-the-guest-s-device", |s| run(s, |s| in_the_way(s, "ingress"))),
];

fn in_the_way(s: &Sandbox, qdisc: &str) {
    let theirs = with_filters("eth0", qdisc);
    let words: Vec<&str> = theirs.iter().map(String::as_str).collect();
    refused(s, &Network::usual(), &words, "left as it is");
}

/// A qdisc with filters at each of its hooks.
fn with_filters(device: &str, qdisc: &str) -> Vec<String> {
    let filter = |hook: &&str| {
        let matching = "protocol all pref 30066 u32 match u8 0 0 classid 1:1";
        format!("tc filter add dev {device} {hook} {matching}")
    };
    let hooks: &[&str] = if qdisc == "clsact" { &["ingress", "egress"] } else { &["ingress"] };
    let qdisc = format!("tc qdisc add dev {device} {qdisc}");
    std::iter::once(qdisc).chain(hooks.iter().map(filter)).collect()
}
