//! The other processes of `cargo xtask bench exchange`: keys, echo, hop, federation, load.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use entente_tests::bench::{Dial, Federation, Holder, Listen, Load, echo, hop, write_keys};
use tokio::runtime::{Builder, Runtime};

/// The product's own, so that what is compared differs in nothing else.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, Parser)]
#[command(about = "What the benchmarks start beside the product")]
struct Cli {
    /// Threads that run tasks.
    #[arg(long, global = true, default_value_t = 1)]
    threads: usize,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make keys and certificates.
    Keys { folder: PathBuf, names: Vec<String> },
    /// Answer every call with its own message.
    Echo {
        #[command(flatten)]
        listen: Listen,
        /// Own key: `FOLDER/NAME`.
        #[arg(long)]
        identity: Option<Holder>,
    },
    /// Register two security servers, say how to start them, and serve their registry.
    Federation { folder: PathBuf },
    /// Forward every call.
    Hop {
        #[command(flatten)]
        listen: Listen,
        #[command(flatten)]
        to: Dial,
        /// Own key: `FOLDER/NAME`.
        #[arg(long)]
        identity: Option<Holder>,
    },
    /// Call, measure, and print one JSON object.
    Load(Box<Load>),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = runtime(cli.threads)?;
    match cli.task {
        Task::Keys { folder, names } => write_keys(&folder, &names),
        Task::Echo { listen, identity } => runtime.block_on(echo(&listen, identity.as_ref())),
        Task::Federation { folder } => runtime.block_on(async {
            let federation = Federation::build(&folder).await?;
            print(&format!("federation {}", federation.json()));
            // Its registry serves for as long as this process lives.
            std::future::pending().await
        }),
        Task::Hop {
            listen,
            to,
            identity,
        } => runtime.block_on(hop(&listen, &to, identity.as_ref())),
        Task::Load(load) => {
            let summary = runtime.block_on(load.run())?;
            print(&summary.json().to_string());
            Ok(())
        }
    }
}

fn runtime(threads: usize) -> anyhow::Result<Runtime> {
    let mut builder = match threads {
        0 | 1 => Builder::new_current_thread(),
        more => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(more);
            builder
        }
    };
    builder.enable_all().build().context("starting tokio")
}

#[allow(clippy::print_stdout, reason = "the result of a command-line tool")]
fn print(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
