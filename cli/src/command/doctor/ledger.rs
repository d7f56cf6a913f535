//! The role's ledger: sound, signed, witnessed, with nothing missing and room to grow.

mod incident;
mod look;

use std::path::{Path, PathBuf};
use std::time::Duration;

use entente_clock::Timestamp;

use super::finding::{Finding, Group, Remedy, Said};
use super::registry::{Registry, words};
use super::site::{Role, Site};
use crate::exit::Exit;
use crate::output::Screen;
use crate::texts::Text;

pub(crate) use look::folders;
pub(super) use look::newest_session;

/// What is known of one ledger's folder.
#[derive(Debug)]
struct Shard {
    /// `2026h2.1`, or `ledger` of a registry.
    name: String,
    folder: PathBuf,
    /// Whether it is the one that is written to.
    is_open: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The directory names it, and nothing of it is here.
    Absent,
    /// Something is not as its entries say.
    Damaged { file: String },
    /// Nobody said with which key it is signed.
    Keyless,
    /// It could not be read.
    Unknown { why: String },
    Sound {
        entries: u64,
        /// Whether every byte was recomputed; otherwise only the newest checkpoint was.
        is_whole: bool,
    },
}

/// What signs and witnesses the ledger that is written to.
#[derive(Debug, Default)]
struct Signed {
    /// Entries that no checkpoint covers.
    unsigned: u64,
    /// When the newest checkpoint was written, by the file system.
    at: Option<Timestamp>,
    quorum: Quorum,
}

/// Whether a quorum of witnesses saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quorum {
    #[default]
    NobodyAsked,
    /// The newest cosigned checkpoint is so old; none when there is none. And how old it may be.
    Seen(Option<Duration>, Duration),
}

pub(super) async fn check(site: &Site, registry: &Registry, screen: &Screen) -> Vec<Finding> {
    let data = match &site.role {
        Role::Adapter(_) => return Vec::new(),
        Role::Registry(config) => config.data.as_path().to_owned(),
        Role::Server(config) => config.data.as_path().to_owned(),
    };
    let shards = look::shards(site, registry, screen);
    let mut findings: Vec<Finding> = shards.iter().map(|shard| sound(shard, site)).collect();
    if shards.is_empty() {
        let found = Said::of(Text::DoctorLedgerNone);
        findings.push(Finding::warn(
            GROUP,
            "ledger.sound",
            found,
            Text::DoctorLedgerNoneDo,
        ));
    }
    if let Some(open) = shards.iter().find(|shard| shard.is_open)
        && matches!(open.state, State::Sound { .. })
    {
        let signed = look::signed(site, registry, &open.folder);
        let now = site.seams.clock.now();
        findings.extend(
            signed
                .as_ref()
                .map(|signed| signature(signed, now, site.runs)),
        );
        if let (Some(signed), Role::Server(_)) = (&signed, &site.role) {
            findings.push(quorum(signed.quorum, site.runs));
        }
    }
    findings.extend(look::space(&data).map(|(free, all)| space(free, all, &data)));
    if let Some(config) = site.server() {
        let incidents = incident::kept(&config.data.as_path().join("incidents"));
        findings.push(incident::against_peers(&incidents));
        let opened = incident::opening(&shards_by_name(&shards));
        findings.extend(opened.as_ref().map(incident::unresolved));
    }
    findings
}

/// Each shard's folder, the one written to last.
fn shards_by_name(shards: &[Shard]) -> Vec<(&Path, bool)> {
    let shards = shards.iter();
    shards
        .map(|shard| (shard.folder.as_path(), shard.is_open))
        .collect()
}

