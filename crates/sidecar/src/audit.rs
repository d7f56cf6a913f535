//! Telling whether a record that an entry names is there, was destroyed by rule, or is missing against
//! it. Reads only, and needs no key: the names of the keys are enough.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::{Day, Timestamp};
use entente_ledger::disk::Disk;
use entente_ledger::entry::Shred;
use entente_signing::Digest;
use zeroize::Zeroizing;

use crate::again::again;
use crate::plan::{Target, record_key_hash};
use crate::record::Attachment;
use crate::retention::{KeyName, Period, Retention, Span};
use crate::{SidecarError, keys, shelf};

/// The records of a sidecar, judged against the SHRED entries of its ledgers.
#[derive(Debug)]
pub struct Audit {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The keys there are; none where the key folder is not at hand.
    keys: Option<BTreeSet<KeyName>>,
    shreds: HashMap<Digest, Shredding>,
    /// Records still in a write-ahead log.
    waiting: HashMap<Digest, Row>,
    days: BTreeMap<Day, HashMap<Digest, Row>>,
    /// What destroyed a period, once asked.
    ended: HashMap<Period, Option<Shredding>>,
}

/// A SHRED entry, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shredding {
    /// The ledger it is in.
    pub origin: String,
    /// Its index there.
    pub index: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    pub shred: Shred,
}

/// How it stands with the record of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there, as its entry says, and so is its key as far as the key folder is at hand.
    Present,
    /// Its key was destroyed, by rule or order, and logged.
    Shredded(Shredding),
    /// It is not as it must be.
    Violation(Violation),
}

/// What is wrong with a record. Variants are alphabetical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It is not there, or not whole, and no SHRED entry says why.
    Absent,
    /// Its key was destroyed before its term was over.
    Early(Shredding),
    /// Its key is gone, and no SHRED entry says why.
    KeyGone,
    /// It was logged as destroyed, and its key is there.
    NotDestroyed(Shredding),
    /// It is kept under another class or term than was agreed: its day could go too early, and it with it.
    OtherRetention {
        /// By the sidecar, which its owner can write.
        held: Retention,
        /// By the agreement.
        agreed: Retention,
    },
}

#[derive(Clone, Debug)]
struct Row {
    period: Period,
    is_erased: bool,
    is_whole: bool,
}

/// Days kept in memory: an entry's record is of its own day, or of one beside it.
const DAYS: usize = 4;

/// How often a period's key may have been replaced because single records of it were erased.
const MAX_NUMBER: u32 = 4_096;

// === impl Audit ===

