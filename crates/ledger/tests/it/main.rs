//! The ledger as its users see it, on disks that fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crash;
mod damage;
mod entries;
mod full_disk;
mod handle;
mod notes;
mod proofs;
mod receipts;
mod support;
mod torn;
mod witness;
