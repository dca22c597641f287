//! Chains and expressions that change or divert single packets, where address translation would not do.

use std::net::Ipv4Addr;

use super::super::message::{Message, NLM_F_CREATE, NLM_F_EXCL};
use super::{
    Batch, Hook, NFT_CMP_EQ, NFT_MSG_DELTABLE, NFT_MSG_NEWRULE, NFT_MSG_NEWTABLE, NFT_PAYLOAD_NETWORK_HEADER,
    NFT_REG_1, NFT_REG_2, NFTA_CMP_DATA, NFTA_CMP_OP, NFTA_CMP_SREG, NFTA_DATA_VALUE, NFTA_HOOK_HOOKNUM,
    NFTA_HOOK_PRIORITY, NFTA_IMMEDIATE_DATA, NFTA_IMMEDIATE_DREG, NFTA_META_KEY, NFTA_PAYLOAD_BASE,
    NFTA_PAYLOAD_LEN, NFTA_PAYLOAD_OFFSET, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_TABLE,
    NFTA_TABLE_NAME, Rule, hooked, message_of, number,
};

/// Type of the chains here.
const FILTER: &str = "filter";
/// `linux/netfilter.h`.
const NF_NETDEV_INGRESS: u32 = 0;
const NF_DROP: u32 = 0;
/// `linux/netfilter/nf_tables.h`.
const NFT_REG_VERDICT: u32 = 0;
const NFTA_HOOK_DEV: u16 = 3;
const NFTA_META_SREG: u16 = 3;
const NFT_META_OIF: u32 = 5;
const NFT_META_PKTTYPE: u32 = 19;
const NFTA_PAYLOAD_SREG: u16 = 5;
const NFTA_CT_DREG: u16 = 1;
const NFTA_CT_KEY: u16 = 2;
const NFT_CT_STATE: u32 = 0;
const NFTA_BITWISE_SREG: u16 = 1;
const NFTA_BITWISE_DREG: u16 = 2;
const NFTA_BITWISE_LEN: u16 = 3;
const NFTA_BITWISE_MASK: u16 = 4;
const NFTA_BITWISE_XOR: u16 = 5;
const NFTA_DUP_SREG_ADDR: u16 = 1;
const NFTA_DUP_SREG_DEV: u16 = 2;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
/// `NF_CT_STATE_BIT(IP_CT_ESTABLISHED)` of `linux/netfilter/nf_conntrack_common.h`.
const ESTABLISHED: u32 = 2;
/// `linux/if_packet.h`.
const PACKET_HOST: u8 = 0;

/// What the rules of a table see (`linux/netfilter.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Family {
    /// Packets of IPv4.
    Ipv4 = 2,
    /// Frames of a device, whatever their protocol.
    Device = 5,
}

/// Priorities of `linux/netfilter_ipv4.h`, as nft(8) calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Priority {
    /// Before connections are tracked.
    Raw = -300,
    /// Between that and the translation of addresses.
    Mangle = -150,
    /// Behind everything.
    Last = 300,
}

impl Batch {
    /// Makes a chain of the type `filter`.
    pub(in crate::net) fn add_filter(
        self,
        table: &str,
        chain: &str,
        (hook, priority): (Hook, Priority),
    ) -> Self {
        let place = |place| hooked(place, hook, priority as i32);
        self.chain(Family::Ipv4 as u8, (table, chain), FILTER, place)
    }

    /// Makes a table of the family `netdev` with one rule: every frame that `device` receives is for the namespace,
    /// whatever hardware address it is sent to. The chain goes with the device, the table does not.
    pub(in crate::net) fn add_device_table(mut self, table: &str, device: &str) -> Self {
        const CHAIN: &str = "mine";
        let create = NLM_F_CREATE | NLM_F_EXCL;
        self.0.push(of_device(NFT_MSG_NEWTABLE, create).text(NFTA_TABLE_NAME, table));
        let place = |place| {
            number(number(place, NFTA_HOOK_HOOKNUM, NF_NETDEV_INGRESS), NFTA_HOOK_PRIORITY, 0)
                .name(NFTA_HOOK_DEV, device)
        };
        let mut batch = self.chain(Family::Device as u8, (table, CHAIN), FILTER, place);
        let rule = of_device(NFT_MSG_NEWRULE, NLM_F_CREATE)
            .text(NFTA_RULE_TABLE, table)
            .text(NFTA_RULE_CHAIN, CHAIN);
        batch.0.push(rule.nest(NFTA_RULE_EXPRESSIONS, |list| {
            let rule = Rule(list).immediate(NFT_REG_1, &[PACKET_HOST]);
            let set = |data| number(number(data, NFTA_META_SREG, NFT_REG_1), NFTA_META_KEY, NFT_META_PKTTYPE);
            rule.expression("meta", set).0
        }));
        batch
    }

