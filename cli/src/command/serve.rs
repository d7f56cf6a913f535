//! `entente serve`: one role in the foreground, JSON lines on stdout, until SIGTERM.

mod notify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use entente_adapter_sdk::{ServeOptions, bind};
use entente_adapter_sql::{OpenOptions, SqlAdapter};
use entente_central_registry as registry;
use entente_clock::SystemClock;
use entente_config::{ListenAddr, Secret};
use entente_keys::LocalToken;
use entente_ledger::Runner;
use entente_oversight::witness;
use entente_sandbox::Seams;
use entente_security_server as security;
use entente_telemetry::{LOG_VARIABLE, LogOutput, Logging};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::config::{FileKind, check};
use crate::exit::{Exit, Failure};
use crate::output::Screen;
use crate::texts::Text;

/// Run a role in the foreground, until SIGTERM
///
/// Logs JSON lines to stdout. SIGTERM: not ready, no new calls, those in flight finish, exit 0. A
/// second one stops at once; nothing is lost then either.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The role
    #[arg(value_enum)]
    role: Role,
    /// Its configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// An adapter's place to listen: unix:PATH, or loopback with --token; by default the socket
    /// `adapter.sock` beside its file
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<ListenAddr>,
    /// The file with the token an adapter on loopback asks for
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// Only parse the configuration and print what was understood
    #[arg(long)]
    check_config: bool,
    /// What to log: a level, or TARGET=LEVEL pairs
    #[arg(long, value_name = "FILTER", env = LOG_VARIABLE, default_value = "info")]
    log: String,
}

/// What this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Signs, seals and logs what a member's systems exchange
    SecurityServer,
    /// The registry of a jurisdiction
    Registry,
    /// Answers questions from a legacy database
    Adapter,
    /// Cosigns the ledgers of others, for an oversight body
    Witness,
}

/// SIGTERM and SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

pub(crate) async fn run(mut args: ServeArgs, screen: &Screen) -> Result<(), Failure> {
    args.config = super::in_folder(&args.config);
    if args.check_config {
        return check(&args.config, Some(args.role.file()), true, screen);
    }
    start_logging(&args.log)?;
    let mut stop = Stop::new()?;
    notify::keep_alive();
    match args.role {
        Role::Adapter => adapter(&args, &mut stop, screen).await,
        Role::Registry => registry(&args.config, &mut stop, screen).await,
        Role::SecurityServer => security_server(&args.config, &mut stop, screen).await,
        Role::Witness => witness(&args.config, &mut stop, screen).await,
    }
}

/// JSON lines to stdout from now on.
pub(crate) fn start_logging(filter: &str) -> Result<(), Failure> {
    let logging = Logging {
        filter: filter.to_owned(),
        output: LogOutput::Stdout,
        clock: Arc::new(SystemClock),
    };
    let started = logging.start().map(drop);
    started.map_err(|error| Failure::of(Exit::Usage, &error))
}

async fn security_server(file: &Path, stop: &mut Stop, screen: &Screen) -> Result<(), Failure> {
    loop {
        let config = security::Config::load(file)?;
        let starting = security::SecurityServer::start(config, security::Deps::real());
        let Some(started) = stop.or(starting).await else {
            return Ok(());
        };
        let running = started.map_err(|error| not_started(&error, screen))?;
        notify::ready();
        // With its half-year a shard of the ledger ends. The server goes on in the next one, which it opens
        // when it starts: calls wait or are refused for about a second, twice a year.
        let is_over = stop.or(running.shard_over()).await.is_some();
        tracing::info!(event = "server.draining", next_shard = is_over);
        let is_drained = stop.or(running.shutdown()).await.is_some();
        if !is_over || !is_drained {
            tracing::info!(event = "server.stopped");
            return Ok(());
        }
    }
}

