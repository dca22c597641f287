//! The rule that gives a guest's packets the container's address: in nf_tables, or by iptables(8) where there is none.
//!
//! Its comment says whose it is ([`NatRecord`]), so that everybody removes the own one only.

use std::io::Error;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use urunc_plan::error::abridged;
use urunc_plan::input::{NatFacts, NatRule};
use urunc_plan::launch::Nat;
use urunc_plan::network::{NatRecord, TABLE};

use super::netlink::{Refusal, Socket};
use super::nft::{Batch, Hook, Table, read};
use super::{facts, in_namespace};
use crate::error::{Result, SysError};

/// Seconds that iptables(8) waits for another one.
const WAIT: &str = "5";

/// A rule of ours that is there.
#[derive(Debug)]
pub(super) struct Found {
    /// What it says of itself.
    pub(super) record: NatRecord,
    /// The table that it is alone in; none when iptables(8) made it.
    table: Option<Table>,
}

/// What can rewrite addresses, and what there is of ours. `iptables` is of use only without nf_tables.
pub(super) fn gather(netns: BorrowedFd<'_>, iptables: Option<&str>) -> Result<NatFacts> {
    let tables = match socket(netns)?.map(|mut socket| comments(&mut socket, TABLE)) {
        Some(Ok(found)) => Some(found),
        // nfnetlink is there and has no such subsystem.
        None | Some(Err(Refusal { errno: Errno::INVAL | Errno::OPNOTSUPP, .. })) => None,
        Some(Err(refusal)) => return Err(refusal.on("list table ip", TABLE)),
    };
    let Some(found) = tables else {
        let comments = iptables.map_or(Ok(Vec::new()), |program| listed(netns, program))?;
        let iptables = iptables.map(str::to_owned);
        return Ok(NatFacts { iptables, rules: rules(&comments)?, ..NatFacts::default() });
    };
    let comments = found.map(|(_, comments)| comments);
    let is_foreign = |comments: &Vec<String>| {
        comments.is_empty() || comments.iter().any(|comment| NatRecord::parse(comment).is_none())
    };
    let foreign = comments.as_ref().is_some_and(is_foreign);
    let rules = rules(&comments.unwrap_or_default())?;
    Ok(NatFacts { nf_tables: true, iptables: None, foreign, rules })
}

fn rules(comments: &[String]) -> Result<Vec<NatRule>> {
    let records = comments.iter().filter_map(|comment| NatRecord::parse(comment));
    records
        .map(|record| Ok(NatRule { record: record.to_string(), owned: facts::runs(&record.owner)? }))
        .collect()
}

/// Makes the rule.
///
/// # Errors
/// Of kind `AlreadyExists` when somebody has made a table of this name since the facts were read.
pub(super) fn add(netns: BorrowedFd<'_>, nat: &Nat, guest: Ipv4Addr, record: &NatRecord) -> Result<()> {
    match nat {
        Nat::Nftables { table, chain } => {
            let batch = Batch::default().add_table(table).add_chain(table, chain, Hook::Postrouting);
            let batch =
                batch.add_rule((table, chain), &record.to_string(), |rule| rule.source(guest).masquerade());
            needed(netns)?.commit(&batch).map_err(|refusal| refusal.on("make table ip", table))
        }
        Nat::Iptables { program } => iptables(netns, program, "-A", &rule(guest, record)).map(drop),
    }
}

/// The rules of ours that are there.
pub(super) fn find(netns: BorrowedFd<'_>, nat: &Nat) -> Result<Vec<Found>> {
    let (table, comments) = match nat {
        Nat::Nftables { table, .. } => {
            let found =
                comments(&mut needed(netns)?, table).map_err(|refusal| refusal.on("list table ip", table))?;
            found.map_or((None, Vec::new()), |(table, comments)| (Some(table), comments))
        }
        Nat::Iptables { program } => (None, listed(netns, program)?),
    };
    let records = comments.iter().filter_map(|comment| NatRecord::parse(comment));
    Ok(records.map(|record| Found { record, table }).collect())
}

/// Removes a rule, with its table; also when it is gone already.
pub(super) fn remove(netns: BorrowedFd<'_>, nat: &Nat, guest: Ipv4Addr, found: &Found) -> Result<()> {
    match (nat, found.table) {
        (Nat::Nftables { table: name, .. }, Some(table)) => {
            match needed(netns)?.commit(&Batch::default().delete_table(table)) {
                Err(Refusal { errno: Errno::NOENT, .. }) | Ok(()) => Ok(()),
                Err(refusal) => Err(refusal.on("remove table ip", name)),
            }
        }
        (Nat::Iptables { program }, _) => {
            iptables(netns, program, "-D", &rule(guest, &found.record)).map(drop)
        }
        (Nat::Nftables { .. }, None) => Ok(()),
    }
}

/// Where the kernel has it: a socket of the packet filter.
fn socket(netns: BorrowedFd<'_>) -> Result<Option<Socket>> {
    match in_namespace(netns, Socket::open_netfilter) {
        Err(error) if error.source.raw_os_error() == Some(libc::EPROTONOSUPPORT) => Ok(None),
        opened => opened.map(Some),
    }
}

fn needed(netns: BorrowedFd<'_>) -> Result<Socket> {
    in_namespace(netns, Socket::open_netfilter)
}

/// A table and the comments of its rules. The handle is read first: if another table takes the name in between, the
/// comments are its, and whose rules they are decides.
fn comments(socket: &mut Socket, name: &str) -> std::result::Result<Option<(Table, Vec<String>)>, Refusal> {
    let Some(table) = read::table(socket, name)? else { return Ok(None) };
    Ok(Some((table, read::comments(socket, name)?)))
}

/// The rule in words of iptables-extensions(8).
fn rule(guest: Ipv4Addr, record: &NatRecord) -> Vec<String> {
    let (source, record) = (format!("{guest}/32"), record.to_string());
    ["-s", &source, "-m", "comment", "--comment", &record, "-j", "MASQUERADE"].map(str::to_owned).to_vec()
}

/// The comments of the rules in POSTROUTING.
fn listed(netns: BorrowedFd<'_>, program: &str) -> Result<Vec<String>> {
    let text = iptables(netns, program, "-S", &[])?;
    let comment = |line: &str| {
        let (_, rest) = line.split_once(" --comment ")?;
        Some(rest.split(' ').next()?.trim_matches('"').to_owned())
    };
    Ok(text.lines().filter_map(comment).collect())
}

/// Runs iptables(8) on POSTROUTING inside the namespace; what it prints.
fn iptables(netns: BorrowedFd<'_>, program: &str, command: &str, words: &[String]) -> Result<String> {
    let mut iptables = Command::new(program);
    iptables.args(["-w", WAIT, "-t", "nat", command, "POSTROUTING"]).args(words);
    iptables.env_clear().stdin(Stdio::null());
    // A child begins in the namespace of the thread that makes it.
    let fail = |error: Error| SysError::new("run", program, error);
    let output = in_namespace(netns, || iptables.output().map_err(fail))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().next().map_or_else(|| output.status.to_string(), abridged);
    Err(fail(Error::other(why)))
}
