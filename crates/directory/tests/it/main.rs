//! The directory from outside: who may author what, what follows from what, and golden bytes.

// What clippy.toml allows in tests, also in what they share.
#![allow(clippy::unwrap_used)]

mod agreements;
mod annotate;
mod authors;
mod budget;
mod denials;
mod federation;
mod golden;
mod keys;
mod ledger_key;
mod mandates;
mod members;
mod order;
mod parse;
mod property;
mod recognition;
mod registrars;
mod services;
mod shards;
mod two;
mod world;
