//! A security server as a process of its own, which aborts when it reaches a step.
//!
//! Prints one line of JSON when it listens, and drains when its input ends or on SIGTERM.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use entente_clock::SystemClock;
use entente_security_server::{Config, Deps, Probe, SecurityServer, Step};
use entente_telemetry::{LogOutput, Logging};
use entente_tests::walk::step_named;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(about = "A security server that can be made to abort at a step")]
struct Cli {
    /// `security-server.yaml`.
    #[arg(long)]
    config: PathBuf,
    /// The step to abort at, such as `RequestLogged`.
    #[arg(long, value_parser = parse_step)]
    abort_at: Option<Step>,
}

/// Aborts the process: nothing is flushed, nothing is closed.
#[derive(Debug)]
struct AbortAt(Option<Step>);

impl Probe for AbortAt {
    fn reached(&self, step: Step) {
        if self.0 == Some(step) {
            std::process::abort();
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let logging = Logging {
        filter: "info".to_owned(),
        output: LogOutput::Stderr,
        clock: Arc::new(SystemClock),
    };
    logging.start()?;
    let config = Config::load(&cli.config)?;
    let deps = Deps {
        probe: Arc::new(AbortAt(cli.abort_at)),
        ..Deps::real()
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let running = SecurityServer::start(config, deps).await?;
    let ready = serde_json::json!({
        "admin": running.admin_addr().to_string(),
        "peer": running.peer_endpoint().to_string(),
    });
    print(&ready.to_string());
    let mut stdin = tokio::io::stdin();
    let mut byte = [0];
    tokio::select! {
        read = stdin.read(&mut byte) => {
            read.context("waiting for the end of the input")?;
        }
        _ = terminate.recv() => {}
    }
    running.shutdown().await;
    Ok(())
}

fn parse_step(name: &str) -> Result<Step, String> {
    step_named(name).ok_or_else(|| format!("no step is called {name:?}"))
}

#[allow(clippy::print_stdout, reason = "the line the test waits for")]
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
