//! Destroying what is due, or what a court ordered: as [`Plan`] orders it.

use std::collections::{BTreeMap, BTreeSet};

use entente_clock::Timestamp;
use entente_signing::Digest;
use zeroize::Zeroizing;

use crate::retention::{KeyName, Period};
use crate::{Plan, Sidecar, SidecarError, record};

// === impl Sidecar ===

impl Sidecar {
    /// The key of a period of subject tags, made and durable before it comes back the first time.
    ///
    /// # Errors
    /// When it cannot be made, or was destroyed.
    pub fn tag_key(&self, period: &Period) -> Result<Zeroizing<[u8; 32]>, SidecarError> {
        self.keks.load_or_make(period).map(|key| (*key).clone())
    }

    /// The keys whose term is over, oldest first within each retention; at most
    /// [`Plan::MAX_TARGETS`].
    ///
    /// # Errors
    /// When the key folder cannot be read.
    pub fn due(&self, now: Timestamp) -> Result<Vec<KeyName>, SidecarError> {
        self.keks.due(now, Plan::MAX_TARGETS)
    }

    /// Writes down what is about to be destroyed; durable on return. Nothing is destroyed yet.
    ///
    /// # Errors
    /// [`SidecarError::Planned`] when another plan is not carried out yet.
    pub fn plan(&self, plan: &Plan) -> Result<(), SidecarError> {
        if self.planned()?.is_some() {
            return Err(SidecarError::Planned);
        }
        let (disk, dir) = self.keks.place();
        plan.write(disk, dir)
    }

    /// What was planned and is not carried out yet.
    ///
    /// # Errors
    /// When the plan cannot be read.
    pub fn planned(&self) -> Result<Option<Plan>, SidecarError> {
        let (disk, dir) = self.keks.place();
        Plan::read(disk, dir)
    }

    /// Destroys what was planned, and forgets the plan. **Its SHRED entries must be durable.** Calling it
    /// again after an error or a crash is safe, and finishes what was begun.
    ///
    /// For single records, everything appended to the ledger must be stored here, and nothing may be
    /// sealed meanwhile: a record on its way is wrapped under the key that goes.
    ///
    /// # Errors
    /// When the disk fails, or a key that must stay does not open; nothing is lost then.
    pub fn carry_out(&self) -> Result<(), SidecarError> {
        let Some(plan) = self.planned()? else {
            return Ok(());
        };
        let periods = plan.periods();
        if !periods.is_empty() {
            self.keks.destroy(&periods)?;
        }
        let mut records: BTreeMap<Period, BTreeSet<Digest>> = BTreeMap::new();
        for (period, hash) in plan.records() {
            records.entry(period).or_default().insert(hash);
        }
        for (period, hashes) in &records {
            self.erase(period, hashes)?;
        }
        let (disk, dir) = self.keks.place();
        // If we crash here, everything in the plan is gone already; the next start finds nothing to do.
        Plan::forget(disk, dir)
    }

    /// Erases single records: the others of their period are wrapped under another key, and the one that
    /// theirs were wrapped under is destroyed.
    fn erase(&self, period: &Period, hashes: &BTreeSet<Digest>) -> Result<(), SidecarError> {
        let crate::Span::Day(day) = period.span else {
            return Err(SidecarError::Size);
        };
        self.shelves().sync()?;
        self.keks.renew(period)?;
        // If we crash here, there are two keys, and every record is still wrapped under the first.
        let keks = self.keks.of(period)?;
        let Some(newest) = keks.first() else {
            // The whole period was destroyed in between.
            return Ok(());
        };
        self.shelves().rewrite(day, |key| {
            if key.retention != period.retention {
                return Ok(());
            }
            let Some(wrapped) = key.wrapped() else {
                return Ok(());
            };
            if hashes.contains(&key.hash) {
                key.replace(None);
                return Ok(());
            }
            let record = record::unwrap_any(&keks, &wrapped)?;
            key.replace(Some(record.wrap(newest)?));
            Ok(())
        })?;
        // If we crash here, nothing is wrapped under the first key any more, and it is destroyed next time.
        self.keks.retire(period)
    }
}
