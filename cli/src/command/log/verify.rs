//! `entente log verify`.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use entente_ledger::disk::RealDisk;
use entente_ledger::fsck::{Fault, Finding, Report, fsck};
use entente_ledger::layout::Layout;
use entente_ledger::log::LogError;
use entente_ledger::note::NoteKey;
use entente_signing::VerifyingKey;
use entente_timestamp::Authorities;
use serde_json::json;

use super::keys::{HeldView, Known, Scratch};
use super::records::{Records, Tally};
use super::sound::unsigned;
use super::stamps::{self, Stamps};
use super::{bundle, damaged, known_key, ledgers_in, open};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Recompute every hash from the entries, and check the checkpoint's signature
///
/// Exits with 0 when every byte is as it must be, with 6 when anything differs, naming the file, and with 7
/// when there are entries and no signed checkpoint: then anybody could have made them.
/// Where the sidecar is beside the ledger, every record that an entry names must be there, or shredded
/// by rule. A ledger that a server is writing to is copied first, and the copy is checked. Time stamps are
/// checked against the ledger, and, when it is known whose count, for who made them and when. Of a bundle
/// it says what is proven and what is not; it needs neither side's ledger.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Ledgers' folders, folders that hold ledgers, or bundles that `entente log export` made
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// The ledger's key, as ORIGIN+HASH+KEY; may be repeated. Otherwise the registry's word is taken
    #[arg(long, value_name = "KEY")]
    key: Vec<NoteKeyArg>,
    /// The configuration that says which registry to believe; otherwise the nearest above the folder
    #[arg(long, value_name = "FILE", env = "ENTENTE_CONFIG")]
    config: Option<PathBuf>,
    /// Roots of the time-stamping authorities that count, in PEM; otherwise those of the configuration
    #[arg(long, value_name = "FILE")]
    timestamp_roots: Option<PathBuf>,
    /// Show between which two time stamps each entry was made
    #[arg(long)]
    times: bool,
}

/// A `vkey` of C2SP `signed-note`.
#[derive(Clone, Debug)]
pub(super) struct NoteKeyArg(NoteKey);

/// What was found beside the entries' hashes.
#[derive(Debug)]
struct Beside {
    /// The sealed records, where they are beside the ledger.
    tally: Option<Tally>,
    stamps: Stamps,
    /// Whether the times of entries are asked for.
    times: bool,
}

/// What a check came to.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) origin: String,
    pub(crate) report: Report,
    pub(crate) known: Known,
    /// Whether a server was writing, so that a copy was checked.
    pub(crate) live: bool,
}

pub(crate) async fn run(args: &VerifyArgs, screen: &Screen) -> Result<(), Failure> {
    let keys: Vec<NoteKey> = args.key.iter().map(NoteKeyArg::key).collect();
    let mut damage = None;
    for dir in &args.dirs {
        if dir.is_file() {
            let roots = args.timestamp_roots.as_deref();
            let config = args.config.as_deref();
            let looked = bundle::verify(dir, &keys, config, roots, screen).await;
            if let Err(failure) = looked {
                note(&mut damage, failure);
            }
            continue;
        }
        for ledger in ledgers_in(dir, screen)? {
            let origin = open(&ledger, screen).map(|reader| reader.origin().map(str::to_owned));
            let origin = match origin {
                Ok(origin) => origin,
                // What cannot even be opened is reported, and the others are still checked.
                Err(failure) => {
                    screen.fail(&failure);
                    note(&mut damage, failure);
                    continue;
                }
            };
            let config = args.config.as_deref();
            let known = known_key(&ledger, origin.as_deref(), &keys, config, screen).await?;
            let roots = args.timestamp_roots.as_deref();
            let authorities = stamps::authorities(&ledger, roots, config)?;
            let verdict = check(&ledger, origin, known, screen)?;
            // Of a ledger that is damaged, nobody knows what its entries named.
            let looked = match verdict.report.is_sound() {
                true => tally_of(&ledger, verdict.known.view.clone(), config, screen).await,
                false => Ok(None),
            };
            let tally = looked.unwrap_or_else(|failure| {
                screen.fail(&failure);
                note(&mut damage, failure);
                None
            });
            let stamps =
                match check_stamps(&ledger, &verdict, authorities.as_ref(), args.times, screen) {
                    // Entries that cannot be read hold no token either: the ledger itself is reported.
                    Err(_) if !verdict.report.is_sound() => Stamps::default(),
                    stamps => stamps?,
                };
            let beside = Beside {
                tally,
                stamps,
                times: args.times,
            };
            tell(&ledger, &verdict, &beside, screen);
            if let Some(failure) = fault(&ledger, &verdict, &beside, screen) {
                note(&mut damage, failure);
            }
        }
    }
    damage.map_or(Ok(()), Err)
}

/// Keeps the gravest of what was found: of faults as grave, the last.
fn note(gravest: &mut Option<Failure>, failure: Failure) {
    let is_damage = |failure: &Failure| failure.exit == Exit::Integrity;
    if is_damage(&failure) || !gravest.as_ref().is_some_and(is_damage) {
        *gravest = Some(failure);
    }
}

