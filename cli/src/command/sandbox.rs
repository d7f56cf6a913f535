//! `entente sandbox`: a federation that stays up.

mod lock;
mod probe;
mod supervise;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::{Args, Subcommand};
use entente_sandbox::{Layout, NotASandbox, Step};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::desk::SANDBOX;
use super::log::{ledgers_in, open};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

pub(crate) use lock::{hold, holder};
pub(crate) use supervise::{Status, print_step};

/// A small federation on this machine: up, down, status
///
/// Registry, three agencies, an adapter over an old SQLite database, and two provinces, each with a registry
/// and an agency of its own: all real, all fictional, all on loopback and in one folder.
#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    Up(UpArgs),
    /// Stop; the files stay
    Down(DirArgs),
    /// What runs, where it listens, and how much is logged
    Status(DirArgs),
    /// The process that `up` leaves behind
    #[command(hide = true)]
    Run(DirArgs),
}

/// Start in the background, and say where everything listens
///
/// Starts what is in the folder, or builds it first. Example: entente sandbox up
#[derive(Args, Debug)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Stay in the foreground until Ctrl-C
    #[arg(long)]
    foreground: bool,
    /// Replace what an earlier sandbox left
    #[arg(long)]
    fresh: bool,
}

/// Which sandbox.
#[derive(Args, Clone, Debug)]
pub(crate) struct DirArgs {
    /// The sandbox's folder
    #[arg(long, value_name = "DIR", default_value = SANDBOX)]
    pub(crate) dir: PathBuf,
}

pub(crate) async fn run(command: SandboxCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        SandboxCommand::Up(args) => up(&args, screen).await,
        SandboxCommand::Down(args) => down(&args, screen).await,
        SandboxCommand::Status(args) => status(&args, screen).await,
        SandboxCommand::Run(args) => supervise::run(&args.layout()).await,
    }
}

