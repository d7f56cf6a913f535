//! `entente status`: one screen of a role that runs, from its admin port and its files.

mod figures;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use entente_agreement::lifecycle;
use entente_clock::Timestamp;
use entente_config::ListenAddr;
use entente_directory::Federation;
use entente_follow::{Anchor, View};
use entente_identity::MemberId;
use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::layout::Layout;
use entente_reason::Lang;
use entente_sandbox::{Desk, Seams};
use serde_json::{Value, json};

use super::admin;
use super::agreement::Ending;
use super::config::FileKind;
use super::doctor::{folders, role_file, words};
use super::log::Scratch;
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};
use figures::{Condition, Figures};

/// Show how a running role is doing, on one screen
///
/// Asks its admin port, and reads its files: version and start, readiness with reasons, the registry, the
/// ledger, agreements that end soon, calls. Exits with 1 when the role is not ready.
///
/// Example: entente status -c security-server.yaml
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// The role's configuration; by default the one in this folder
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What a role's file says of it.
#[derive(Debug)]
struct Role {
    name: String,
    code: &'static str,
    admin: Option<ListenAddr>,
    /// Whose agreements are looked at; none of a registry.
    member: Option<MemberId>,
    anchor: PathBuf,
    /// Its copy of the registry; none of the registry itself.
    copy: Option<PathBuf>,
    /// Its ledgers' folders, oldest first.
    ledgers: Vec<PathBuf>,
}

/// Where the newest ledger is.
#[derive(Debug)]
struct Ledger {
    name: String,
    entries: u64,
    checkpoint_age: Option<Duration>,
}

/// What the role's own copy of the registry says.
struct Known {
    view: Arc<View>,
    validity: Duration,
    /// Whole agreements are read from there.
    _scratch: Scratch,
}

/// Agreements in force.
#[derive(Debug, Default)]
struct Agreements {
    active: usize,
    /// Those that end within [`SOON`], the next first.
    ending: Vec<(String, Timestamp)>,
    /// Services under them that end before they do, the next first.
    services: Vec<Ending>,
}

pub(crate) async fn run(args: &StatusArgs, screen: &Screen) -> Result<(), Failure> {
    let file = role_file(args.config.as_deref(), screen)?;
    let role = Role::load(&file, screen)?;
    let seams = Seams::real();
    let admin = role.admin.as_ref().ok_or_else(|| no_admin(&file, screen))?;
    if matches!(admin, ListenAddr::Tcp(address) if address.port() == 0) {
        return Err(no_admin(&file, screen));
    }
    let silent = |why: String| not_running(&file, &role, admin, why, screen);
    let ready = admin::ask(&*seams.net, admin, "/readyz?verbose").await;
    let ready = ready.map_err(silent)?;
    let metrics = admin::ask(&*seams.net, admin, "/metrics").await;
    let figures = Figures::parse(&metrics.map_err(silent)?.text);
    if figures.text("build_info", "role").as_deref() != Some(role.code) {
        let why = screen.text(Text::StatusOther, &[("address", admin)]);
        return Err(not_running(&file, &role, admin, why, screen));
    }
    let now = seams.clock.now();
    let known = role.view(&seams).await;
    let view = known.as_ref().map(|known| &known.view);
    let ledger = role.ledger(now);
    let agreements = match (view, &role.member) {
        (Some(view), Some(member)) => Some(Agreements::of(view, member, now)),
        _ => None,
    };
    let conditions = figures::conditions(&ready.text);
    let shown = Shown {
        role: &role,
        is_ready: ready.is_ok,
        conditions: &conditions,
        figures: &figures,
        view: view.map(AsRef::as_ref),
        validity: known.as_ref().map(|known| known.validity),
        ledger: ledger.as_ref(),
        agreements: agreements.as_ref(),
    };
    screen.show("status", shown.value(), |screen| shown.print(screen));
    match ready.is_ok {
        true => Ok(()),
        false => Err(Failure::told(Exit::Failed)),
    }
}