async fn registry(file: &Path, stop: &mut Stop, screen: &Screen) -> Result<(), Failure> {
    let config: registry::Config = entente_config::load(file)?;
    let Seams { clock, net, disk } = Seams::real();
    let deps = registry::Deps {
        clock,
        net,
        disk,
        runner: Runner::Thread,
    };
    let is_standby = registry::Standby::is_meant(&config, &deps);
    if is_standby.map_err(|error| not_started(&error, screen))? {
        let started = registry::Standby::start(&config, deps).await;
        let standby = started.map_err(|error| not_started(&error, screen))?;
        notify::ready();
        stop.wait().await;
        stop.or(standby.shutdown()).await;
        tracing::info!(event = "standby.stopped");
        return Ok(());
    }
    let started = registry::CentralRegistry::start(config, deps).await;
    let running = started.map_err(|error| {
        let failure = not_started(&error, screen);
        match error {
            // A person has to do something that the reason says.
            registry::StartError::LedgerKey { .. } => {
                failure.explained(error.reason(), screen.lang)
            }
            _ => failure,
        }
    })?;
    notify::ready();
    stop.wait().await;
    tracing::info!(event = "registry.draining");
    if let Some(Err(error)) = stop.or(running.shutdown()).await {
        return Err(Failure::of(Exit::Failed, &error));
    }
    tracing::info!(event = "registry.stopped");
    Ok(())
}

async fn witness(file: &Path, stop: &mut Stop, screen: &Screen) -> Result<(), Failure> {
    let config = witness::Config::load(file)?;
    let starting = witness::Running::start(config, witness::Deps::real());
    let Some(started) = stop.or(starting).await else {
        return Ok(());
    };
    let running = started.map_err(|error| not_started(&error, screen))?;
    notify::ready();
    stop.wait().await;
    stop.or(running.shutdown()).await;
    tracing::info!(event = "witness.stopped");
    Ok(())
}

async fn adapter(args: &ServeArgs, stop: &mut Stop, screen: &Screen) -> Result<(), Failure> {
    let opened = SqlAdapter::open(&args.config, &OpenOptions::default()).await;
    let adapter = opened.map_err(|error| not_started(&error, screen))?;
    let beside = || {
        let folder = args.config.parent().unwrap_or_else(|| Path::new("."));
        ListenAddr::Unix(folder.join("adapter.sock"))
    };
    let listen = args.listen.clone().unwrap_or_else(beside);
    let token = args.token.as_deref().map(LocalToken::load).transpose();
    let token = token.map_err(|error| Failure::of(Exit::Usage, &error))?;
    let options = ServeOptions {
        token: token.map(|token| Secret::new(token.expose())),
        ..ServeOptions::default()
    };
    let bound = bind(&listen).map_err(|error| not_started(&error, screen))?;
    tracing::info!(event = "adapter.listening", address = %bound.address());
    notify::ready();
    let served = bound.serve(Arc::new(adapter), options, stop.wait()).await;
    served.map_err(|error| not_started(&error, screen))?;
    tracing::info!(event = "adapter.stopped");
    Ok(())
}

fn not_started(error: &(dyn std::error::Error + 'static), screen: &Screen) -> Failure {
    tracing::error!(event = "start.failed", %error);
    Failure::new(Exit::Failed, screen.text(Text::NotStarted, &[])).because(error)
}

// === impl Role ===

impl Role {
    const fn file(self) -> FileKind {
        match self {
            Self::Adapter => FileKind::Adapter,
            Self::Registry => FileKind::Registry,
            Self::SecurityServer => FileKind::SecurityServer,
            Self::Witness => FileKind::Witness,
        }
    }
}

// === impl Stop ===

impl Stop {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::of(Exit::Failed, &error));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next of them, and says so to a service manager. Cancel-safe.
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        notify::stopping();
    }

    /// Runs `work`, unless asked to stop first.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.wait() => None,
        }
    }
}

const EXAMPLES: &str = "\
Examples, in the folder of a sandbox that is down:
  entente serve registry --config sandbox/registry/registry.yaml
  entente serve adapter --config sandbox/vital-events/adapter/vital-events.adapter.yaml
  entente serve security-server --config sandbox/vital-events/security-server.yaml
  entente serve witness --config witness.yaml";
