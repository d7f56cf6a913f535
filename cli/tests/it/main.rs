//! The program as it is run: help, exit codes, JSON, and a whole demo with what it leaves behind.

#![allow(
    clippy::unwrap_used,
    reason = "a test's own errors; clippy does not see it in functions beside the tests"
)]

mod abroad;
mod backup;
mod bundle;
mod commands;
mod demo;
mod doctor;
mod erase;
mod help;
mod ledger_key;
mod life;
mod omission;
mod peer;
mod rebuilt;
mod registrars;
mod run;
mod samples;
mod signed;
mod stamps;
mod status;
mod systemd;
mod takeover;
mod token;
mod two;
mod witnesses;