    /// Removes the table of this name, of whatever owner; ENOENT when there is none. For names that are one owner's.
    pub(in crate::net) fn delete_named(mut self, family: Family, table: &str) -> Self {
        self.0.push(message_of(family as u8, NFT_MSG_DELTABLE, 0).text(NFTA_TABLE_NAME, table));
        self
    }
}

impl Rule {
    /// `oif INDEX`.
    pub(in crate::net) fn output(self, index: u32) -> Self {
        self.meta(NFT_META_OIF, &index.to_ne_bytes())
    }

    /// `ct state != established`: it answers nothing that was sent from here.
    pub(in crate::net) fn unasked(self) -> Self {
        let load = |data| number(number(data, NFTA_CT_DREG, NFT_REG_1), NFTA_CT_KEY, NFT_CT_STATE);
        let mask = |data| {
            let data = number(number(data, NFTA_BITWISE_SREG, NFT_REG_1), NFTA_BITWISE_DREG, NFT_REG_1);
            value(
                value(number(data, NFTA_BITWISE_LEN, 4), NFTA_BITWISE_MASK, ESTABLISHED),
                NFTA_BITWISE_XOR,
                0,
            )
        };
        let zero = |data| {
            value(number(number(data, NFTA_CMP_SREG, NFT_REG_1), NFTA_CMP_OP, NFT_CMP_EQ), NFTA_CMP_DATA, 0)
        };
        self.expression("ct", load).expression("bitwise", mask).expression("cmp", zero)
    }

    /// `ip saddr set ADDRESS`, for an address of the same sum: no checksum is made anew.
    pub(in crate::net) fn set_source(self, address: Ipv4Addr) -> Self {
        self.set(12, address)
    }

    /// `ip daddr set ADDRESS`, as [`Self::set_source`].
    pub(in crate::net) fn set_destination(self, address: Ipv4Addr) -> Self {
        self.set(16, address)
    }

    fn set(self, offset: u32, address: Ipv4Addr) -> Self {
        self.immediate(NFT_REG_1, &address.octets()).expression("payload", |data| {
            let data = number(
                number(data, NFTA_PAYLOAD_SREG, NFT_REG_1),
                NFTA_PAYLOAD_BASE,
                NFT_PAYLOAD_NETWORK_HEADER,
            );
            number(number(data, NFTA_PAYLOAD_OFFSET, offset), NFTA_PAYLOAD_LEN, 4)
        })
    }

    /// `dup to NEIGHBOUR device INDEX drop`: it leaves there as it is, but for a hop less to live.
    pub(in crate::net) fn divert(self, neighbour: Ipv4Addr, index: u32) -> Self {
        let loaded =
            self.immediate(NFT_REG_1, &neighbour.octets()).immediate(NFT_REG_2, &index.to_ne_bytes());
        let copied = loaded.expression("dup", |data| {
            number(number(data, NFTA_DUP_SREG_ADDR, NFT_REG_1), NFTA_DUP_SREG_DEV, NFT_REG_2)
        });
        copied.expression("immediate", |data| {
            number(data, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT).nest(NFTA_IMMEDIATE_DATA, |value| {
                value.nest(NFTA_DATA_VERDICT, |verdict| number(verdict, NFTA_VERDICT_CODE, NF_DROP))
            })
        })
    }
}

/// A number in host order, as registers have it.
fn value(data: Message, kind: u16, number: u32) -> Message {
    data.nest(kind, |data| data.attr(NFTA_DATA_VALUE, &number.to_ne_bytes()))
}

fn of_device(kind: u16, flags: u16) -> Message {
    message_of(Family::Device as u8, kind, flags)
}