impl Audit {
    /// Over the sidecar at `dir`, with its keys at `keys_dir` where they are at hand.
    ///
    /// # Errors
    /// When the key folder is there and cannot be read.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        keys_dir: Option<&Path>,
    ) -> Result<Self, SidecarError> {
        let keys = match keys_dir {
            Some(keys_dir) => keys::read(&*disk, keys_dir, |_| false)?.map(|read| read.names),
            None => None,
        };
        Ok(Self {
            disk,
            dir: dir.into(),
            keys,
            shreds: HashMap::new(),
            waiting: HashMap::new(),
            days: BTreeMap::new(),
            ended: HashMap::new(),
        })
    }

    /// Whether the key folder is at hand.
    pub const fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Takes note of a SHRED entry. All of them come before the first [`Audit::standing`].
    pub fn note_shred(&mut self, shredding: Shredding) {
        let key = shredding.shred.key_hash;
        self.shreds.entry(key).or_insert(shredding);
    }

    /// Takes note of an attachment that is still in a ledger's write-ahead log.
    pub fn note_waiting(&mut self, attachment: &Bytes) {
        let Ok(record) = Attachment::decode(attachment) else {
            return;
        };
        let row = Row {
            is_whole: Digest::of(&record.ciphertext) == record.hash,
            is_erased: false,
            period: Period::of_day(record.retention, record.day),
        };
        self.waiting.insert(record.hash, row);
    }

    /// How it stands with the record that an entry written at `at` names, which was `agreed` to be kept so
    /// long. No entry holds a record's class and term: without the agreement they are the sidecar's word.
    ///
    /// # Errors
    /// When the sidecar's files cannot be read.
    pub fn standing(
        &mut self,
        record: &Digest,
        at: Timestamp,
        agreed: Option<&Retention>,
    ) -> Result<Standing, SidecarError> {
        let row = self.row(record, at)?;
        let erased = self.shreds.get(&record_key_hash(record)).cloned();
        let Some(row) = row else {
            return Ok(erased.map_or(Standing::Violation(Violation::Absent), Standing::Shredded));
        };
        let held = &row.period.retention;
        if let Some(agreed) = agreed.filter(|agreed| *agreed != held) {
            return Ok(Standing::Violation(Violation::OtherRetention {
                held: held.clone(),
                agreed: agreed.clone(),
            }));
        }
        let ended = self.shredding(&row.period);
        let has_key = self.has_key(&row.period);
        if let Some(erased) = erased {
            let is_gone_with_its_period = ended.is_some() && has_key != Some(true);
            return Ok(if row.is_erased || is_gone_with_its_period {
                Standing::Shredded(erased)
            } else {
                Standing::Violation(Violation::NotDestroyed(erased))
            });
        }
        if row.is_erased || !row.is_whole {
            return Ok(Standing::Violation(Violation::Absent));
        }
        Ok(match ended {
            None if has_key == Some(false) => Standing::Violation(Violation::KeyGone),
            None => Standing::Present,
            Some(by) if has_key == Some(true) => Standing::Violation(Violation::NotDestroyed(by)),
            Some(by) if by.at < row.period.due() => Standing::Violation(Violation::Early(by)),
            Some(by) => Standing::Shredded(by),
        })
    }

    /// The target that erases the record an entry written at `at` names; none when it is not there, or
    /// erased already.
    ///
    /// # Errors
    /// When the sidecar's files cannot be read.
    pub fn target(
        &mut self,
        record: &Digest,
        at: Timestamp,
    ) -> Result<Option<Target>, SidecarError> {
        let row = self.row(record, at)?.filter(|row| !row.is_erased);
        Ok(row.and_then(|row| match row.period.span {
            Span::Day(day) => Some(Target::Record {
                hash: *record,
                retention: row.period.retention,
                day,
            }),
            Span::Tags { .. } => None,
        }))
    }

    /// Whether a period has a key; none where the key folder is not at hand.
    fn has_key(&self, period: &Period) -> Option<bool> {
        self.keys.as_ref().map(|keys| {
            let mut of_period = keys.range(first(period)..);
            of_period.next().is_some_and(|name| name.period == *period)
        })
    }

    /// The SHRED entry of a period's key.
    fn shredding(&mut self, period: &Period) -> Option<Shredding> {
        if let Some(known) = self.ended.get(period) {
            return known.clone();
        }
        let (class, span) = (period.retention.to_string(), period.span.to_string());
        let of_period = |s: &&Shredding| s.shred.class == class && s.shred.period == span;
        let named: HashMap<Digest, &Shredding> = self
            .shreds
            .values()
            .filter(of_period)
            .map(|shredding| (shredding.shred.key_hash, shredding))
            .collect();
        let mut found = None;
        if !named.is_empty() {
            let mut names = (1..=MAX_NUMBER).map(|number| KeyName {
                period: period.clone(),
                number,
            });
            found = names.find_map(|name| named.get(&name.hash()).map(|s| (*s).clone()));
        }
        self.ended.insert(period.clone(), found.clone());
        found
    }

    fn row(&mut self, record: &Digest, at: Timestamp) -> Result<Option<Row>, SidecarError> {
        let day = Duration::from_secs(24 * 60 * 60);
        // Sealed a moment before its entry was written: perhaps before midnight.
        for at in [at, at.saturating_sub(day), at.saturating_add(day)] {
            if let Some(row) = self.day(at.day())?.get(record) {
                return Ok(Some(row.clone()));
            }
        }
        Ok(self.waiting.get(record).cloned())
    }

    fn day(&mut self, day: Day) -> Result<&HashMap<Digest, Row>, SidecarError> {
        if !self.days.contains_key(&day) && self.days.len() >= DAYS {
            // The one farthest from it: entries come in the order of time.
            let far = match self.days.first_key_value() {
                Some((first, _)) if *first < day => self.days.pop_first(),
                _ => self.days.pop_last(),
            };
            drop(far);
        }
        match self.days.entry(day) {
            std::collections::btree_map::Entry::Occupied(held) => Ok(held.into_mut()),
            std::collections::btree_map::Entry::Vacant(free) => {
                let (disk, dir) = (&*self.disk, &self.dir);
                let held = again(|| shelf::held_on(disk, dir, day))?;
                let rows = held.into_iter().map(|held| {
                    let row = Row {
                        period: Period::of_day(held.retention, day),
                        is_erased: held.is_erased,
                        is_whole: held.is_whole,
                    };
                    (held.hash, row)
                });
                Ok(free.insert(rows.collect()))
            }
        }
    }
}

fn first(period: &Period) -> KeyName {
    KeyName {
        period: period.clone(),
        number: 0,
    }
}

/// The key of one month, retention and notice class of subject tags. Secret.
#[derive(Clone)]
pub struct TagSecret {
    /// Which.
    pub name: KeyName,
    /// Its bytes.
    pub bytes: Zeroizing<[u8; 32]>,
}

/// Reads the subject-tag keys of a key folder without changing anything, for the owner of the folder.
///
/// # Errors
/// When the folder is not one of keys, or damaged.
pub fn tag_keys(disk: &dyn Disk, keys_dir: &Path) -> Result<Vec<TagSecret>, SidecarError> {
    let is_tag = |name: &KeyName| matches!(name.period.span, Span::Tags { .. });
    let read = keys::read(disk, keys_dir, is_tag)?;
    let keys = read.map(|read| read.keys).unwrap_or_default();
    let secrets = keys
        .into_iter()
        .map(|(name, bytes)| TagSecret { name, bytes });
    Ok(secrets.collect())
}

impl std::fmt::Debug for TagSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TagSecret").field(&self.name).finish()
    }
}
