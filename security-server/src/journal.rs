//! Writing to the server's own ledger: entries, their openings beside them, and what is still owed.
//!
//! An entry is durable when [`Journal::append`] returns (G1). Openings are sealed for the sidecar
//! before they are handed over, so nothing personal is ever in a ledger file or in its log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use entente_clock::{Clock, Timestamp};
use entente_evidence::opening::{KeepPayload, Openings};
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::LogOrigin;
use entente_ledger::entry::{Body, Entry};
use entente_ledger::{Append, Appended, Ledger};
use entente_policy::Permit;
use entente_reason::Reason;
use entente_sidecar::{RecordOf, Retention, Sidecar};
use entente_signing::Digest;
use zeroize::Zeroizing;

use crate::unproven::Unproven;

/// The server's ledger and sidecar.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    ledger: Ledger,
    sidecar: Sidecar,
    origin: LogOrigin,
    clock: Arc<dyn Clock>,
    /// Time of the newest entry, in milliseconds.
    newest: Arc<AtomicU64>,
    unproven: Arc<Unproven>,
}

/// Openings to keep beside an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep<'a> {
    /// The kind of the entry: 1 IN, 2 OUT.
    pub(crate) kind: u8,
    /// The statement they open.
    pub(crate) statement: &'a SignedStatement,
    /// The openings themselves.
    pub(crate) openings: &'a Openings,
    /// What permits the exchange: it says how long they are kept, and whether the payload is too.
    pub(crate) permit: &'a Permit,
}

/// How far the clock may be behind the newest entry (DESIGN.md §7).
const CLOCK_BEHIND: Duration = Duration::from_secs(60);

// === impl Journal ===

impl Journal {
    /// Over an open ledger and its sidecar.
    pub(crate) fn new(
        ledger: Ledger,
        sidecar: Sidecar,
        origin: LogOrigin,
        clock: Arc<dyn Clock>,
        newest: Option<Timestamp>,
        unproven: Unproven,
    ) -> Self {
        Self {
            ledger,
            sidecar,
            origin,
            clock,
            newest: Arc::new(AtomicU64::new(newest.map_or(0, Timestamp::as_millis))),
            unproven: Arc::new(unproven),
        }
    }

    /// The ledger.
    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The sidecar.
    pub(crate) const fn sidecar(&self) -> &Sidecar {
        &self.sidecar
    }

    /// Entries that wait for a time stamp.
    pub(crate) fn unproven(&self) -> &Unproven {
        &self.unproven
    }

    /// The ledger's origin.
    pub(crate) const fn origin(&self) -> &LogOrigin {
        &self.origin
    }

    /// Appends an entry without openings; durable on return.
    pub(crate) async fn append(&self, body: Body) -> Result<Appended, Reason> {
        self.write(body, None).await
    }

    /// Seals the openings, appends the entry that names them, both durable on return.
    pub(crate) async fn append_with(
        &self,
        keep: Keep<'_>,
        body: impl FnOnce(Option<Digest>) -> Body,
    ) -> Result<Appended, Reason> {
        let of = RecordOf {
            origin: self.origin.as_str(),
            message_id: keep.statement.statement().message_id.as_bytes(),
            kind: keep.kind,
        };
        let payload = if keep.permit.keep_payload_days.is_some() {
            KeepPayload::Yes
        } else {
            KeepPayload::No
        };
        let plaintext = Zeroizing::new(keep.openings.encode_kept(payload));
        let retention = retention_of(keep.permit)?;
        let day = self.clock.now().day();
        let sealed = self
            .sidecar
            .seal(&retention, day, &of, &plaintext)
            .map_err(|error| error.reason())?;
        self.write(body(Some(sealed.hash)), Some(sealed.attachment))
            .await
    }

    /// The receipt for an entry of this ledger.
    pub(crate) fn receipt(&self, appended: Appended) -> Receipt {
        Receipt {
            origin: self.origin.clone(),
            index: appended.index,
            leaf_hash: appended.leaf_hash,
        }
    }

    async fn write(&self, body: Body, attachment: Option<Bytes>) -> Result<Appended, Reason> {
        let at = self.clock.now();
        let asks = body.asks_for_gossip();
        let entry = Entry { at, body };
        let entry = entry.encode().map_err(|error| error.reason())?;
        let appended = self.ledger.append(Append { entry, attachment }).await;
        let appended = appended.map_err(|error| error.reason())?;
        self.newest.fetch_max(at.as_millis(), Ordering::Relaxed);
        if asks {
            self.unproven.logged(appended.index, at);
        }
        Ok(appended)
    }

    /// Whether the clock is where entries may be written: not 60 s behind the newest (`CLOCK_OFF`).
    pub(crate) fn clock_is_on(&self) -> bool {
        let newest = Timestamp::from_millis(self.newest.load(Ordering::Relaxed));
        newest.since(self.clock.now()) <= CLOCK_BEHIND
    }
}

/// How long the clause keeps what is exchanged under it. An agreement's bounds are the sidecar's.
pub(crate) fn retention_of(permit: &Permit) -> Result<Retention, Reason> {
    let class = permit.retention_class.as_str();
    Retention::new(class, permit.retention_days).map_err(|error| error.reason())
}
