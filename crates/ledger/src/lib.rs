//! The append-only ledger: what a server did, durable before it goes on, and provable afterwards.
//!
//! One [`Ledger`] is one shard: a C2SP `tlog-tiles` tree, a write-ahead log in front of it, and signed
//! checkpoints. [`Ledger`] is the asynchronous handle many tasks share; [`log::Log`] is the same
//! thing without threads or waiting. [`Reader`] and [`fsck`] work on the folder alone, also on a
//! copy of it.
//!
//! The tree code ([`tree`], [`tile`], [`proof`], [`receipt`], [`checkpoint`], [`note`],
//! [`cosignature`], [`witness`]) and the entries ([`entry`]) are pure: they read no clock, no socket
//! and no file. Nothing here encrypts; what an entry's attachment holds is the business of the
//! [`Companion`].

pub mod checkpoint;
pub mod companion;
pub mod cosignature;
mod cosigner;
pub mod disk;
pub mod entry;
pub mod fsck;
pub mod layout;
mod ledger;
pub mod log;
pub mod note;
pub mod proof;
mod reader;
pub mod receipt;
mod signatory;
pub mod tile;
pub mod tree;
mod wal;
pub mod witness;

pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use companion::{Companion, NoCompanion};
pub use cosigner::{Cosigner, CosignerFuture, SignedTree, Witnessed};
pub use entry::Entry;
pub use ledger::{
    Append, AppendError, Appended, Ledger, LedgerConfig, LedgerError, ReadError, Runner,
};
pub use reader::{Entries, Reader};
pub use receipt::CoseReceipt;
pub use signatory::{LogKeys, OneKey, Signatory};

/// The longest entry, in bytes: an entry bundle counts it in 16 bits (C2SP `tlog-tiles`).
pub const MAX_ENTRY: usize = 65_535;

/// The longest attachment, in bytes.
pub const MAX_ATTACHMENT: usize = 18 * 1024 * 1024;
