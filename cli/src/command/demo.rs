//! `entente demo`: one real exchange from end to end. Every line comes from something that happened
//! just before, was looked at, and was as the line says; otherwise the demo fails.

mod across;
mod ask;
mod evidence;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use entente_agreement::Agreement;
use entente_clock::{Clock as _, SystemClock, Timestamp};
use entente_sandbox::{AGENCIES, Agency, Federation, Layout, Office, Options, Step};
use serde_json::json;

use super::desk::SANDBOX;
use super::sandbox::{CALL, hold, holder, prepare, print_step};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Show one real exchange from end to end, on this machine, in under 20 seconds
///
/// Starts a registry and three agencies on loopback, asks an old database a question under a signed
/// agreement, and shows what is refused. Two provinces, each with a registry of its own, join in, are
/// recognised two by two, ask across, and are refused while a recognition is missing or suspended. Proves
/// every ledger, and finds a byte flipped in a copy. Leaves everything in ./sandbox.
/// Example: entente demo --lang fr
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Where to leave it; an earlier sandbox there is replaced, anything else is not
    #[arg(long, value_name = "DIR", default_value = SANDBOX)]
    dir: PathBuf,
}

/// The demo as it goes.
pub(crate) struct Demo<'a> {
    screen: &'a Screen,
    layout: Layout,
    began: Timestamp,
    sections: u32,
}

const PROVIDER: &Agency = &AGENCIES[0];
const PENSIONS: &Agency = &AGENCIES[1];
const TRANSPORT: &Agency = &AGENCIES[2];

