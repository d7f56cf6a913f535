//! The sidecar as servers use it: beside a ledger, on disks that fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod crash;
mod records;
mod shred;
mod support;
