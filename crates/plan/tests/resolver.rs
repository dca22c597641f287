//! Nameservers on loopback addresses.

#![allow(clippy::unwrap_used)] // a test that cannot go on panics, in its helpers too

#[path = "support/namespace.rs"]
mod namespace;

use std::net::Ipv4Addr;

use namespace::{eth0, facts, request};
use proptest::prelude::*;
use urunc_plan::input::{Listener, NatFacts, Route};
use urunc_plan::launch::{Resolver, Tap};
use urunc_plan::network::{left_out, resolve, tap};
use urunc_plan::{NetFacts, Request};

fn udp(address: [u8; 4], port: u16) -> Listener {
    Listener { tcp: false, address: address.into(), port }
}

fn tcp(address: [u8; 4], port: u16) -> Listener {
    Listener { tcp: true, ..udp(address, port) }
}

fn docker(nameservers: &[&str], listeners: &[Listener]) -> NetFacts {
    let gateway = Route { index: 2, gateway: Some([172, 17, 0, 1].into()), ..Route::default() };
    let nameservers = nameservers.iter().map(|server| (*server).into()).collect();
    NetFacts { nameservers, listeners: listeners.into(), ..facts(vec![eth0()], vec![gateway]) }
}

fn resolved(net: &NetFacts) -> Tap {
    resolve(tap(&request(), net, false).unwrap().unwrap(), net)
}

/// Address and ports that are chosen for the nameserver 127.0.0.11, or another one.
fn chosen(server: &str, listeners: &[Listener]) -> Option<(Ipv4Addr, u16, Option<u16>)> {
    let tap = resolved(&docker(&[server], listeners));
    assert_eq!(tap.nameservers.is_empty(), tap.resolver.is_none());
    tap.resolver.map(|Resolver { address, udp, tcp, .. }| (address, udp, tcp))
}

#[test]
fn dockers_nameserver_is_shown_elsewhere_and_others_on_loopback_are_left_out() {
    let net = docker(
        &["10.0.0.53", "127.0.0.53", "127.0.0.11", "::1", "fd00::53", "a\u{7}name"],
        &[tcp([127, 0, 0, 11], 39013), udp([127, 0, 0, 11], 39239), udp([127, 0, 0, 1], 323)],
    );
    let tap = resolved(&net);
    let expected = Resolver {
        shown: [169, 254, 0, 53].into(),
        asker: [198, 18, 230, 0].into(),
        address: [127, 0, 0, 11].into(),
        udp: 39239,
        tcp: Some(39013),
    };
    assert_eq!(tap.resolver, Some(expected));
    assert_eq!(tap.nameservers, ["10.0.0.53", "169.254.0.53", "fd00::53", "a\u{7}name"]);
    let notice = left_out(&net, &tap).unwrap();
    assert!(notice.text.ends_with(", nameserver 127.0.0.53, nameserver ::1"), "{}", notice.text);
}

#[test]
fn a_port_that_may_be_anothers_is_not_taken() {
    let (docker, local, all) = ([127, 0, 0, 11], [127, 0, 0, 1], [0; 4]);
    let some = |address: [u8; 4], udp, tcp| Some((address.into(), udp, tcp));
    assert_eq!(chosen("127.0.0.11", &[udp(docker, 4000)]), some(docker, 4000, None));
    assert_eq!(chosen("127.0.0.11", &[udp(docker, 4000), udp(docker, 53)]), some(docker, 53, None));
    assert_eq!(chosen("127.0.0.1", &[udp(all, 53), tcp(all, 53)]), some(local, 53, Some(53)));
    assert_eq!(chosen("127.0.0.11", &[udp(docker, 4000), udp(docker, 4001)]), None);
    assert_eq!(
        chosen("127.0.0.11", &[udp(docker, 4000), tcp(docker, 1), tcp(docker, 2)]),
        some(docker, 4000, None)
    );
    assert_eq!(chosen("127.0.0.1", &[udp(local, 4000)]), None);
    assert_eq!(chosen("127.0.0.11", &[udp(all, 4000), udp(local, 53), tcp(docker, 53)]), None);
    assert_eq!(chosen("127.0.0.11", &[]), None);
}

#[test]
fn a_guest_needs_ipv4_and_a_gateway_to_be_led_anywhere() {
    let net = docker(&["127.0.0.11"], &[udp([127, 0, 0, 11], 4000)]);
    let tap = resolved(&net);
    for lacking in [Tap { ipv4: None, ..tap.clone() }, Tap { gateway: None, ..tap.clone() }] {
        let lacking = Tap { nameservers: net.nameservers.clone(), resolver: None, ..lacking };
        assert_eq!(resolve(lacking.clone(), &net), Tap { nameservers: vec![], ..lacking });
    }
    let near = Tap { ipv4: Some(([169, 254, 7, 7].into(), 16)), nameservers: net.nameservers.clone(), ..tap };
    let near = resolve(near, &net);
    assert_eq!(near.resolver.unwrap().shown, Ipv4Addr::new(192, 0, 2, 53));
    assert_eq!(near.nameservers, ["192.0.2.53"]);
}

#[test]
fn a_guest_behind_the_container_s_address_is_not_led_and_that_is_said() {
    let net = docker(&["127.0.0.11", "10.0.0.53"], &[udp([127, 0, 0, 11], 4000)]);
    let net = NetFacts { nat: NatFacts { nf_tables: true, ..NatFacts::default() }, ..net };
    let request = Request { static_network: true, ..request() };
    let tap = resolve(tap(&request, &net, false).unwrap().unwrap(), &net);
    assert_eq!((tap.resolver.as_ref(), tap.nameservers.as_slice()), (None, &["10.0.0.53".to_owned()][..]));
    let text = left_out(&net, &tap).unwrap().text;
    assert_eq!(text, "the guest does not get nameserver 127.0.0.11");
    let told = NetFacts { nameservers: tap.nameservers.clone(), ..net };
    assert_eq!(left_out(&told, &tap), None);
}

proptest! {
    #[test]
    fn the_asker_changes_no_checksum(address in any::<u32>(), benchmark in any::<bool>()) {
        // Some of the very network that askers are taken from.
        let address = if benchmark { 0xc612_0000 | address & 0x1_ffff } else { address };
        let net = docker(&["127.0.0.11"], &[udp([127, 0, 0, 11], 4000)]);
        let ipv4 = Some((address.into(), 32));
        let tap = Tap { ipv4, nameservers: net.nameservers.clone(), ..resolved(&net) };
        let asker = u32::from(resolve(tap, &net).resolver.unwrap().asker);
        prop_assert_eq!(asker & 0xfffe_0000, 0xc612_0000);
        prop_assert_ne!(asker, address);
        prop_assert_eq!(((asker >> 16) + (asker & 0xffff)) % 0xffff, ((address >> 16) + (address & 0xffff)) % 0xffff);
    }
}
