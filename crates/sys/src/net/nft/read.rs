//! What is there: tables and the comments of their rules.

use rustix::io::Errno;

use super::super::message::{NLM_F_DUMP, Reply};
use super::super::netlink::{Refusal, Socket};
use super::{
    NFGENMSG, NFT_MSG_GETRULE, NFT_MSG_GETTABLE, NFT_MSG_NEWRULE, NFTA_RULE_TABLE, NFTA_RULE_USERDATA,
    NFTA_TABLE_HANDLE, NFTA_TABLE_NAME, NFTNL_UDATA_RULE_COMMENT, Table, kind, message,
};

/// The table of this name, if there is one.
pub(in crate::net) fn table(socket: &mut Socket, table: &str) -> Result<Option<Table>, Refusal> {
    match socket.call(&message(NFT_MSG_GETTABLE, 0).text(NFTA_TABLE_NAME, table)) {
        Err(Refusal { errno: Errno::NOENT, .. }) => Ok(None),
        found => Ok(found?.iter().find_map(handle)),
    }
}

fn handle(reply: &Reply) -> Option<Table> {
    let bytes = reply.attrs(NFGENMSG).get(NFTA_TABLE_HANDLE)?;
    Some(Table(u64::from_be_bytes(bytes.try_into().ok()?)))
}

/// The comments of all rules of a table; a rule without one has an empty one.
pub(in crate::net) fn comments(socket: &mut Socket, table: &str) -> Result<Vec<String>, Refusal> {
    let request = message(NFT_MSG_GETRULE, NLM_F_DUMP).text(NFTA_RULE_TABLE, table);
    Ok(comments_in(&socket.call(&request)?, table))
}

/// As [`comments`], from the answer, in which an older kernel lists the rules of all tables.
pub(super) fn comments_in(replies: &[Reply], table: &str) -> Vec<String> {
    let rules = replies.iter().filter(|reply| reply.kind == kind(NFT_MSG_NEWRULE));
    let rules = rules.map(|reply| reply.attrs(NFGENMSG));
    rules
        .filter(|rule| rule.text(NFTA_RULE_TABLE) == table)
        .map(|rule| rule.get(NFTA_RULE_USERDATA).map_or_else(String::new, comment_of))
        .collect()
}

/// The comment in a rule's user data; empty when there is none.
pub(super) fn comment_of(data: &[u8]) -> String {
    let mut rest = data;
    while let [kind, length, tail @ ..] = rest {
        let Some((value, next)) = tail.split_at_checked(usize::from(*length)) else { break };
        if *kind == NFTNL_UDATA_RULE_COMMENT {
            return String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned();
        }
        rest = next;
    }
    String::new()
}
