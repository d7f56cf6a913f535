//! Erasing the records of one exchange by order of a court, while the server is stopped.
//!
//! Offline, because nothing may be sealed meanwhile: a record on its way would be wrapped under the key
//! that goes. Of the exchange only the openings go: the entries and their proofs stay.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::LogOrigin;
use entente_keys::{KeyStore, KeyStoreError};
use entente_ledger::Reader;
use entente_ledger::disk::{Disk, DiskError, DiskErrorKind};
use entente_ledger::entry::{Body, Entry};
use entente_ledger::log::LogError;
use entente_sidecar::{Audit, Plan, Sidecar, SidecarError, Target};

use crate::config::Config;

/// What an order would erase.
#[derive(Clone, Debug)]
pub struct Order {
    /// The records, in the order of their entries.
    pub records: Vec<Named>,
    /// The ledger that is open, which gets the SHRED entries, unless the server's next start opens another.
    pub origin: LogOrigin,
    /// How many entries that holds.
    size: u64,
}

/// A record that an entry names.
#[derive(Clone, Debug)]
pub struct Named {
    /// The ledger of the entry.
    pub origin: String,
    /// The entry's index there.
    pub index: u64,
    /// When it was written.
    pub at: Timestamp,
    target: Target,
}

/// Why an order was not found or not carried out. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The folder of ledgers.
    #[error("listing the ledgers")]
    Disk(#[from] DiskError),
    /// The key folder, or that of the keys of records.
    #[error("opening the key folder")]
    Keys(#[from] KeyStoreError),
    /// A ledger could not be read.
    #[error("reading a ledger")]
    Log(#[from] LogError),
    /// No entry of the exchange names a record that is still there.
    #[error("there is no record of this transaction")]
    NotFound,
    /// What was planned before is not carried out yet: the server must be started first.
    #[error("another erasure waits for the server's next start")]
    Planned,
    /// The server runs; it must be stopped first.
    #[error("the server is running")]
    Running,
    /// The sidecar or its keys.
    #[error("opening the sidecar")]
    Sidecar(#[from] SidecarError),
}

// === impl Order ===

impl Order {
    /// Finds the records of the exchange `transaction` (its message id, as `entente log show` prints it).
    /// Changes nothing.
    ///
    /// # Errors
    /// When there are none, or something cannot be read.
    pub fn find(
        config: &Config,
        disk: &Arc<dyn Disk>,
        transaction: &str,
    ) -> Result<Self, OrderError> {
        let data = config.data.as_path();
        let mut audit = Audit::open(Arc::clone(disk), data.join("sidecar"), None)?;
        let mut newest: Option<(Timestamp, String, u64)> = None;
        let mut named = Vec::new();
        for dir in ledgers(&**disk, &data.join("ledger"))? {
            let mut reader = Reader::open(Arc::clone(disk), &dir)?;
            reader.attachments(|_, attachment| audit.note_waiting(attachment))?;
            let Some(origin) = reader.origin().map(str::to_owned) else {
                continue;
            };
            let mut last = Timestamp::default();
            for entry in reader.entries(0) {
                let (index, bytes) = entry?;
                let Ok(entry) = Entry::decode(&bytes) else {
                    continue;
                };
                last = last.max(entry.at);
                if let Some(record) = record_of(&entry.body, transaction) {
                    named.push((origin.clone(), index, entry.at, record));
                }
            }
            if newest.as_ref().is_none_or(|(at, ..)| *at < last) {
                newest = Some((last, origin, reader.size()));
            }
        }
        let mut records = Vec::new();
        for (origin, index, at, record) in named {
            if let Some(target) = audit.target(&record, at)? {
                records.push(Named {
                    origin,
                    index,
                    at,
                    target,
                });
            }
        }
        let (_, origin, size) = newest.ok_or(OrderError::NotFound)?;
        if records.is_empty() {
            return Err(OrderError::NotFound);
        }
        Ok(Self {
            records,
            origin: origin.parse().map_err(|_| OrderError::NotFound)?,
            size,
        })
    }

    /// Plans it. The server's next start logs it and erases the records, before it seals anything: no
    /// other process writes to its ledger, which may have to go on in another shard.
    ///
    /// # Errors
    /// When the server runs, another erasure is planned, or the plan could not be written.
    pub fn plan(
        &self,
        config: &Config,
        disk: Arc<dyn Disk>,
        authority: &str,
    ) -> Result<(), OrderError> {
        let data = config.data.as_path();
        let kek = KeyStore::open(config.keys.as_path())?.within("kek")?;
        let opened = Sidecar::open(disk, data.join("sidecar"), kek);
        let sidecar = opened.map_err(|error| match error {
            SidecarError::Disk(error) if error.kind == DiskErrorKind::Locked => OrderError::Running,
            error => error.into(),
        })?;
        let plan = Plan {
            authority: authority.to_owned(),
            origin: self.origin.as_str().to_owned(),
            since: self.size,
            targets: self.records.iter().map(|r| r.target.clone()).collect(),
        };
        sidecar.plan(&plan).map_err(|error| match error {
            SidecarError::Planned => OrderError::Planned,
            error => error.into(),
        })
    }
}

/// The folders of ledgers below `dir`.
fn ledgers(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let items = disk.list(dir)?.into_iter();
    let folders = items.filter(|item| item.is_dir);
    Ok(folders.map(|item| dir.join(item.name)).collect())
}

/// The record an entry names, if the entry is of this exchange.
fn record_of(body: &Body, transaction: &str) -> Option<entente_signing::Digest> {
    let (statement, record) = match body {
        Body::In(body) => (&body.statement, body.sidecar?),
        Body::Out(body) => (&body.statement, body.sidecar?),
        _ => return None,
    };
    let signed = SignedStatement::parse(statement.clone()).ok()?;
    let id = signed.statement().message_id.to_string();
    (id == transaction).then_some(record)
}