pub(crate) async fn run(args: DemoArgs, screen: &Screen) -> Result<(), Failure> {
    let layout = Layout::of(&args.dir);
    if holder(&layout).is_some() {
        let facts: [Fact<'_>; 1] = [("dir", &layout.root().display())];
        return Err(
            Failure::new(Exit::Refused, screen.text(Text::SandboxRuns, &facts))
                .note(Text::LabelDo, "entente sandbox down"),
        );
    }
    prepare(&layout, screen)?;
    let held = hold(&layout).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let mut demo = Demo {
        screen,
        layout,
        began: SystemClock.now(),
        sections: 0,
    };
    demo.all().await?;
    drop(held);
    demo.by_hand();
    Ok(())
}

// === impl Demo ===

impl Demo<'_> {
    async fn all(&mut self) -> Result<(), Failure> {
        self.line(&self.screen.bold(&self.screen.text(Text::DemoTitle, &[])));
        let mut federation = self.build().await?;
        let transaction = self.ask(&federation).await?;
        let agreement = self.agreement(&federation).await?;
        self.refuse(&federation).await?;
        let agreement = self.revoke(&federation, &agreement).await?;
        self.section(Text::DemoLedgers);
        self.both_sides(&transaction)?;
        self.provinces(&mut federation).await?;
        self.across(&federation).await?;
        self.between(&federation).await?;
        self.suspend(&federation).await?;
        let draft = federation.draft_next(3, &agreement);
        draft.map_err(|error| broken(&error))?;
        federation
            .shutdown()
            .await
            .map_err(|error| broken(&error))?;
        self.verify().await?;
        self.find_a_flipped_byte().await
    }

    /// 1 and 2: registration, and an agreement.
    async fn build(&mut self) -> Result<Federation, Failure> {
        self.section(Text::DemoRegistration);
        let layout = self.layout.clone();
        let mut show = |step: Step| {
            match step {
                Step::AgreementSigned { signatures: 1, .. } => {
                    self.section(Text::DemoAgreement);
                    self.tell(Text::DemoAgreementSays, &[]);
                }
                Step::ServerStarted { ref server, .. } if *server == PROVIDER.server() => {
                    self.section(Text::DemoServers);
                }
                _ => {}
            }
            print_step(&step, self.screen);
        };
        let built = Federation::build(&layout, Options::default(), &mut show).await;
        built.map_err(|error| broken(&error))
    }

    async fn agreement(&self, federation: &Federation) -> Result<Arc<Agreement>, Failure> {
        let office = federation.office(PROVIDER).await;
        let office = office.map_err(|error| broken(&error))?;
        let view = office.desk().refresh().await;
        let view = view.map_err(|error| broken(&error))?;
        let found = Office::find(&view, "DEMO-001");
        let found = found.and_then(|record| view.agreement(&record.id()));
        office.close().await;
        found.ok_or_else(|| self.not_as_told("the agreement is not in the registry"))
    }

    /// What to type to do each of it oneself.
    fn by_hand(&mut self) {
        self.section(Text::DemoByHand);
        let pensions = "--config sandbox/pensions/member.yaml";
        let vital_events = "--config sandbox/vital-events/member.yaml";
        let registry = "--config sandbox/registry/registry.yaml";
        let province = "--config sandbox/qc/registry/registry.yaml";
        let across = format!("{CALL} --config sandbox/qc/health/member.yaml");
        let between = across.replace("ca-demo/", "ca-demo-on/");
        let steps: [(Text, Vec<String>); 11] = [
            (Text::HandUp, vec!["entente sandbox up".into()]),
            (
                Text::HandRegistry,
                vec![
                    format!("entente registry show {registry}"),
                    format!("entente member list {registry}"),
                    "entente log show sandbox/registry".into(),
                ],
            ),
            (Text::HandAsk, vec![CALL.into()]),
            (
                Text::HandRefused,
                vec![
                    CALL.replace("PROGRAM_ADMINISTRATION", "RESEARCH"),
                    format!("{CALL} --elements death.cause"),
                    "entente help PURPOSE_NOT_AGREED".into(),
                ],
            ),
            (
                Text::HandRevoke,
                vec![
                    format!("entente agreement revoke DEMO-001 {vital_events}"),
                    CALL.into(),
                ],
            ),
            (
                Text::HandSign,
                vec![
                    format!("entente agreement sign sandbox/agreement-v3.yaml {vital_events}"),
                    format!("entente agreement sign sandbox/agreement-v3.yaml {pensions}"),
                    format!("entente agreement list {pensions}"),
                ],
            ),
            (
                Text::HandLog,
                vec![
                    "entente log show sandbox/pensions".into(),
                    "entente log show sandbox/vital-events".into(),
                ],
            ),
            (
                Text::HandAcross,
                vec![
                    format!("entente registry show {province}"),
                    format!("entente trust list {registry}"),
                    across.clone(),
                    format!("entente trust list {province}"),
                    between.clone(),
                    "entente log show sandbox/qc/health".into(),
                ],
            ),
            (
                Text::HandSuspend,
                vec![
                    format!(
                        "entente trust suspend ca-demo-qc --reason SAFEGUARD_BREACH {registry}"
                    ),
                    across.clone(),
                    between,
                    "entente help JURISDICTION_NOT_RECOGNISED".into(),
                    format!("entente trust resume ca-demo-qc {registry}"),
                    across,
                ],
            ),
            (
                Text::HandVerify,
                vec![
                    "entente log verify sandbox/pensions sandbox/qc/health sandbox/on/vital-events"
                        .into(),
                    "entente log verify sandbox/altered-copy --config sandbox/pensions/member.yaml"
                        .into(),
                ],
            ),
            (Text::HandDown, vec!["entente sandbox down".into()]),
        ];
        let dir = self.layout.root().display().to_string();
        if let Some(program) = program_elsewhere() {
            self.tell(Text::HandAlias, &[]);
            self.command(&format!("alias entente={program}"));
        }
        for (text, commands) in steps {
            self.tell(text, &[]);
            for command in commands {
                let command =
                    command.replace("sandbox/", &format!("{}/", dir.trim_start_matches("./")));
                self.command(&command);
            }
        }
        let took = SystemClock.now().since(self.began).as_millis();
        let seconds = format!("{}.{}", took / 1000, took % 1000 / 100);
        let facts: [Fact<'_>; 2] = [("seconds", &seconds), ("dir", &dir)];
        self.line("");
        self.tell(Text::DemoDone, &facts);
    }

    fn section(&mut self, title: Text) {
        self.sections += 1;
        let title = format!("{}  {}", self.sections, self.screen.text(title, &[]));
        let value = json!({ "section": self.sections, "title": title });
        self.screen.event("demo.section", value, |screen| {
            print_out(format!("\n{}", screen.bold(&title)));
        });
    }

    fn tell(&self, text: Text, facts: &[Fact<'_>]) {
        self.line(&self.screen.text(text, facts));
    }

    /// Something that was done, and came out as told.
    fn done(&self, text: Text, facts: &[Fact<'_>]) {
        let mark = self.screen.green("✓");
        self.line(&format!(" {mark} {}", self.screen.text(text, facts)));
    }

    /// Something that was refused, as it should be.
    fn refused(&self, text: &str) {
        let mark = self.screen.red("✗");
        self.line(&format!(" {mark} {text}"));
    }

    fn line(&self, line: &str) {
        let value = json!({ "section": self.sections, "text": line.trim() });
        self.screen.event("demo.line", value, |_| print_out(line));
    }

    fn command(&self, command: &str) {
        let value = json!({ "section": self.sections, "command": command });
        self.screen.event("demo.command", value, |screen| {
            print_out(format!("     {}", screen.dim(command)));
        });
    }

    /// The demo stops where something is not as the next line would say.
    fn not_as_told(&self, what: &str) -> Failure {
        let mut failure = Failure::new(Exit::Failed, self.screen.text(Text::DemoBroken, &[]));
        failure.because.push(what.to_owned());
        failure
    }

    fn ensure(&self, holds: bool, what: &str) -> Result<(), Failure> {
        if holds {
            Ok(())
        } else {
            Err(self.not_as_told(what))
        }
    }
}

/// Where this program is, when `entente` alone would not run it.
fn program_elsewhere() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("entente"))
        .find(|entente| entente.is_file());
    (found.as_ref() != Some(&program)).then(|| program.display().to_string())
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::of(Exit::Failed, error)
}
