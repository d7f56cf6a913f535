//! What is about to be destroyed: written down first, so that what was logged as destroyed is.
//!
//! The order is: the plan, then its SHRED entries, then the keys, then the plan goes. If we crash before
//! the entries, whoever opens the ledger writes them; if we crash after them, it destroys the keys. A key
//! without its entry is never gone.

use std::collections::BTreeSet;
use std::path::Path;

use entente_clock::Day;
use entente_ledger::disk::{Disk, durable};
use entente_ledger::entry::Shred;
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader, Writer};

use crate::retention::{KeyName, Period, Retention};
use crate::{SidecarError, frame};

/// Keys and records to be destroyed under one authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// By what rule or order; 1 to 255 bytes.
    pub authority: String,
    /// The ledger that gets the SHRED entries.
    pub origin: String,
    /// Its size when the plan was made: no SHRED entry of this plan is before it.
    pub since: u64,
    /// What goes; at most [`Plan::MAX_TARGETS`].
    pub targets: Vec<Target>,
}

/// One thing to be destroyed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A key, and with it everything of its period.
    Key(KeyName),
    /// One record: what its own key opened.
    Record {
        /// SHA-256 of its ciphertext, as its entry names it.
        hash: Digest,
        /// How long it was to be kept.
        retention: Retention,
        /// The day it was sealed.
        day: Day,
    },
}

// === impl Plan ===

impl Plan {
    /// Most targets of one plan; more are for the next.
    pub const MAX_TARGETS: usize = 1_000;
    /// The longest authority, in bytes: what an entry holds.
    pub const MAX_AUTHORITY: usize = 255;

    /// The SHRED entries that must be durable before anything is destroyed.
    pub fn shreds(&self) -> impl Iterator<Item = Shred> {
        self.targets.iter().map(|target| Shred {
            class: target.retention().to_string(),
            period: match target {
                Target::Key(name) => name.period.span.to_string(),
                Target::Record { day, .. } => day.to_string(),
            },
            key_hash: target.key_hash(),
            authority: self.authority.clone(),
        })
    }

    pub(crate) fn periods(&self) -> BTreeSet<Period> {
        let keys = self.targets.iter().filter_map(|target| match target {
            Target::Key(name) => Some(name.period.clone()),
            Target::Record { .. } => None,
        });
        keys.collect()
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (Period, Digest)> {
        self.targets.iter().filter_map(|target| match target {
            Target::Key(_) => None,
            Target::Record {
                hash,
                retention,
                day,
            } => Some((Period::of_day(retention.clone(), *day), *hash)),
        })
    }

    fn check(&self) -> Result<(), SidecarError> {
        let authority = (1..=Self::MAX_AUTHORITY).contains(&self.authority.len());
        let targets = (1..=Self::MAX_TARGETS).contains(&self.targets.len());
        (authority && targets)
            .then_some(())
            .ok_or(SidecarError::Size)
    }

    /// Keeps the plan, durably.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), SidecarError> {
        self.check()?;
        let mut bytes = Vec::new();
        frame::put(&mut bytes, &self.encode())?;
        Ok(durable::replace(disk, &dir.join(NAME), &bytes)?)
    }

    /// The plan that is kept, if there is one.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, SidecarError> {
        let path = dir.join(NAME);
        let Some(bytes) = durable::read(disk, &path)? else {
            return Ok(None);
        };
        let body = frame::split(&bytes).filter(|(_, rest)| rest.is_empty());
        let plan = body.and_then(|(body, _)| Self::decode(body).ok());
        plan.map(Some).ok_or(SidecarError::Damaged {
            path,
            what: "it is not a plan of what to destroy",
        })
    }

    /// Forgets the plan that is kept.
    pub(crate) fn forget(disk: &dyn Disk, dir: &Path) -> Result<(), SidecarError> {
        durable::remove(disk, &dir.join(NAME))?;
        Ok(disk.sync_dir(dir)?)
    }

    /// CBOR `[1, authority, origin, since, [[name] or [hash, retention, day] …]]`.
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(5).uint(1).text(&self.authority);
        out.text(&self.origin).uint(self.since);
        out.array(self.targets.len());
        for target in &self.targets {
            match target {
                Target::Key(name) => out.array(1).text(&name.to_string()),
                Target::Record {
                    hash,
                    retention,
                    day,
                } => out
                    .array(3)
                    .bytes(hash.as_bytes())
                    .text(&retention.to_string())
                    .text(&day.to_string()),
            };
        }
        out.into_vec()
    }

    fn decode(body: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(body);
        if reader.array()? != 5 || reader.uint()? != 1 {
            return Err(CborError::Unexpected);
        }
        let mut plan = Self {
            authority: reader.text()?.to_owned(),
            origin: reader.text()?.to_owned(),
            since: reader.uint()?,
            targets: Vec::new(),
        };
        for _ in 0..reader.array()? {
            plan.targets.push(match reader.array()? {
                1 => Target::Key(reader.text()?.parse().map_err(|_| CborError::Range)?),
                3 => Target::Record {
                    hash: Digest::from_bytes(reader.bytes_exact()?),
                    retention: reader.text()?.parse().map_err(|_| CborError::Range)?,
                    day: reader.text()?.parse().map_err(|_| CborError::Range)?,
                },
                _ => return Err(CborError::Unexpected),
            });
        }
        reader.finish()?;
        plan.check().map_err(|_| CborError::Range)?;
        Ok(plan)
    }
}

// === impl Target ===

impl Target {
    fn retention(&self) -> &Retention {
        match self {
            Self::Key(name) => &name.period.retention,
            Self::Record { retention, .. } => retention,
        }
    }

    /// What its SHRED entry names it by.
    pub fn key_hash(&self) -> Digest {
        match self {
            Self::Key(name) => name.hash(),
            Self::Record { hash, .. } => record_key_hash(hash),
        }
    }
}

/// What SHRED says of the key of one record: the SHA-256 of `record/` and the record's hash in
/// hexadecimal.
pub fn record_key_hash(record: &Digest) -> Digest {
    Digest::of(format!("record/{record}").as_bytes())
}

const NAME: &str = "plan";
