//! The evidence crate from outside: what it writes, what it reads, and above all what it refuses.

// What clippy.toml allows in tests, also in what they share.
#![allow(clippy::unwrap_used)]

mod annotate;
mod binding;
mod commitments;
mod fixtures;
mod golden;
mod proofs;
mod properties;
mod seals;
mod strictness;
mod tags;
