//! Scenarios: what a federation does as a whole.

#![allow(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on has failed"
)]

mod bench;
mod canaries;
mod conformance;
mod court;
mod doors;
mod exchange;
mod full_disk;
mod gossip;
mod mandates;
mod minimisation;
mod omission;
mod outage;
mod pivot;
mod receipts;
mod refusals;
mod retention;
mod rotation;
mod server_keys;
mod shards;
mod simulation;
mod subjects;
mod time;
mod token;
mod walk;
mod witnessing;
