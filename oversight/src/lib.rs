//! What an oversight body runs. Today that is one role: a [`witness`] of ledgers, so that nobody can
//! show two versions of one.
//!
//! Nothing here holds a key that opens what was exchanged.

pub mod witness;
