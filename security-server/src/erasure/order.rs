//! Erasing the records of one exchange by order of a court, while the server is stopped.
//!
//! Offline, because nothing may be sealed meanwhile: a record on its way would be wrapped under the key
//! that goes. Of the exchange only the openings go: the entries and their proofs stay.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_clock::{Clock, Timestamp};
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::LogOrigin;
use entente_keys::{KeyStore, KeyStoreError};
use entente_ledger::disk::{Disk, DiskError, DiskErrorKind};
use entente_ledger::entry::{Body, Entry};
use entente_ledger::log::LogError;
use entente_ledger::{Ledger, LedgerConfig, LedgerError, Reader, Runner};
use entente_sidecar::{Audit, Plan, Sidecar, SidecarError, Target};

use super::{EraseError, finish};
use crate::config::Config;
use crate::enrol::{EnrolError, ServerKeys};
use crate::journal::Journal;
use crate::unproven::Unproven;

/// What an order would erase.
#[derive(Clone, Debug)]
pub struct Order {
    /// The records, in the order of their entries.
    pub records: Vec<Named>,
    /// The ledger that is open, which gets the SHRED entries.
    pub origin: LogOrigin,
    ledger: PathBuf,
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
    /// The server's keys.
    #[error("opening the server's keys")]
    Enrol(#[from] EnrolError),
    /// Logging or destroying. What was begun is finished at the server's next start.
    #[error("erasing")]
    Erase(#[from] EraseError),
    /// The key folder.
    #[error("opening the key folder")]
    Keys(#[from] KeyStoreError),
    /// The ledger that gets the SHRED entries.
    #[error("opening the ledger")]
    Ledger(#[from] LedgerError),
    /// A ledger could not be read.
    #[error("reading a ledger")]
    Log(#[from] LogError),
    /// No entry of the exchange names a record that is still there.
    #[error("there is no record of this transaction")]
    NotFound,
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
        let mut newest: Option<(Timestamp, String, PathBuf)> = None;
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
                newest = Some((last, origin, dir));
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
        let (_, origin, ledger) = newest.ok_or(OrderError::NotFound)?;
        if records.is_empty() {
            return Err(OrderError::NotFound);
        }
        Ok(Self {
            records,
            origin: origin.parse().map_err(|_| OrderError::NotFound)?,
            ledger,
        })
    }

    /// Logs and erases. On return the records are gone, and so are the keys theirs were wrapped under.
    ///
    /// # Errors
    /// When the server runs, or something could not be written. What was begun is finished at its next
    /// start.
    pub async fn carry_out(
        &self,
        config: &Config,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        authority: &str,
    ) -> Result<(), OrderError> {
        let data = config.data.as_path();
        let keys = config.keys.as_path();
        let opened = Sidecar::open(Arc::clone(&disk), data.join("sidecar"), keys.join("kek"));
        let sidecar = opened.map_err(|error| match error {
            SidecarError::Disk(error) if error.kind == DiskErrorKind::Locked => OrderError::Running,
            error => error.into(),
        })?;
        let server = ServerKeys::load_or_create(&KeyStore::open(keys)?)?;
        let ledger = LedgerConfig::new(
            &self.ledger,
            self.origin.as_str(),
            server.ledger,
            disk,
            Box::new(sidecar.clone()),
            Arc::clone(&clock),
        );
        let ledger = Ledger::open(ledger, Runner::Thread).await?;
        let journal = Journal::new(
            ledger.clone(),
            sidecar.clone(),
            self.origin.clone(),
            clock,
            None,
            Unproven::default(),
        );
        // What a stop left unfinished comes first, and everything appended is in the sidecar after this.
        finish(&journal).await?;
        ledger.publish_now().await?;
        let plan = Plan {
            authority: authority.to_owned(),
            origin: self.origin.as_str().to_owned(),
            since: ledger.size(),
            targets: self.records.iter().map(|r| r.target.clone()).collect(),
        };
        // If we crash here, the server's next start logs it and carries it out.
        sidecar.plan(&plan)?;
        finish(&journal).await?;
        ledger.shutdown().await?;
        Ok(())
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
