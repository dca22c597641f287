//! `nameserver ADDRESS ANSWER`: says on UDP port 53 of ADDRESS that every name is ANSWER's, until it is killed.
#![allow(clippy::expect_used)]

use std::net::{Ipv4Addr, UdpSocket};

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<Ipv4Addr>().expect("an address"));
    let mut word = || words.next().expect("usage: nameserver ADDRESS ANSWER");
    let (address, answer) = (word(), word());
    let socket = UdpSocket::bind((address, 53)).expect("port 53");
    while suite::nameserver::answer_one(&socket, answer) {}
}
