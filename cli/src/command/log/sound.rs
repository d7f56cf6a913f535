//! A copy of a ledger that was verified whole, and signed: only what its checkpoint covers is evidence.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use entente_clock::{Clock as _, SystemClock, Timestamp};
use entente_follow::View;
use entente_ledger::entry::Entry;
use entente_ledger::fsck::Report;
use entente_ledger::note::NoteKey;
use entente_ledger::{Reader, SignedCheckpoint};
use entente_signing::Digest;
use serde_json::{Value, json};

use super::keys::{Known, Scratch};
use super::verify::{COPIES, Verdict, failure, replay};
use super::{damaged, open};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// A copy of a ledger that was verified whole under its key, gone when done with.
#[derive(Debug)]
pub(super) struct SoundCopy {
    copy: Scratch,
    origin: String,
    checkpoint: Arc<SignedCheckpoint>,
    /// The newest checkpoint that the server says a quorum cosigned.
    finality: Option<Arc<SignedCheckpoint>>,
    /// Entries after the checkpoint.
    unsigned: u64,
}

/// How far a ledger reaches, and who says so.
#[derive(Debug)]
pub(super) struct Reach {
    origin: String,
    /// Entries under the checkpoint.
    size: u64,
    /// Time of the newest of them.
    until: Option<Timestamp>,
    unsigned: u64,
    witnessed: Witnessed,
    /// SHA-256 of its checkpoint, and of the one said to be final.
    notes: Vec<Digest>,
}

/// What the witnesses saw of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Witnessed {
    /// The policy asks nobody.
    NobodyAsked,
    /// A quorum cosigned this many entries; none when it cosigned nothing.
    UpTo(Option<u64>),
    /// There is no policy at hand.
    Unknown,
}

/// Copies a ledger and verifies the copy: every hash, and a checkpoint under the known key. What is read
/// from it afterwards is what was verified.
pub(super) fn sound_copy(
    dir: &Path,
    origin: Option<String>,
    known: Known,
    screen: &Screen,
) -> Result<SoundCopy, Failure> {
    let mut unsound = None;
    for _ in 0..COPIES {
        let copy = Scratch::copy_of(dir).map_err(|error| Failure::of(Exit::Failed, &error))?;
        let report = match replay(&copy.0, &known.key, screen) {
            Ok(report) if report.is_sound() => {
                return SoundCopy::open(copy, dir, origin, &known, &report, screen);
            }
            Ok(report) => report,
            Err(error) => {
                unsound = Some(damaged(dir, &error, screen));
                continue;
            }
        };
        let verdict = Verdict {
            origin: origin.clone().unwrap_or_default(),
            report,
            known: known.clone(),
            live: true,
        };
        unsound = Some(failure(dir, &verdict, screen));
    }
    let busy = || Failure::new(Exit::Failed, screen.text(Text::LedgerBusy, &[]));
    Err(unsound.unwrap_or_else(busy))
}

