//! Applications for membership awaiting a registrar.
//!
//! One file each, named by the application's SHA-256: `[1, received ms, application bstr]`. Losing one
//! costs applying again; an admitted one is in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::{Application, State};
use entente_ledger::disk::{Disk, DiskError, durable};
use entente_reason::Reason;
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader, Writer};

use crate::refusal::Refused;

/// Those pending, on disk and in memory.
#[derive(Debug)]
pub(crate) struct Applications {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limit: usize,
    pending: Mutex<BTreeMap<Digest, Pending>>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) bytes: Bytes,
    pub(crate) received_at: Timestamp,
    /// Where it came from, while this process runs.
    from: Option<IpAddr>,
}

// === impl Applications ===

impl Applications {
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, limit: usize) -> Result<Self, DiskError> {
        disk.create_dir_all(dir)?;
        durable::sweep(&*disk, dir)?;
        let mut pending = BTreeMap::new();
        for item in disk.list(dir)? {
            let held = Pending::parse(&disk.read(&dir.join(&item.name))?);
            match held {
                Ok(held) if Digest::of(&held.bytes).to_string() == item.name => {
                    pending.insert(Digest::of(&held.bytes), held);
                }
                _ => tracing::warn!(event = "application.damaged", file = item.name),
            }
        }
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            limit,
            pending: Mutex::new(pending),
        })
    }

    /// Takes an application in, if a registrar could admit it. Again changes nothing.
    pub(crate) fn take(
        &self,
        bytes: Bytes,
        state: &State,
        from: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Digest, Refused> {
        let application = Application::parse(&bytes).map_err(Refused::Application)?;
        let registry = state.registry().ok_or(Refused::Internal)?;
        let ours = application.registry == registry.origin
            && application.member.jurisdiction() == registry.jurisdiction;
        if !ours {
            return Err(Refused::Name(Reason::NameNotOurs));
        }
        let id = Digest::of(&bytes);
        if state.member(&application.member).is_some() {
            return Err(Refused::Name(Reason::NameTaken));
        }
        let known = |key: &entente_directory::NewKey| state.key_known(&key.key.spki_digest());
        if application.keys.iter().any(known) {
            return Err(Refused::Name(Reason::KeyReused));
        }
        let mut pending = self.pending();
        if pending.contains_key(&id) {
            return Ok(id);
        }
        self.lapse(&mut pending, now);
        let of_peer = pending
            .values()
            .filter(|held| from.is_some() && held.from == from)
            .count();
        if pending.len() >= self.limit || of_peer >= MAX_FROM_ONE {
            return Err(Refused::Overloaded);
        }
        let held = Pending {
            bytes,
            received_at: now,
            from,
        };
        durable::replace(&*self.disk, &self.path(&id), &held.encode()).map_err(|error| {
            tracing::error!(event = "application.not_kept", %error);
            Refused::Append(entente_ledger::AppendError::LogUnavailable)
        })?;
        // If we crash here, the applicant was not answered yet and the application is held all the
        // same: applying again finds it.
        pending.insert(id, held);
        Ok(id)
    }

    /// Takes over what another server of this registry holds: those listed, and no others.
    pub(crate) fn adopt(&self, held: Vec<(Bytes, Timestamp)>) -> Result<(), DiskError> {
        let mut pending = self.pending();
        let listed: BTreeSet<Digest> = held.iter().map(|(bytes, _)| Digest::of(bytes)).collect();
        let gone: Vec<Digest> = pending.keys().copied().collect();
        for id in gone.iter().filter(|id| !listed.contains(id)) {
            self.forget(&mut pending, id);
        }
        for (bytes, received_at) in held.into_iter().take(self.limit) {
            let id = Digest::of(&bytes);
            if pending.contains_key(&id) || Application::parse(&bytes).is_err() {
                continue;
            }
            let from = None;
            let held = Pending {
                bytes,
                received_at,
                from,
            };
            durable::replace(&*self.disk, &self.path(&id), &held.encode())?;
            pending.insert(id, held);
        }
        Ok(())
    }

    /// A pending one.
    pub(crate) fn find(&self, id: &Digest) -> Option<Pending> {
        self.pending().get(id).cloned()
    }

    /// Pending ones, ascending by id, from after `after`.
    pub(crate) fn list(&self, after: Option<Digest>, limit: usize) -> Vec<(Digest, Pending)> {
        let pending = self.pending();
        let later = pending
            .iter()
            .filter(|(id, _)| after.is_none_or(|after| **id > after));
        later
            .take(limit)
            .map(|(id, held)| (*id, held.clone()))
            .collect()
    }

    /// Forgets one that was admitted.
    pub(crate) fn settle(&self, id: &Digest) {
        let mut pending = self.pending();
        self.forget(&mut pending, id);
    }

    fn lapse(&self, pending: &mut BTreeMap<Digest, Pending>, now: Timestamp) {
        let lapsed: Vec<Digest> = pending
            .iter()
            .filter(|(_, held)| now.since(held.received_at) > LAPSES_AFTER)
            .map(|(id, _)| *id)
            .collect();
        for id in lapsed {
            self.forget(pending, &id);
        }
    }

    fn forget(&self, pending: &mut BTreeMap<Digest, Pending>, id: &Digest) {
        if pending.remove(id).is_some()
            && let Err(error) = self.disk.remove(&self.path(id))
        {
            // It is pending again after a restart, and cannot be admitted twice.
            tracing::warn!(event = "application.not_forgotten", %error);
        }
    }

    fn path(&self, id: &Digest) -> PathBuf {
        self.dir.join(id.to_string())
    }

    fn pending(&self) -> MutexGuard<'_, BTreeMap<Digest, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pending ===

impl Pending {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(self.bytes.len() + 16);
        out.array(3)
            .uint(1)
            .uint(self.received_at.as_millis())
            .bytes(&self.bytes);
        out.into_vec()
    }

    fn parse(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != 3 || reader.uint()? != 1 {
            return Err(CborError::Unexpected);
        }
        let received_at = Timestamp::from_millis(reader.uint()?);
        let bytes = Bytes::copy_from_slice(reader.bytes()?);
        reader.finish()?;
        Ok(Self {
            bytes,
            received_at,
            from: None,
        })
    }
}

/// An application nobody approved in this time is forgotten.
const LAPSES_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);
/// Pending applications from one address.
const MAX_FROM_ONE: usize = 20;