/// What is wrong with one ledger, and what is beside it.
fn fault(dir: &Path, verdict: &Verdict, beside: &Beside, screen: &Screen) -> Option<Failure> {
    if !verdict.report.is_sound() {
        Some(failure(dir, verdict, screen))
    } else if !beside.stamps.is_sound() {
        Some(beside.stamps.failure(dir, screen))
    } else if beside.tally.as_ref().is_some_and(|tally| !tally.is_sound()) {
        let what = screen.text(Text::RecordsViolated, &[]);
        Some(Failure::new(Exit::Integrity, what))
    } else {
        let entries = verdict.report.size + verdict.report.waiting;
        let is_unsigned = verdict.report.is_unsigned();
        is_unsigned.then(|| unsigned(dir, entries, screen))
    }
}

/// How it stands with the sealed records of a ledger, where they are beside it.
async fn tally_of(
    dir: &Path,
    view: Option<HeldView>,
    config: Option<&Path>,
    screen: &Screen,
) -> Result<Option<Tally>, Failure> {
    let Some(mut records) = Records::beside(dir, view, config, screen).await? else {
        return Ok(None);
    };
    records.tally(dir, screen).map(Some)
}

/// Checks one ledger against a key.
pub(crate) fn check(
    dir: &Path,
    origin: Option<String>,
    known: Known,
    screen: &Screen,
) -> Result<Verdict, Failure> {
    let live = is_written_to(dir);
    let report = if live {
        check_copies(dir, &known.key, screen)?
    } else {
        replay(dir, &known.key, screen).map_err(|error| damaged(dir, &error, screen))?
    };
    Ok(Verdict {
        origin: origin.unwrap_or_else(|| "-".to_owned()),
        report,
        known,
        live,
    })
}

/// Checks the time stamps of a ledger. Files may move while a server writes: only what fails each time
/// is a failure.
fn check_stamps(
    dir: &Path,
    verdict: &Verdict,
    authorities: Option<&Authorities>,
    times: bool,
    screen: &Screen,
) -> Result<Stamps, Failure> {
    let check = || {
        let mut reader = open(dir, screen)?;
        let checked = stamps::check(&mut reader, &verdict.origin, authorities, times);
        checked.map_err(|error| damaged(dir, &error, screen))
    };
    let mut checked = check();
    for _ in 1..COPIES {
        if checked.is_ok() {
            break;
        }
        checked = check();
    }
    checked
}

/// A copy taken while files move may be torn where the ledger is whole. Damage is what every copy
/// shows.
pub(crate) fn check_copies(
    dir: &Path,
    key: &VerifyingKey,
    screen: &Screen,
) -> Result<Report, Failure> {
    let mut shared: Option<Vec<Finding>> = None;
    let mut last = None;
    for _ in 0..COPIES {
        let copy = Scratch::copy_of(dir).map_err(|error| Failure::of(Exit::Failed, &error))?;
        let report = match replay(&copy.0, key, screen) {
            Ok(report) => report,
            Err(error) => {
                last = Some(Err(damaged(dir, &error, screen)));
                continue;
            }
        };
        if report.is_sound() {
            return Ok(report);
        }
        let seen = report.findings.clone();
        shared = Some(match shared {
            Some(before) => before.into_iter().filter(|f| seen.contains(f)).collect(),
            None => seen,
        });
        last = Some(Ok(report));
    }
    let busy = || Failure::new(Exit::Failed, screen.text(Text::LedgerBusy, &[]));
    let mut report = last.unwrap_or_else(|| Err(busy()))?;
    report.findings = shared.unwrap_or_default();
    if report.is_sound() {
        return Err(busy());
    }
    Ok(report)
}