fn no_admin(file: &Path, screen: &Screen) -> Failure {
    let what = screen.text(Text::StatusNoAdmin, &[("file", &file.display())]);
    let line = "admin: 127.0.0.1:7480   (security-server.yaml: admin: { listen: 127.0.0.1:7480 })";
    Failure::new(Exit::Usage, what).note(Text::LabelDo, line)
}

fn not_running(
    file: &Path,
    role: &Role,
    admin: &ListenAddr,
    why: String,
    screen: &Screen,
) -> Failure {
    let facts: [Fact<'_>; 2] = [("role", &role.name), ("address", admin)];
    let mut failure = Failure::new(Exit::Unavailable, screen.text(Text::StatusSilent, &facts));
    failure.because.push(why);
    let file = file.display();
    failure
        .note(
            Text::LabelDo,
            format!("entente serve {} --config {file}", role.code),
        )
        .note(Text::LabelMore, format!("entente doctor -c {file}"))
}

/// What is shown, in either form.
struct Shown<'a> {
    role: &'a Role,
    is_ready: bool,
    conditions: &'a [Condition],
    figures: &'a Figures,
    view: Option<&'a View>,
    /// How old it may become.
    validity: Option<Duration>,
    ledger: Option<&'a Ledger>,
    agreements: Option<&'a Agreements>,
}

// === impl Shown ===

