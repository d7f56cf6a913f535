//! Portable evidence: what one party can hand to anybody, who checks it without asking either side.
//!
//! * [`dossier`]: all there is about one exchange, and what it proves;
//! * [`container`]: its files in an ASiC-E with a CAdES seal, made of [`archive`], [`manifest`] and
//!   [`seal`];
//! * [`stamped`]: that container under a time stamp, in an ASiC-S;
//! * [`compare`]: both ledgers of an exchange, and who dropped what;
//! * [`omission`]: the proof that a provider's ledger does not hold what the provider signed that it
//!   holds.
//!
//! Nothing here reads a clock, a socket or a file.

pub mod archive;
pub mod compare;
pub mod container;
pub mod dossier;
mod instructions;
pub mod manifest;
pub mod omission;
pub mod seal;
pub mod stamped;
