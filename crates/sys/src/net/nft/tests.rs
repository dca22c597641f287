//! Against the kernel, and against nft(8), which reads the same rules by its own code.

use super::super::message::Reply;
use super::super::netlink::Socket;
use super::read::{comment_of, comments, comments_in, table};
use super::*;
use proptest::prelude::*;
use rustix::io::Errno;

/// Runs `f` on a thread in a new namespace.
fn in_new_namespace(f: impl FnOnce(&mut Socket) + Send + 'static) {
    let thread = std::thread::spawn(move || {
        // SAFETY: unshare(2) of a network namespace touches no memory, and only this thread moves.
        let outcome = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(outcome, 0, "unshare: {}", std::io::Error::last_os_error());
        f(&mut Socket::open_netfilter().unwrap());
    });
    thread.join().unwrap();
}

fn shown() -> String {
    let output = std::process::Command::new("nft").args(["list", "ruleset"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn of_all_kinds() -> Batch {
    let (guest, server) = (Ipv4Addr::new(172, 16, 1, 2), Ipv4Addr::new(127, 0, 0, 11));
    let batch = Batch::default().add_table("t").add_chain("t", "out", Hook::Postrouting);
    let batch = batch.add_chain("t", "in", Hook::Prerouting);
    let batch = batch.add_rule(("t", "out"), "urunc:a:1:2", |rule| rule.source(guest).masquerade());
    let batch = batch.add_rule(("t", "in"), "", |rule| rule.input(1).port(17, 53).dnat(server, 5353));
    batch.add_rule(("t", "in"), "x", |rule| rule.source(guest).port(6, 53).dnat(server, 54))
}

#[test]
fn rules_of_every_kind_are_what_nft_calls_them() {
    in_new_namespace(|socket| {
        assert_eq!(table(socket, "t").unwrap(), None);
        socket.commit(&of_all_kinds()).unwrap();
        let made = table(socket, "t").unwrap().unwrap();
        let expected = [
            "table ip t {",
            "chain out {",
            "type nat hook postrouting priority srcnat; policy accept;",
            r#"ip saddr 172.16.1.2 masquerade comment "urunc:a:1:2""#,
            "}",
            "chain in {",
            "type nat hook prerouting priority dstnat; policy accept;",
            r#"iif "lo" udp dport 53 dnat to 127.0.0.11:5353 comment """#,
            r#"ip saddr 172.16.1.2 tcp dport 53 dnat to 127.0.0.11:54 comment "x""#,
            "}",
            "}",
        ];
        let shown = shown();
        let lines: Vec<&str> = shown.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, expected);
        assert_eq!(comments(socket, "t").unwrap(), ["urunc:a:1:2", "", "x"]);
        assert!(comments(socket, "other").unwrap().is_empty());
        socket.commit(&Batch::default().delete_table(made)).unwrap();
        assert_eq!(super::tests::shown(), "");
        socket.commit(&of_all_kinds()).unwrap();
        let refused = socket.commit(&Batch::default().delete_table(made)).unwrap_err();
        assert_eq!(refused.errno, Errno::NOENT, "another table has the name by now");
    });
}

#[test]
fn a_batch_is_refused_as_a_whole_and_the_socket_goes_on() {
    in_new_namespace(|socket| {
        let refused = |socket: &mut Socket, batch: Batch| socket.commit(&batch).unwrap_err().errno;
        let half = Batch::default().add_table("t").add_rule(("t", "none"), "", Rule::masquerade);
        assert_eq!(refused(socket, half), Errno::NOENT);
        assert_eq!(shown(), "");
        socket.commit(&of_all_kinds()).unwrap();
        let before = shown();
        assert_eq!(refused(socket, of_all_kinds()), Errno::EXIST);
        assert_eq!(refused(socket, Batch::default()), Errno::INVAL);
        assert_eq!(shown(), before);
        assert_eq!(comments(socket, "t").unwrap().len(), 3);
    });
}

#[test]
fn a_comment_is_whole_or_refused() {
    const MOST: usize = 253;
    in_new_namespace(|socket| {
        for (length, fits) in [(MOST, true), (MOST + 1, false)] {
            let comment = "x".repeat(length);
            let batch = Batch::default().add_table("t").add_chain("t", "c", Hook::Postrouting);
            let batch = batch.add_rule(("t", "c"), &comment, Rule::masquerade);
            assert_eq!(socket.commit(&batch).is_ok(), fits, "{length} bytes");
            if fits {
                assert_eq!(comments(socket, "t").unwrap(), [comment]);
                let made = table(socket, "t").unwrap().unwrap();
                socket.commit(&Batch::default().delete_table(made)).unwrap();
            }
        }
    });
}

proptest! {
    #[test]
    fn arbitrary_rules_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let reply = Reply { kind: kind(NFT_MSG_NEWRULE), flags: 0, sequence: 1, body: body.clone() };
        let _ = comments_in(&[reply], "t");
        let _ = comment_of(&body);
    }

    #[test]
    fn a_comment_comes_back_from_behind_other_data(text in "[ -~]{0,200}", other in prop::collection::vec(any::<u8>(), 0..40)) {
        let length = u8::try_from(other.len()).unwrap();
        let data = [&[9, length][..], &other, &commented(&text)].concat();
        prop_assert_eq!(comment_of(&data), text);
    }
}
