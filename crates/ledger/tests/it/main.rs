//! The ledger as its users see it, on disks that fail.

mod crash;
mod damage;
mod entries;
mod full_disk;
mod handle;
mod proofs;
mod support;
mod torn;