async fn up(args: &UpArgs, screen: &Screen) -> Result<(), Failure> {
    let layout = args.dir.layout();
    if holder(&layout).is_some() {
        let facts: [Fact<'_>; 1] = [("dir", &layout.root().display())];
        screen.say(Text::SandboxRuns, &facts);
        return status(&args.dir, screen).await;
    }
    if args.fresh || !layout.is_built() {
        prepare(&layout, screen)?;
    }
    if args.foreground {
        return supervise::foreground(&layout, screen).await;
    }
    let started = spawn(&layout, screen).await?;
    screen.show(
        "sandbox.up",
        json!({ "dir": layout.root(), "millis": started }),
        |screen| {
            let seconds = format!("{}.{}", started / 1000, started % 1000 / 100);
            let facts: [Fact<'_>; 2] = [("seconds", &seconds), ("dir", &layout.root().display())];
            print_out(screen.text(Text::SandboxReady, &facts));
            print_next(screen);
        },
    );
    Ok(())
}

/// Makes an empty folder, unless it is somebody else's.
pub(crate) fn prepare(layout: &Layout, screen: &Screen) -> Result<(), Failure> {
    layout
        .prepare()
        .map_err(|error| folder_failure(&error, screen))
}

fn folder_failure(error: &NotASandbox, screen: &Screen) -> Failure {
    match error {
        NotASandbox::Foreign { path } => {
            let facts: [Fact<'_>; 1] = [("dir", &path.display())];
            Failure::new(Exit::Refused, screen.text(Text::SandboxForeign, &facts))
                .note(Text::LabelDo, "--dir DIR")
        }
        NotASandbox::Missing { path } => {
            let facts: [Fact<'_>; 1] = [("dir", &path.display())];
            Failure::new(Exit::NotFound, screen.text(Text::SandboxMissing, &facts))
                .note(Text::LabelDo, "entente sandbox up")
        }
        other => Failure::of(Exit::Failed, other),
    }
}

/// Starts the process that stays, and shows what it does until it is ready. How long it took, ms.
async fn spawn(layout: &Layout, screen: &Screen) -> Result<u64, Failure> {
    let failed = |error: std::io::Error| Failure::of(Exit::Failed, &error);
    let program = std::env::current_exe().map_err(failed)?;
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(layout.log());
    let mut child = tokio::process::Command::new(program)
        .args(["sandbox", "run", "--dir"])
        .arg(layout.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log.map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take();
    let lines = stdout.map(|stdout| BufReader::new(stdout).lines());
    let mut said = None;
    if let Some(mut lines) = lines {
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(Step::Ready { millis }) => return Ok(millis),
                Ok(step) => print_step(&step, screen),
                Err(_) => said = Some(line),
            }
        }
    }
    let mut failure = Failure::new(Exit::Failed, screen.text(Text::SandboxFailed, &[]));
    if let Some(said) = said {
        failure.because.push(said);
    }
    Err(failure.note(Text::LabelMore, layout.log().display()))
}

/// What to try, with the names of this sandbox.
pub(crate) fn print_next(screen: &Screen) {
    print_out(screen.text(Text::SandboxNext, &[]));
    for command in [CALL, SHOW, VERIFY, "entente sandbox down"] {
        print_out(format!("  {command}"));
    }
}

async fn down(args: &DirArgs, screen: &Screen) -> Result<(), Failure> {
    let layout = args.layout();
    layout
        .require()
        .map_err(|error| folder_failure(&error, screen))?;
    let facts: [Fact<'_>; 1] = [("dir", &layout.root().display())];
    let Some(pid) = holder(&layout) else {
        let shown = json!({ "dir": layout.root(), "was_up": false });
        screen.show("sandbox.down", shown, |screen| {
            print_out(screen.text(Text::SandboxNotUp, &facts));
        });
        return Ok(());
    };
    kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let gone = async {
        while holder(&layout).is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(DRAINS_WITHIN, gone).await.is_err() {
        let what = screen.text(Text::SandboxStays, &[("pid", &pid)]);
        return Err(Failure::new(Exit::Failed, what));
    }
    screen.show(
        "sandbox.down",
        json!({ "dir": layout.root(), "was_up": true }),
        |screen| {
            print_out(screen.text(Text::SandboxStopped, &facts));
        },
    );
    Ok(())
}

async fn status(args: &DirArgs, screen: &Screen) -> Result<(), Failure> {
    let layout = args.layout();
    layout
        .require()
        .map_err(|error| folder_failure(&error, screen))?;
    let running = holder(&layout);
    let status = running
        .and_then(|_| Status::read(&layout))
        .unwrap_or_default();
    let realms = layout.realms();
    let mut items: Vec<Value> = Vec::new();
    for realm in &realms {
        let address = status.registries.get(realm.jurisdiction);
        items.push(json!({
            "role": "registry",
            "name": realm.jurisdiction,
            "state": state(address.is_some(), screen),
            "address": address,
            "entries": entries(&layout.registry(realm), screen),
        }));
    }
    for agency in realms.iter().flat_map(|realm| realm.agencies) {
        let server = status.server(&agency.server());
        let ready = match server {
            Some(server) => probe::is_ready(&server.admin).await,
            None => false,
        };
        items.push(json!({
            "role": "security-server",
            "name": agency.server(),
            "state": state(ready, screen),
            "address": server.map(|server| server.peer.clone()),
            "admin": server.map(|server| server.admin.clone()),
            "callers": server.map(|server| server.callers.clone()),
            "entries": entries(&layout.ledgers(agency), screen),
        }));
    }
    let columns = [
        ("role", Text::HeadRole),
        ("name", Text::HeadName),
        ("state", Text::HeadState),
        ("address", Text::HeadAddress),
        ("entries", Text::HeadEntries),
        ("callers", Text::HeadCallers),
    ];
    screen.list("sandbox.status", &items, &columns);
    if running.is_none() {
        screen.say(Text::SandboxNotUp, &[("dir", &layout.root().display())]);
    }
    Ok(())
}

fn state(up: bool, screen: &Screen) -> Value {
    let machine = screen.format != crate::output::Format::Table;
    match (up, machine) {
        (true, true) => "ready".into(),
        (false, true) => "down".into(),
        (true, false) => screen.text(Text::StateReady, &[]).into(),
        (false, false) => screen.text(Text::StateDown, &[]).into(),
    }
}

/// Entries in the ledgers of a folder; none while there is none.
fn entries(dir: &std::path::Path, screen: &Screen) -> Option<u64> {
    let ledgers = ledgers_in(dir, screen).ok()?;
    let sizes = ledgers
        .iter()
        .map(|dir| open(dir, screen).map(|reader| reader.size()));
    sizes.sum::<Result<u64, _>>().ok()
}

// === impl DirArgs ===

impl DirArgs {
    pub(crate) fn layout(&self) -> Layout {
        Layout::of(&self.dir)
    }
}

/// Servers drain for at most 30 s.
const DRAINS_WITHIN: Duration = Duration::from_secs(45);

/// A call that works in a sandbox.
pub(crate) const CALL: &str = "entente call ca-demo/vital-events/registry \
entente.demo.vitalevents.v1.VitalEvents/LookupDeath \
-d '{\"person_number\": \"046454286\"}' --purpose PROGRAM_ADMINISTRATION";
const SHOW: &str = "entente log show sandbox/pensions";
const VERIFY: &str = "entente log verify sandbox/pensions sandbox/vital-events";
