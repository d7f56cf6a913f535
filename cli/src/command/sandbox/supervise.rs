//! The process that keeps a sandbox up, in the background or before your eyes.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::Arc;

use entente_clock::SystemClock;
use entente_identity::ServerId;
use entente_sandbox::{BuildError, Federation, Layout, Options, Seams, Step};
use entente_telemetry::{LogOutput, Logging};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::{hold, print_next};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Where a running sandbox listens, as it wrote it down.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Status {
    /// By jurisdiction.
    pub(crate) registries: BTreeMap<String, String>,
    pub(crate) servers: Vec<ServerStatus>,
}

/// Where one of its servers listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServerStatus {
    pub(crate) server: ServerId,
    pub(crate) peer: String,
    pub(crate) admin: String,
    pub(crate) callers: Vec<String>,
}

/// In the background: steps as JSON lines on stdout until ready, then silence there.
pub(super) async fn run(layout: &Layout) -> Result<(), Failure> {
    // So that closing the terminal does not take the sandbox with it. Fails only for a process that
    // leads a session already.
    let _ = nix::unistd::setsid();
    let logging = Logging {
        filter: "info".to_owned(),
        output: LogOutput::Stderr,
        clock: Arc::new(SystemClock),
    };
    let logging = logging.start().map(drop);
    logging.map_err(|error| Failure::of(Exit::Failed, &error))?;
    let mut out = |step: &Step| tell(&serde_json::to_string(step).unwrap_or_default());
    let ended = keep_up(layout, &mut out).await;
    if let Err(failure) = &ended {
        let because = failure.because.iter().map(String::as_str);
        let chain: Vec<&str> = std::iter::once(failure.what.as_str())
            .chain(because)
            .collect();
        tell(&chain.join(": "));
    }
    ended
}

