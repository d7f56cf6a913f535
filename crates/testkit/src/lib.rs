//! What tests share: backups, a disk that fails on demand, a simulated network, random contracts, samples of
//! every entry, a time-stamping authority, and files that somebody altered.
//!
//! For dev-dependencies alone; nothing that ships uses it.

pub mod authority;
pub mod backup;
pub mod contracts;
pub mod disk;
pub mod entries;
pub mod net;
pub mod tamper;

pub use authority::Authority;
pub use disk::MemDisk;