/// Recomputes a whole ledger from its entries.
pub(super) fn replay(dir: &Path, key: &VerifyingKey, screen: &Screen) -> Result<Report, LogError> {
    let mut shown = 0;
    let report = fsck(Arc::new(RealDisk), dir, key, &mut |done, all| {
        let percent = done.saturating_mul(100).checked_div(all).unwrap_or(100);
        if percent > shown {
            shown = percent;
            let facts: [Fact<'_>; 3] = [("done", &done), ("all", &all), ("percent", &percent)];
            screen.progress(&screen.text(Text::VerifyProgress, &facts));
        }
    });
    screen.progress("");
    report
}

/// Whether some process holds the writer's lock.
fn is_written_to(dir: &Path) -> bool {
    let lock = File::open(Layout::new(dir).lock());
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn tell(dir: &Path, verdict: &Verdict, beside: &Beside, screen: &Screen) {
    let Verdict { report, known, .. } = verdict;
    let Beside { stamps, times, .. } = beside;
    let tally = beside.tally.as_ref();
    let value = json!({
        "dir": dir,
        "ledger": verdict.origin,
        "sound": report.is_sound() && stamps.is_sound() && !report.is_unsigned(),
        "timestamps": stamps.value(*times),
        "entries": report.size,
        "waiting": report.waiting,
        "root": report.root.to_string(),
        "checkpoint": report.checkpoint,
        "unsigned_entries": unsigned_entries(report),
        "torn_bytes": report.torn_bytes,
        "key": known.key.key_id().to_string(),
        "key_from": known.from,
        "copied": verdict.live,
        "records": tally.map(Tally::value),
        "findings": report.findings.iter().map(|finding| json!({
            "file": finding.path,
            "fault": fault_code(finding.fault),
        })).collect::<Vec<_>>(),
    });
    screen.event("log.verified", value, |screen| {
        print_verdict(dir, verdict, screen);
        if let Some(tally) = tally {
            tally.print(screen);
        }
        stamps.print(screen);
    });
}

/// Entries that no checkpoint covers.
fn unsigned_entries(report: &Report) -> u64 {
    let signed = report.checkpoint.unwrap_or_default();
    (report.size + report.waiting).saturating_sub(signed)
}

/// The verdict for people.
pub(crate) fn print_verdict(dir: &Path, verdict: &Verdict, screen: &Screen) {
    let Verdict { report, known, .. } = verdict;
    let entries = report.size + report.waiting;
    let mark = match (report.is_sound(), report.is_unsigned()) {
        (false, _) => Text::VerifyDamaged,
        (true, true) => Text::VerifyUnsigned,
        (true, false) => Text::VerifySound,
    };
    let facts: [Fact<'_>; 2] = [("dir", &dir.display()), ("entries", &entries)];
    let head = screen.text(mark, &facts);
    print_out(match mark {
        Text::VerifySound => screen.green(&head),
        _ => screen.red(&head),
    });
    let row = |label: Text, value: String| {
        print_out(format!("  {:<11} {value}", screen.text(label, &[])));
    };
    row(Text::HeadLedger, verdict.origin.clone());
    row(Text::HeadRoot, report.root.to_string());
    let after = unsigned_entries(report);
    let signed = match report.checkpoint {
        Some(size) if after > 0 => {
            let facts: [Fact<'_>; 2] = [("size", &size), ("count", &after)];
            screen.text(Text::SignedInPart, &facts)
        }
        Some(size) => screen.text(Text::SignedUpTo, &[("size", &size)]),
        None => screen.text(Text::NothingSigned, &[]),
    };
    row(Text::HeadSigned, signed);
    row(
        Text::HeadKey,
        format!("{}  {}", known.key.key_id(), known.from),
    );
    if report.torn_bytes > 0 {
        row(
            Text::HeadTorn,
            screen.text(Text::TornBytes, &[("bytes", &report.torn_bytes)]),
        );
    }
    if verdict.live {
        screen.say(Text::VerifiedCopy, &[]);
    }
    for finding in &report.findings {
        let fault = screen.text(fault_text(finding.fault), &[]);
        print_out(screen.red(&format!("  {}  {fault}", finding.path)));
    }
}

/// How the command ends when evidence does not hold.
pub(super) fn failure(dir: &Path, verdict: &Verdict, screen: &Screen) -> Failure {
    let first = verdict.report.findings.first();
    let facts: [Fact<'_>; 2] = [
        ("dir", &dir.display()),
        ("file", &first.map_or("-", |finding| finding.path.as_str())),
    ];
    Failure::new(Exit::Integrity, screen.text(Text::IntegrityFailed, &facts))
        .note(Text::LabelDo, screen.text(Text::IntegrityDo, &[]))
}

const fn fault_code(fault: Fault) -> &'static str {
    match fault {
        Fault::Differs => "differs",
        Fault::Missing => "missing",
        Fault::Signature => "signature",
        Fault::Unexpected => "unexpected",
        _ => "unreadable",
    }
}

const fn fault_text(fault: Fault) -> Text {
    match fault {
        Fault::Differs => Text::FaultDiffers,
        Fault::Missing => Text::FaultMissing,
        Fault::Signature => Text::FaultSignature,
        Fault::Unexpected => Text::FaultUnexpected,
        _ => Text::FaultUnreadable,
    }
}

// === impl NoteKeyArg ===

impl NoteKeyArg {
    /// The key.
    pub(super) fn key(&self) -> NoteKey {
        self.0.clone()
    }
}

impl std::str::FromStr for NoteKeyArg {
    type Err = entente_ledger::note::NoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Looks taken before a ledger in use is called damaged.
pub(super) const COPIES: usize = 3;

const EXAMPLES: &str = "\
Examples:
  entente log verify sandbox/pensions sandbox/vital-events
  entente log verify /mnt/copy/2026h2.1 --key ORIGIN+HASH+KEY
  entente log verify /mnt/copy/2026h2.1 --config member.yaml
  entente log verify sandbox/pensions --timestamp-roots tsa.pem --times
  entente log verify evidence.asice --config member.yaml";
