//! A registry or a security server as a process of its own, logging everything it can, and stopped or
//! startled at a step.
//!
//! Prints one line of JSON when it listens, and drains when its input ends.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use entente_central_registry as registry;
use entente_clock::SystemClock;
use entente_ledger::Runner;
use entente_ledger::disk::RealDisk;
use entente_security_server::{Config, Deps, Probe, SecurityServer, Step};
use entente_telemetry::{LogOutput, Logging};
use entente_tests::walk::step_named;
use entente_tls::net::TokioNet;
use tokio::io::AsyncReadExt as _;

#[derive(Debug, Parser)]
#[command(about = "A role of the federation that logs everything it can")]
struct Cli {
    /// A text to log at once, at the lowest level.
    #[arg(long)]
    plant: String,
    /// The role's configuration.
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// The central registry.
    Registry,
    /// A security server.
    Server {
        /// The step to abort at, such as `RequestLogged`.
        #[arg(long, value_parser = parse_step)]
        abort_at: Option<Step>,
        /// The step to panic at.
        #[arg(long, value_parser = parse_step, requires = "saying")]
        panic_at: Option<Step>,
        /// What the panic says.
        #[arg(long)]
        saying: Option<String>,
    },
}

/// Stops the process, or one exchange of it.
#[derive(Debug)]
struct Startle {
    abort_at: Option<Step>,
    panic_at: Option<Step>,
    saying: String,
}

impl Probe for Startle {
    fn reached(&self, step: Step) {
        if self.abort_at == Some(step) {
            std::process::abort();
        }
        assert!(self.panic_at != Some(step), "{}", self.saying);
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let logging = Logging {
        filter: "trace".to_owned(),
        output: LogOutput::Stdout,
        clock: Arc::new(SystemClock),
    };
    logging.start()?;
    tracing::trace!(target: "entente_tests::planted", text = cli.plant);
    match cli.role {
        Role::Registry => {
            let deps = registry::Deps {
                clock: Arc::new(SystemClock),
                net: Arc::new(TokioNet),
                disk: Arc::new(RealDisk),
                runner: Runner::Thread,
            };
            let config: registry::Config = entente_config::load(&cli.config)?;
            let running = registry::CentralRegistry::start(config, deps).await?;
            let admin = running.admin().context("the registry has no admin door")?;
            ready(&admin.to_string());
            end_of_input().await?;
            running.shutdown().await?;
        }
        Role::Server {
            abort_at,
            panic_at,
            saying,
        } => {
            let deps = Deps {
                probe: Arc::new(Startle {
                    abort_at,
                    panic_at,
                    saying: saying.unwrap_or_default(),
                }),
                ..Deps::real()
            };
            let running = SecurityServer::start(Config::load(&cli.config)?, deps).await?;
            ready(&running.admin_addr().to_string());
            end_of_input().await?;
            running.shutdown().await;
        }
    }
    Ok(())
}

async fn end_of_input() -> anyhow::Result<()> {
    let read = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    read.context("waiting for the end of the input")?;
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the line the test waits for")]
fn ready(admin: &str) {
    println!("{}", serde_json::json!({ "admin": admin }));
}

fn parse_step(name: &str) -> Result<Step, String> {
    step_named(name).ok_or_else(|| format!("no step is called {name:?}"))
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
