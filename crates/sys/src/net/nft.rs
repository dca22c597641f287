//! Packet filter rules of nf_tables: a batch takes effect as a whole or not at all (nft(8), `linux/netfilter/nf_tables.h`).
//!
//! The family is IPv4 throughout. All numbers are in network order here, unlike in the rest of netlink.

pub(super) mod filter;
pub(super) mod read;

use std::net::Ipv4Addr;

use super::message::{Message, NLM_F_CREATE, NLM_F_EXCL};

/// `linux/netfilter/nfnetlink.h`: the subsystem, in the upper half of a message's type, and the limits of a batch.
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
/// `enum nf_tables_msg_types`.
const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_GETRULE: u16 = 7;
/// `linux/netfilter.h`.
const NFPROTO_IPV4: u8 = 2;
/// `linux/netlink.h`: a new rule comes behind those that are there.
const NLM_F_APPEND: u16 = 0x800;
/// Size of `struct nfgenmsg`.
const NFGENMSG: usize = 4;
/// Attributes of tables, chains, hooks, rules, lists, expressions and data.
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_HANDLE: u16 = 4;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_RULE_USERDATA: u16 = 7;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
/// A rule's comment among its user data, as nft(8) writes and shows it: type, length, text with its NUL.
const NFTNL_UDATA_RULE_COMMENT: u8 = 0;
/// Registers, through which expressions hand values to each other.
const NFT_REG_1: u32 = 1;
const NFT_REG_2: u32 = 2;
/// Attributes and values of the single expressions.
const NFTA_PAYLOAD_DREG: u16 = 1;
const NFTA_PAYLOAD_BASE: u16 = 2;
const NFTA_PAYLOAD_OFFSET: u16 = 3;
const NFTA_PAYLOAD_LEN: u16 = 4;
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;
const NFTA_META_DREG: u16 = 1;
const NFTA_META_KEY: u16 = 2;
const NFT_META_IIF: u32 = 4;
const NFT_META_L4PROTO: u32 = 16;
const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;
const NFT_CMP_EQ: u32 = 0;
const NFTA_IMMEDIATE_DREG: u16 = 1;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFTA_NAT_TYPE: u16 = 1;
const NFTA_NAT_FAMILY: u16 = 2;
const NFTA_NAT_REG_ADDR_MIN: u16 = 3;
const NFTA_NAT_REG_PROTO_MIN: u16 = 5;
const NFT_NAT_DNAT: u32 = 1;

/// Where a chain of the type `nat` hangs (`enum nf_inet_hooks`), with the priority that nft(8) calls `dstnat` or `srcnat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    /// What comes from a device.
    Prerouting,
    /// What leaves.
    Postrouting,
}

impl Hook {
    fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Postrouting => 4,
        }
    }

    /// NF_IP_PRI_NAT_SRC and NF_IP_PRI_NAT_DST of `linux/netfilter_ipv4.h`.
    fn priority(self) -> i32 {
        if self == Self::Postrouting { 100 } else { -100 }
    }
}

/// Changes that are made together.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch(Vec<Message>);

impl Batch {
    /// Makes a table; EEXIST when there is one of this name.
    pub(super) fn add_table(mut self, table: &str) -> Self {
        self.0.push(message(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL).text(NFTA_TABLE_NAME, table));
        self
    }

    /// Removes a table with all that is in it; ENOENT when it is gone, also if another has its name by now.
    pub(super) fn delete_table(mut self, Table(handle): Table) -> Self {
        self.0.push(message(NFT_MSG_DELTABLE, 0).attr(NFTA_TABLE_HANDLE, &handle.to_be_bytes()));
        self
    }

    /// Makes a chain of the type `nat`.
    pub(super) fn add_chain(self, table: &str, chain: &str, hook: Hook) -> Self {
        self.chain(NFPROTO_IPV4, (table, chain), "nat", |place| hooked(place, hook, hook.priority()))
    }

    fn chain(
        mut self,
        family: u8,
        (table, chain): (&str, &str),
        kind: &str,
        place: impl FnOnce(Message) -> Message,
    ) -> Self {
        let message = message_of(family, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
        let message = message.text(NFTA_CHAIN_TABLE, table).text(NFTA_CHAIN_NAME, chain);
        self.0.push(message.nest(NFTA_CHAIN_HOOK, place).text(NFTA_CHAIN_TYPE, kind));
        self
    }

    /// Appends a rule to a chain. The comment, which nft(8) shows, has at most 253 bytes: NFT_USERDATA_MAXLEN is 256.
    pub(super) fn add_rule(
        mut self,
        (table, chain): (&str, &str),
        comment: &str,
        fill: impl FnOnce(Rule) -> Rule,
    ) -> Self {
        let message = message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
        let message = message.text(NFTA_RULE_TABLE, table).text(NFTA_RULE_CHAIN, chain);
        let message = message.nest(NFTA_RULE_EXPRESSIONS, |list| fill(Rule(list)).0);
        self.0.push(message.attr(NFTA_RULE_USERDATA, &commented(comment)));
        self
    }

    /// The datagram. All its messages have one sequence number and only the last one asks for an acknowledgement:
    /// whatever the kernel says first is then the verdict on the whole.
    pub(super) fn finish(&self, sequence: u32) -> Result<Vec<u8>, &'static str> {
        let limit = |kind| Message::new(kind, 0, &nfgenmsg(0, NFNL_SUBSYS_NFTABLES)).unacknowledged();
        let (last, others) = self.0.split_last().ok_or("a batch is empty")?;
        let others = others.iter().cloned().map(Message::unacknowledged);
        let begin = std::iter::once(limit(NFNL_MSG_BATCH_BEGIN));
        let whole = begin.chain(others).chain([last.clone(), limit(NFNL_MSG_BATCH_END)]);
        let parts = whole.map(|message| message.finish(sequence)).collect::<Result<Vec<_>, _>>()?;
        Ok(parts.concat())
    }
}

