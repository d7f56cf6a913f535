//! Refusals: each its own reason, each its own entry, and the provider's system never asked.
//!
//! `envelope.rs` and `sender.rs` play against the real server of a provider, `answer.rs` and
//! `caller.rs` against the real server of a consumer; `gossip.rs` with what a peer tells of its own ledger. Most tests end by comparing the whole story the
//! ledger tells.

mod answer;
mod caller;
mod envelope;
mod flood;
mod gossip;
mod sender;
mod shards;
mod support;
mod terms;