fn sound(shard: &Shard, site: &Site) -> Finding {
    const CHECK: &str = "ledger.sound";
    let said = |text| Said::of(text).with("ledger", &shard.name);
    let verify = || {
        let (dir, file) = (shard.folder.display(), site.file.display());
        Remedy::run(format!("entente log verify {dir} --config {file}"))
    };
    match &shard.state {
        State::Sound { entries, is_whole } => {
            let text = match is_whole {
                true => Text::DoctorLedgerSound,
                false => Text::DoctorLedgerLarge,
            };
            Finding::ok(GROUP, CHECK, said(text).with("entries", entries))
        }
        State::Damaged { file } => {
            let found = said(Text::DoctorLedgerDamaged).with("file", file);
            let remedy = Said::of(Text::DoctorLedgerDamagedDo);
            let remedy = remedy.with("dir", shard.folder.display());
            Finding::fail(GROUP, CHECK, Exit::Integrity, found, remedy)
        }
        State::Keyless => {
            let found = said(Text::DoctorLedgerKeyless);
            Finding::warn(GROUP, CHECK, found, Text::DoctorClockAloneDo)
        }
        State::Unknown { why } => {
            let found = said(Text::DoctorLedgerUnknown).with("why", why);
            Finding::warn(GROUP, CHECK, found, verify())
        }
        State::Absent if shard.is_open => {
            let found = said(Text::DoctorLedgerAbsent);
            Finding::fail(
                GROUP,
                CHECK,
                Exit::Integrity,
                found,
                Text::DoctorLedgerAbsentDo,
            )
        }
        State::Absent => {
            let found = said(Text::DoctorLedgerAbsent);
            Finding::warn(GROUP, CHECK, found, Text::DoctorLedgerEarlierDo)
        }
    }
}

/// A checkpoint follows entries within seconds while the role runs.
fn signature(signed: &Signed, now: Timestamp, runs: bool) -> Finding {
    const CHECK: &str = "ledger.checkpoint";
    let age = signed.at.map(|at| now.since(at));
    let shown = age.map_or_else(|| "-".to_owned(), words);
    let said = |text| {
        let said = Said::of(text).with("age", &shown);
        match text {
            Text::DoctorCheckpoint => said,
            _ => said.with("count", signed.unsigned),
        }
    };
    let is_late = signed.unsigned > 0 && age.is_none_or(|age| age > SIGNED_WITHIN);
    match (is_late, runs) {
        (false, _) => Finding::ok(GROUP, CHECK, said(Text::DoctorCheckpoint)),
        (true, true) => {
            let found = said(Text::DoctorUnsigned);
            Finding::fail(GROUP, CHECK, Exit::Failed, found, Text::DoctorUnsignedDo)
        }
        (true, false) => {
            let found = said(Text::DoctorUnsigned);
            Finding::warn(GROUP, CHECK, found, Text::DoctorUnsignedStartDo)
        }
    }
}

fn quorum(quorum: Quorum, runs: bool) -> Finding {
    const CHECK: &str = "ledger.cosigned";
    let Quorum::Seen(age, within) = quorum else {
        return Finding::ok(GROUP, CHECK, Said::of(Text::DoctorNoWitnesses));
    };
    let shown = age.map_or_else(|| "-".to_owned(), words);
    let said = |text| {
        Said::of(text)
            .with("age", &shown)
            .with("within", words(within))
    };
    let is_over = age.is_none_or(|age| age > within);
    if is_over && runs {
        let found = said(Text::DoctorUnwitnessed);
        Finding::fail(
            GROUP,
            CHECK,
            Exit::Unavailable,
            found,
            Text::DoctorUnwitnessedDo,
        )
    } else if is_over || age.is_some_and(|age| age > within / 3) && runs {
        let found = said(Text::DoctorUnwitnessed);
        Finding::warn(GROUP, CHECK, found, Text::DoctorUnwitnessedDo)
    } else {
        Finding::ok(GROUP, CHECK, said(Text::DoctorWitnessed))
    }
}