impl Shown<'_> {
    fn version(&self) -> Option<String> {
        self.figures.text("build_info", "version")
    }

    fn since(&self) -> Option<Timestamp> {
        let seconds = self.figures.first("start_time_seconds")?;
        Some(Timestamp::from_millis((seconds * 1e3) as u64)).filter(|_| seconds > 0.0)
    }

    /// Age and validity of what is known of the registry, in seconds.
    fn registry(&self) -> Option<(f64, u64)> {
        let age = self.figures.first("registry_age_seconds")?;
        Some((age, self.validity?.as_secs()))
    }

    fn answered(&self) -> u64 {
        self.figures.sum("exchanges_total", Some(("code", "OK")))
    }

    fn refused(&self) -> u64 {
        self.figures.sum("refusals_total", None)
    }

    /// Age of what is known of each other registry, in seconds.
    fn recognised(&self) -> Vec<(String, f64)> {
        self.figures
            .by("recognised_registry_age_seconds", "jurisdiction")
    }

    fn in_flight(&self) -> u64 {
        self.figures.sum("exchanges_in_flight", None)
    }

    fn value(&self) -> Value {
        let registry = self.registry().map(|(age, validity)| {
            json!({
                "size": self.view.map(|view| view.size),
                "age_seconds": age.round(),
                "validity_seconds": validity,
                "left_seconds": (validity as f64 - age).max(0.0).round(),
            })
        });
        let ledger = self.ledger.map(|ledger| {
            json!({
                "name": ledger.name,
                "size": ledger.entries,
                "checkpoint_age_seconds": ledger.checkpoint_age.map(|age| age.as_secs()),
                "cosigned_age_seconds": self.figures.first("log_cosigned_age_seconds"),
            })
        });
        let agreements = self.agreements.map(|agreements| {
            let ending = agreements.ending.iter();
            let ending = ending.map(|(id, at)| json!({ "agreement": id, "ends": at.to_string() }));
            json!({
                "active": agreements.active,
                "ending_soon": ending.collect::<Vec<_>>(),
                "services_ending": agreements.services.iter().map(Ending::value).collect::<Vec<_>>(),
            })
        });
        json!({
            "role": self.role.code,
            "name": self.role.name,
            "version": self.version(),
            "since": self.since().map(|at| at.to_string()),
            "ready": self.is_ready,
            "conditions": self.conditions.iter().map(Condition::value).collect::<Vec<_>>(),
            "registry": registry,
            "recognised": self.recognised().into_iter().map(|(jurisdiction, age)| {
                json!({ "jurisdiction": jurisdiction, "age_seconds": age.round() })
            }).collect::<Vec<_>>(),
            "ledger": ledger,
            "agreements": agreements,
            "calls": {
                "in_flight": self.in_flight(),
                "answered": self.answered(),
                "refused": self.refused(),
            },
        })
    }

    fn print(&self, screen: &Screen) {
        let row = |label: Text, said: String| {
            print_out(format!("  {:<11} {said}", screen.text(label, &[])));
        };
        print_out(screen.bold(&self.role.name));
        let version = self.version().unwrap_or_default();
        let since = self
            .since()
            .map_or_else(|| "-".to_owned(), |at| at.to_string());
        let facts: [Fact<'_>; 2] = [("version", &version), ("since", &since)];
        row(Text::HeadVersion, screen.text(Text::StatusSince, &facts));
        let ready = match self.is_ready {
            true => screen.green(&screen.text(Text::StateReady, &[])),
            false => screen.red(&screen.text(Text::StatusNotReady, &[])),
        };
        row(Text::HeadState, ready);
        for condition in self.conditions.iter().filter(|condition| !condition.is_ok) {
            print_out(format!(
                "  {:<11} {}: {}",
                "", condition.name, condition.why
            ));
        }
        if let (Some((age, validity)), Some(view)) = (self.registry(), self.view) {
            let left = words(Duration::from_secs_f64(
                (validity as f64 - age).clamp(0.0, MOST),
            ));
            let age = words(Duration::from_secs_f64(age.clamp(0.0, MOST)));
            let facts: [Fact<'_>; 3] = [("size", &view.size), ("age", &age), ("left", &left)];
            row(
                Text::HeadRegistry,
                screen.text(Text::StatusRegistry, &facts),
            );
        }
        for (jurisdiction, age) in self.recognised() {
            let age = words(Duration::from_secs_f64(age.clamp(0.0, MOST)));
            let facts: [Fact<'_>; 2] = [("jurisdiction", &jurisdiction), ("age", &age)];
            let said = screen.text(Text::StatusRecognised, &facts);
            print_out(format!("  {:<11} {said}", ""));
        }
        if let Some(ledger) = self.ledger {
            let age = ledger.checkpoint_age.map_or_else(|| "-".to_owned(), words);
            let facts: [Fact<'_>; 3] = [
                ("name", &ledger.name),
                ("size", &ledger.entries),
                ("age", &age),
            ];
            row(Text::HeadLedger, screen.text(Text::StatusLedger, &facts));
        }
        if let Some(agreements) = self.agreements {
            let ending = agreements.ending.len();
            let facts: [Fact<'_>; 2] = [("active", &agreements.active), ("ending", &ending)];
            row(
                Text::HeadAgreements,
                screen.text(Text::StatusAgreements, &facts),
            );
            for (id, at) in agreements.ending.iter().take(LISTED) {
                let facts: [Fact<'_>; 2] = [("agreement", id), ("at", at)];
                print_out(format!(
                    "  {:<11} {}",
                    "",
                    screen.text(Text::StatusEnds, &facts)
                ));
            }
            for ending in agreements.services.iter().take(LISTED) {
                print_out(format!("  {:<11} {}", "", ending.text(screen)));
            }
        }
        if self.role.member.is_some() {
            let (flying, answered, refused) = (self.in_flight(), self.answered(), self.refused());
            let facts: [Fact<'_>; 3] = [
                ("flying", &flying),
                ("answered", &answered),
                ("refused", &refused),
            ];
            row(Text::HeadCalls, screen.text(Text::StatusCalls, &facts));
        }
    }
}

// === impl Role ===

impl Role {
    fn load(file: &Path, screen: &Screen) -> Result<Self, Failure> {
        let text = String::from_utf8_lossy(&super::read_file(file)?).into_owned();
        match FileKind::of(&text) {
            Some(FileKind::SecurityServer) => {
                let config = entente_security_server::Config::load(file)?;
                let data = config.data.as_path();
                Ok(Self {
                    name: config.server.to_string(),
                    code: "security-server",
                    admin: Some(config.admin.listen.clone()),
                    member: Some(config.server.member()),
                    anchor: config.anchor.as_path().to_owned(),
                    copy: Some(data.join("directory")),
                    ledgers: folders(&data.join("ledger")),
                })
            }
            Some(FileKind::Registry) => {
                let config: entente_central_registry::Config = entente_config::load(file)?;
                Ok(Self {
                    name: config.jurisdiction.to_string(),
                    code: "registry",
                    admin: config.admin.clone(),
                    member: None,
                    anchor: config.anchor.as_path().to_owned(),
                    copy: None,
                    ledgers: vec![config.ledger()],
                })
            }
            _ => {
                let what = screen.text(Text::StatusNoRole, &[("file", &file.display())]);
                let doctor = format!("entente doctor -c {}", file.display());
                Err(Failure::new(Exit::Usage, what).note(Text::LabelDo, doctor))
            }
        }
    }

    /// The view in the role's own copy, which is verified as a copy of itself. None when there is none.
    async fn view(&self, seams: &Seams) -> Option<Known> {
        let scratch = Scratch::copy_of(self.copy.as_ref()?).ok()?;
        let anchor = Anchor::load(&self.anchor).ok()?;
        let desk = Desk::open(anchor, scratch.path(), seams, Lang::En).await;
        let desk = desk.ok()?;
        let (view, validity) = (desk.view(), desk.directory().validity());
        desk.close().await;
        (view.size > 0).then_some(Known {
            view,
            validity,
            _scratch: scratch,
        })
    }

    /// The ledger that was written to last.
    fn ledger(&self, now: Timestamp) -> Option<Ledger> {
        let age = |folder: &Path| {
            let file = std::fs::metadata(Layout::new(folder).checkpoint()).ok()?;
            let at = file
                .modified()
                .ok()?
                .duration_since(std::time::UNIX_EPOCH)
                .ok()?;
            let at = Timestamp::from_millis(u64::try_from(at.as_millis()).ok()?);
            Some(now.since(at))
        };
        let newest = |folder: &&PathBuf| age(folder).unwrap_or(Duration::MAX);
        let folder = self.ledgers.iter().min_by_key(newest)?;
        let reader = Reader::open(Arc::new(RealDisk), folder).ok()?;
        Some(Ledger {
            name: folder.file_name()?.to_string_lossy().into_owned(),
            entries: reader.size(),
            checkpoint_age: age(folder),
        })
    }
}

// === impl Agreements ===

impl Agreements {
    fn of(view: &View, member: &MemberId, now: Timestamp) -> Self {
        let mut agreements = Self::default();
        let federation = Federation::alone(view.state.clone());
        let ours = view.state.agreements().filter(|record| {
            record.terms.has_party(member)
                && view.state.agreement_state(record, now) == lifecycle::State::Active
        });
        for record in ours {
            let terms = &record.terms;
            agreements.active += 1;
            if terms.not_after.since(now) <= SOON {
                let ends = (terms.name.to_string(), terms.not_after);
                agreements.ending.push(ends);
            }
            if let Some(agreement) = view.agreement(&record.id()) {
                let services = Ending::of(&federation, agreement.document());
                agreements.services.extend(services);
            }
        }
        agreements.services.sort();
        agreements.services.dedup();
        agreements.ending.sort_by_key(|(_, at)| *at);
        agreements
    }
}

/// How soon an agreement ends that is named.
const SOON: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Of those, how many.
const LISTED: usize = 10;
/// The longest time shown, in seconds: a century.
const MOST: f64 = 3.2e9;

#[cfg(test)]
mod tests;
