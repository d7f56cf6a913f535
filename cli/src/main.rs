//! `entente`: every role and every tool in one binary.
//!
//! Results are on stdout, messages on stderr; [`exit`] fixes the exit codes and [`texts`] holds
//! every sentence in both languages. This program holds no rule of its own: what it shows was
//! verified by the crates it calls.

mod args;
mod command;
mod exit;
mod output;
mod texts;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;

/// An exchange makes some two hundred allocations, of which those above a kibibyte are slow in glibc:
/// see `docs/decisions/005-the-allocator.md`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = cli.global.screen();
    match command::run(cli.command, &screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen.progress("");
            screen.fail(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}