/// What a packet must be, and at the end what is done with it: a rule under construction.
pub(super) struct Rule(Message);

impl Rule {
    /// `ip saddr ADDRESS`.
    pub(super) fn source(self, address: Ipv4Addr) -> Self {
        self.payload(NFT_PAYLOAD_NETWORK_HEADER, 12, &address.octets())
    }

    /// `iif INDEX`.
    pub(super) fn input(self, index: u32) -> Self {
        self.meta(NFT_META_IIF, &index.to_ne_bytes())
    }

    /// `meta l4proto PROTOCOL th dport PORT`; the protocol is IPPROTO_TCP or IPPROTO_UDP.
    pub(super) fn port(self, protocol: u8, port: u16) -> Self {
        self.meta(NFT_META_L4PROTO, &[protocol]).payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, &port.to_be_bytes())
    }

    /// `masquerade`: the source becomes the address of the device that the packet leaves by.
    pub(super) fn masquerade(self) -> Self {
        self.expression("masq", |data| data)
    }

    /// `dnat to ADDRESS:PORT`; in `prerouting`.
    pub(super) fn dnat(self, address: Ipv4Addr, port: u16) -> Self {
        let loaded = self.immediate(NFT_REG_1, &address.octets()).immediate(NFT_REG_2, &port.to_be_bytes());
        loaded.expression("nat", |data| {
            let data =
                number(number(data, NFTA_NAT_TYPE, NFT_NAT_DNAT), NFTA_NAT_FAMILY, NFPROTO_IPV4.into());
            number(number(data, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1), NFTA_NAT_REG_PROTO_MIN, NFT_REG_2)
        })
    }

    /// The bytes at an offset of a header are these.
    fn payload(self, header: u32, offset: u32, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let load = self.expression("payload", |data| {
            let data = number(number(data, NFTA_PAYLOAD_DREG, NFT_REG_1), NFTA_PAYLOAD_BASE, header);
            number(number(data, NFTA_PAYLOAD_OFFSET, offset), NFTA_PAYLOAD_LEN, length)
        });
        load.equals(bytes)
    }

    /// What the kernel knows of the packet is this.
    fn meta(self, key: u32, bytes: &[u8]) -> Self {
        let load = |data| number(number(data, NFTA_META_DREG, NFT_REG_1), NFTA_META_KEY, key);
        self.expression("meta", load).equals(bytes)
    }

    fn equals(self, bytes: &[u8]) -> Self {
        self.expression("cmp", |data| {
            let data = number(number(data, NFTA_CMP_SREG, NFT_REG_1), NFTA_CMP_OP, NFT_CMP_EQ);
            data.nest(NFTA_CMP_DATA, |value| value.attr(NFTA_DATA_VALUE, bytes))
        })
    }

    fn immediate(self, register: u32, bytes: &[u8]) -> Self {
        self.expression("immediate", |data| {
            let data = number(data, NFTA_IMMEDIATE_DREG, register);
            data.nest(NFTA_IMMEDIATE_DATA, |value| value.attr(NFTA_DATA_VALUE, bytes))
        })
    }

    fn expression(self, name: &str, fill: impl FnOnce(Message) -> Message) -> Self {
        Self(
            self.0.nest(NFTA_LIST_ELEM, |element| {
                element.text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, fill)
            }),
        )
    }
}

/// A table that is there: its handle, which no other table gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table(u64);

/// The user data of a rule with this comment.
fn commented(comment: &str) -> Vec<u8> {
    // A length that does not fit makes a record that the kernel refuses with the attribute.
    let length = u8::try_from(comment.len() + 1).unwrap_or(u8::MAX);
    [&[NFTNL_UDATA_RULE_COMMENT, length], comment.as_bytes(), &[0]].concat()
}

fn message(kind: u16, flags: u16) -> Message {
    message_of(NFPROTO_IPV4, kind, flags)
}

fn message_of(family: u8, message: u16, flags: u16) -> Message {
    Message::new(kind(message), flags, &nfgenmsg(family, 0))
}

/// Where a chain hangs.
fn hooked(place: Message, hook: Hook, priority: i32) -> Message {
    number(number(place, NFTA_HOOK_HOOKNUM, hook.number()), NFTA_HOOK_PRIORITY, priority.cast_unsigned())
}

fn kind(message: u16) -> u16 {
    NFNL_SUBSYS_NFTABLES << 8 | message
}

/// `struct nfgenmsg`: family, version, resource.
fn nfgenmsg(family: u8, resource: u16) -> [u8; NFGENMSG] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// Appends a number in network order.
fn number(message: Message, kind: u16, value: u32) -> Message {
    message.attr(kind, &value.to_be_bytes())
}

#[cfg(test)]
#[path = "nft/tests.rs"]
#[allow(unsafe_code)]
mod tests;