/// Before your eyes, until Ctrl-C.
pub(super) async fn foreground(layout: &Layout, screen: &Screen) -> Result<(), Failure> {
    let mut out = |step: &Step| match step {
        Step::Ready { millis } => {
            let seconds = format!("{}.{}", millis / 1000, millis % 1000 / 100);
            let facts: [Fact<'_>; 2] = [("seconds", &seconds), ("dir", &layout.root().display())];
            print_out(screen.text(Text::SandboxReady, &facts));
            print_next(screen);
        }
        step => print_step(step, screen),
    };
    keep_up(layout, &mut out).await
}

async fn keep_up(layout: &Layout, out: &mut (dyn FnMut(&Step) + Send)) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::of(Exit::Failed, &error);
    let held = hold(layout).map_err(failed)?;
    let Some(_held) = held else {
        return Err(Failure::new(
            Exit::Failed,
            "another process runs this sandbox",
        ));
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut status = Status::default();
    let mut show = |step: Step| {
        status.note(&step);
        if matches!(step, Step::Ready { .. }) {
            // Before anybody is told that it is there to read.
            let _ = std::fs::write(
                layout.status(),
                serde_json::to_vec_pretty(&status).unwrap_or_default(),
            );
        }
        out(&step);
    };
    let federation = bring_up(layout, &mut show).await;
    let federation = federation.map_err(|error| Failure::of(Exit::Failed, &error))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let stopped = federation.shutdown().await;
    stopped.map_err(|error| Failure::of(Exit::Failed, &error))
}

async fn bring_up(
    layout: &Layout,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<Federation, BuildError> {
    if layout.is_built() {
        return Federation::start(layout, Seams::real(), show).await;
    }
    // Ready is said once, when the provinces are there too.
    let mut took = 0;
    let mut but_ready = |step| match step {
        Step::Ready { millis } => took += millis,
        step => show(step),
    };
    let mut federation = Federation::build(layout, Options::default(), &mut but_ready).await?;
    federation.add_provinces(&mut but_ready).await?;
    federation.join_provinces(&mut but_ready).await?;
    show(Step::Ready { millis: took });
    Ok(federation)
}

/// A line to whoever started us, who may have gone.
fn tell(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// A step for people or scripts.
pub(crate) fn print_step(step: &Step, screen: &Screen) {
    let value = serde_json::to_value(step).unwrap_or_default();
    screen.event("sandbox.step", value, |screen| {
        if let Some(line) = step_line(step, screen) {
            print_out(format!(" {} {line}", screen.green("✓")));
        }
    });
}

fn step_line(step: &Step, screen: &Screen) -> Option<String> {
    Some(match step {
        Step::RegistryStarted {
            jurisdiction,
            address,
            ..
        } => screen.text(
            Text::StepRegistry,
            &[("jurisdiction", jurisdiction), ("address", address)],
        ),
        Step::MemberApplied {
            member,
            fingerprint,
        } => {
            let short = fingerprint.get(..19).unwrap_or(fingerprint);
            screen.text(
                Text::StepApplied,
                &[("member", member), ("fingerprint", &short)],
            )
        }
        Step::MemberAdmitted { member, index } => {
            screen.text(Text::StepAdmitted, &[("member", member), ("index", index)])
        }
        Step::ServerRegistered {
            server,
            address,
            index,
        } => screen.text(
            Text::StepRegistered,
            &[("server", server), ("address", address), ("index", index)],
        ),
        Step::ServicePublished {
            service,
            member,
            index,
            ..
        } => screen.text(
            Text::StepPublished,
            &[("service", service), ("member", member), ("index", index)],
        ),
        Step::AdapterStarted {
            system,
            people,
            deaths,
        } => screen.text(
            Text::StepAdapter,
            &[("system", system), ("people", people), ("deaths", deaths)],
        ),
        Step::AgreementSigned {
            name,
            hash,
            by,
            active,
            ..
        } => {
            let short = hash.get(..16).unwrap_or(hash);
            let text = if *active {
                Text::StepInForce
            } else {
                Text::StepSigned
            };
            screen.text(text, &[("name", name), ("member", by), ("hash", &short)])
        }
        Step::AgreementRevoked { name, by, index } => screen.text(
            Text::StepRevoked,
            &[("name", name), ("member", by), ("index", index)],
        ),
        Step::RegistryRecognised {
            by,
            jurisdiction,
            fingerprint,
            index,
        } => {
            let short = fingerprint.get(..16).unwrap_or(fingerprint);
            screen.text(
                Text::StepRecognised,
                &[
                    ("by", by),
                    ("jurisdiction", jurisdiction),
                    ("fingerprint", &short),
                    ("index", index),
                ],
            )
        }
        Step::RecognitionResumed {
            by,
            jurisdiction,
            index,
        } => screen.text(
            Text::StepRecognisedAgain,
            &[("by", by), ("jurisdiction", jurisdiction), ("index", index)],
        ),
        Step::RecognitionSuspended {
            by,
            jurisdiction,
            index,
        } => screen.text(
            Text::StepSuspended,
            &[("by", by), ("jurisdiction", jurisdiction), ("index", index)],
        ),
        Step::ServerStarted {
            server,
            peer,
            callers,
            ..
        } => match callers.first() {
            Some(caller) => screen.text(
                Text::StepServes,
                &[("server", server), ("peer", peer), ("caller", caller)],
            ),
            None => screen.text(Text::StepAnswers, &[("server", server), ("peer", peer)]),
        },
        _ => return None,
    })
}

// === impl Status ===

impl Status {
    fn note(&mut self, step: &Step) {
        match step {
            Step::RegistryStarted {
                jurisdiction,
                address,
                ..
            } => {
                let (jurisdiction, address) = (jurisdiction.clone(), address.clone());
                self.registries.insert(jurisdiction, address);
            }
            Step::ServerStarted {
                server,
                peer,
                admin,
                callers,
            } => self.servers.push(ServerStatus {
                server: server.clone(),
                peer: peer.clone(),
                admin: admin.clone(),
                callers: callers.clone(),
            }),
            _ => {}
        }
    }

    /// What the running process wrote down.
    pub(crate) fn read(layout: &Layout) -> Option<Self> {
        let text = std::fs::read(layout.status()).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(crate) fn server(&self, server: &ServerId) -> Option<&ServerStatus> {
        self.servers.iter().find(|status| status.server == *server)
    }
}
