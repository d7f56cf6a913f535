//! Portable evidence: what one party can hand to anybody, who checks it without asking either side.
//!
//! * [`archive`], [`manifest`], [`seal`]: the container, an ASiC-E with a CAdES seal;
//! * [`omission`]: the proof that a provider's ledger does not hold what the provider signed that it
//!   holds.
//!
//! Nothing here reads a clock, a socket or a file.

pub mod compare;
pub mod archive;
pub mod manifest;
pub mod omission;
pub mod seal;
