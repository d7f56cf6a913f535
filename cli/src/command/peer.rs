//! `entente peer`: the way to another server, looked at step by step.

mod ground;
mod step;
mod trace;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Screen;

/// See the way to another security server
#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    Trace(trace::TraceArgs),
}

pub(crate) async fn run(command: PeerCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        PeerCommand::Trace(args) => trace::run(&args, screen).await,
    }
}
