//! What tests share: a disk that fails on demand, a simulated network, random contracts, and samples
//! of every entry.
//!
//! For dev-dependencies alone; nothing that ships uses it.

pub mod contracts;
pub mod disk;
pub mod entries;
pub mod net;

pub use disk::MemDisk;