/// How a command ends when nobody signed what it was to judge.
pub(super) fn unsigned(dir: &Path, entries: u64, screen: &Screen) -> Failure {
    let facts: [Fact<'_>; 2] = [("dir", &dir.display()), ("entries", &entries)];
    Failure::new(Exit::NeedsPerson, screen.text(Text::Unsigned, &facts))
        .note(Text::LabelDo, screen.text(Text::UnsignedDo, &[]))
}

// === impl SoundCopy ===

impl SoundCopy {
    fn open(
        copy: Scratch,
        dir: &Path,
        origin: Option<String>,
        known: &Known,
        report: &Report,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let unreadable = |error| damaged(dir, &error, screen);
        let entries = report.size + report.waiting;
        let nobodys = || unsigned(dir, entries, screen);
        let reader = open(&copy.0, screen)?;
        let origin = origin.or_else(|| reader.origin().map(str::to_owned));
        let origin = origin.ok_or_else(nobodys)?;
        let key = NoteKey::new(&origin, known.key.clone());
        let key = key.map_err(|error| Failure::of(Exit::Failed, &error))?;
        let checkpoint = reader.checkpoint(&key).map_err(unreadable)?;
        let checkpoint = checkpoint.ok_or_else(nobodys)?;
        let finality = reader.finality(&key).map_err(unreadable)?;
        Ok(Self {
            copy,
            origin,
            unsigned: entries.saturating_sub(checkpoint.size()),
            checkpoint: Arc::new(checkpoint),
            finality: finality.map(Arc::new),
        })
    }

    /// The ledger's origin.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// SHA-256 of the checkpoint, by which the directory says where a ledger ended.
    pub(super) fn note_hash(&self) -> Digest {
        Digest::of(self.checkpoint.note().to_string().as_bytes())
    }

    /// Hands over the entries under the checkpoint. Those after it are nobody's word yet.
    pub(super) fn read(
        &self,
        screen: &Screen,
        mut each: impl FnMut(u64, Bytes),
    ) -> Result<(), Failure> {
        let mut reader = self.reader(screen)?;
        let size = usize::try_from(self.checkpoint.size()).unwrap_or(usize::MAX);
        for entry in reader.entries(0).take(size) {
            let (index, bytes) = entry.map_err(|error| damaged(&self.copy.0, &error, screen))?;
            each(index, bytes);
        }
        Ok(())
    }

    /// How far it reaches, and whether the quorum of the policy in `view` saw that.
    pub(super) fn reach(&self, view: Option<&View>, screen: &Screen) -> Result<Reach, Failure> {
        let size = self.checkpoint.size();
        let newest = match size.checked_sub(1) {
            Some(index) => self.reader(screen)?.entry(index),
            None => Ok(None),
        };
        let newest = newest.map_err(|error| damaged(&self.copy.0, &error, screen))?;
        let newest = newest.and_then(|entry| Entry::decode(&entry).ok());
        Ok(Reach {
            origin: self.origin.clone(),
            size,
            until: newest.map(|entry| entry.at),
            unsigned: self.unsigned,
            witnessed: view.map_or(Witnessed::Unknown, |view| self.witnessed(view)),
            notes: [Some(&self.checkpoint), self.finality.as_ref()]
                .into_iter()
                .flatten()
                .map(|checkpoint| Digest::of(checkpoint.note().to_string().as_bytes()))
                .collect(),
        })
    }

    fn witnessed(&self, view: &View) -> Witnessed {
        let Some(policy) = view.state.policy().map(|policy| &policy.witnesses) else {
            return Witnessed::Unknown;
        };
        if policy.fewest() == 0 {
            return Witnessed::NobodyAsked;
        }
        // What the server calls final is its word: the cosignatures are judged again.
        let now = SystemClock.now();
        let claimed = [Some(&self.checkpoint), self.finality.as_ref()];
        let cosigned = claimed.into_iter().flatten();
        let cosigned = cosigned.filter(|checkpoint| policy.judge(checkpoint, now).is_some());
        Witnessed::UpTo(cosigned.map(|checkpoint| checkpoint.size()).max())
    }

    fn reader(&self, screen: &Screen) -> Result<Reader, Failure> {
        open(&self.copy.0, screen)
    }
}

// === impl Reach ===

impl Reach {
    /// The ledger's origin.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether it holds the checkpoint with this SHA-256: the end of a ledger, as its directory has it.
    pub(super) fn shows(&self, end: &Digest) -> bool {
        self.notes.contains(end)
    }

    /// For scripts. `quorum` is null where it is not known whose cosignatures count.
    pub(super) fn value(&self) -> Value {
        let (quorum, upto) = match self.witnessed {
            Witnessed::Unknown => (None, None),
            Witnessed::NobodyAsked => (Some(false), None),
            Witnessed::UpTo(upto) => (Some(upto >= Some(self.size)), upto),
        };
        json!({
            "ledger": self.origin,
            "size": self.size,
            "until": self.until.map(|at| at.to_string()),
            "unsigned_entries": self.unsigned,
            "quorum": quorum,
            "quorum_size": upto,
        })
    }

    /// For people.
    pub(super) fn print(&self, screen: &Screen) {
        let witnessed = match self.witnessed {
            Witnessed::Unknown => screen.text(Text::ReachUnknown, &[]),
            Witnessed::NobodyAsked => screen.text(Text::ReachNobody, &[]),
            Witnessed::UpTo(None) => screen.text(Text::ReachUnseen, &[]),
            Witnessed::UpTo(Some(upto)) if upto < self.size => {
                screen.text(Text::ReachPart, &[("size", &upto)])
            }
            Witnessed::UpTo(Some(_)) => screen.text(Text::ReachWhole, &[]),
        };
        let until = self
            .until
            .map_or_else(|| "-".to_owned(), |at| at.to_string());
        let facts: [Fact<'_>; 4] = [
            ("ledger", &self.origin),
            ("size", &self.size),
            ("until", &until),
            ("witnessed", &witnessed),
        ];
        print_out(format!("  {}", screen.text(Text::Reach, &facts)));
        if self.unsigned > 0 {
            let facts: [Fact<'_>; 1] = [("count", &self.unsigned)];
            print_out(format!("  {}", screen.text(Text::ReachAfter, &facts)));
        }
    }
}