fn space(free: u64, all: u64, data: &Path) -> Finding {
    const CHECK: &str = "ledger.space";
    let percent = free.saturating_mul(100).checked_div(all).unwrap_or(100);
    let found = Said::of(Text::DoctorSpace)
        .with("free", size(free))
        .with("percent", percent)
        .with("path", data.display());
    if free < NO_ROOM {
        Finding::fail(GROUP, CHECK, Exit::Failed, found, Text::DoctorSpaceDo)
    } else if free < LITTLE_ROOM || percent < LITTLE_PERCENT && free < MUCH_ROOM {
        Finding::warn(GROUP, CHECK, found, Text::DoctorSpaceDo)
    } else {
        Finding::ok(GROUP, CHECK, found)
    }
}

/// In the largest unit of which there are ten.
fn size(bytes: u64) -> entente_config::ByteSize {
    let shifts = [30, 20, 10].into_iter();
    let mut fitting = shifts.filter(|shift| bytes >> shift >= 10);
    let shift = fitting.next().unwrap_or_default();
    entente_config::ByteSize::from_bytes(bytes >> shift << shift)
}

const GROUP: Group = Group::Ledger;
/// Checkpoints are signed every 10 s, and a busy disk may take its time.
const SIGNED_WITHIN: Duration = Duration::from_secs(60);
/// A segment of the write-ahead log does not fit any more.
const NO_ROOM: u64 = 128 << 20;
const LITTLE_ROOM: u64 = 1 << 30;
const LITTLE_PERCENT: u64 = 5;
/// Of a large disk a small part is much.
const MUCH_ROOM: u64 = 20 << 30;

#[cfg(test)]
mod tests {
    use super::super::finding::{Verdict, remedies};
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_disk_that_fills_up_is_warned_of_and_fails_when_it_is_full() {
        let judged = |free, all| space(free, all, Path::new("/data"));
        assert_eq!(judged(50 << 30, 100 << 30).verdict(), Verdict::Ok);
        assert_eq!(judged(50 << 30, 10 << 40).verdict(), Verdict::Ok);
        let little = judged(4 << 30, 100 << 30);
        assert_eq!(little.verdict(), Verdict::Warn);
        let full = judged(1 << 20, 100 << 30);
        assert_eq!(full.verdict(), Verdict::Fail(Exit::Failed));
        for finding in [little, full] {
            assert!(remedies(&finding)[0].contains("LOG_UNAVAILABLE"));
        }
    }

    #[test]
    fn entries_that_stay_unsigned_fail_while_the_role_runs() {
        let judged = |unsigned, seconds, runs| {
            let at = NOON.saturating_sub(Duration::from_secs(seconds));
            let signed = Signed {
                unsigned,
                at: Some(at),
                quorum: Quorum::NobodyAsked,
            };
            signature(&signed, NOON, runs)
        };
        assert_eq!(judged(0, 900, true).verdict(), Verdict::Ok, "nothing new");
        assert_eq!(judged(3, 20, true).verdict(), Verdict::Ok, "just now");
        let late = judged(3, 61, true);
        assert_eq!(late.verdict(), Verdict::Fail(Exit::Failed));
        assert!(remedies(&late)[0].contains("journalctl"), "{late:?}");
        let down = judged(3, 61, false);
        assert_eq!(down.verdict(), Verdict::Warn);
        assert!(remedies(&down)[0].contains("start"), "{down:?}");
    }

    #[test]
    fn a_ledger_that_no_quorum_saw_lately_fails_as_its_server_would() {
        let within = Duration::from_secs(900);
        let judged = |age: Option<u64>, runs| {
            quorum(Quorum::Seen(age.map(Duration::from_secs), within), runs)
        };
        assert_eq!(quorum(Quorum::NobodyAsked, true).verdict(), Verdict::Ok);
        assert_eq!(judged(Some(100), true).verdict(), Verdict::Ok);
        assert_eq!(judged(Some(301), true).verdict(), Verdict::Warn);
        assert_eq!(judged(Some(901), false).verdict(), Verdict::Warn, "down");
        for over in [judged(Some(901), true), judged(None, true)] {
            assert_eq!(over.verdict(), Verdict::Fail(Exit::Unavailable));
            assert!(remedies(&over)[0].contains("witness.no_cosignature"));
        }
    }
}
