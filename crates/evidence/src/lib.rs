//! Evidence: what two servers sign, commit to and seal when their systems exchange a message
//! (DESIGN.md §5, §6, §8).
//!
//! * [`statement`]: the signed statement, as a typed value and as its one encoding;
//! * [`proof`]: a statement with its signature, direct or in a batch, and how it is verified;
//! * [`admission`]: is it for us, and is it fresh;
//! * [`commitment`], [`opening`], [`answer`]: salted commitments and what opens them;
//! * [`seal`]: seal sessions between two servers and the frames sealed under them;
//! * [`tag`], [`receipt`], [`stream`]: subject tags, ledger promises, the hash over a stream.
//!
//! Sans-I/O: nothing here reads a clock, a socket or a file; time is an argument. Randomness comes
//! from the operating system in one private module, and in `hpke`'s encapsulation. Whether a key
//! may sign for a system is the directory's to say; whether a message was seen before, the replay
//! window's.
//!
//! Errors never hold a value from a message: no payload, subject, user or case.

pub mod admission;
pub mod answer;
pub mod commitment;
pub mod opening;
pub mod proof;
mod random;
pub mod receipt;
pub mod seal;
pub mod statement;
pub mod stream;
pub mod tag;

pub use random::RandomError;
