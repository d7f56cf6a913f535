//! The promises in our own ledger: each answer we received is an IN entry, or DENIED when it was not used, so
//! none is forgotten.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::LogOrigin;
use entente_identity::ServerId;
use entente_keys::SessionCertificate;
use entente_ledger::entry::{Body, Denied, DeniedCall, Entry};
use entente_ledger::{Ledger, Reader};
use entente_reason::Reason;
use entente_signing::{KeyId, VerifyingKey};

/// A shard of our ledger, to read promises from.
#[derive(Clone, Debug)]
pub(super) enum Own {
    /// The one that is written to.
    Open(Ledger),
    /// An earlier one.
    Closed(Arc<Mutex<Reader>>),
}

/// A promise in our ledger.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    /// Index of our IN entry.
    pub(super) at: u64,
    /// When it was made.
    pub(super) made: Timestamp,
    /// What was promised.
    pub(super) receipt: Receipt,
}

/// Promises, by provider and the ledger they are about.
pub(super) type Promises = BTreeMap<(ServerId, LogOrigin), Vec<Promise>>;

/// An answer as it was received, with what its signature rests on.
#[derive(Debug)]
pub(super) struct Answer {
    /// With its proof.
    pub(super) bytes: Bytes,
    /// The certificate of the session that signed it, DER.
    pub(super) session: Bytes,
    /// The server key that certified the session.
    pub(super) server_key: VerifyingKey,
}

/// Entries read at a time.
const CHUNK: usize = 256;

// === impl Own ===

impl Own {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Open(ledger) => ledger.size(),
            Self::Closed(reader) => reader.lock().unwrap_or_else(PoisonError::into_inner).size(),
        }
    }

    /// Some entries from `start` on, at least one.
    async fn entries(&self, start: u64, limit: u64) -> Result<Vec<Bytes>, Reason> {
        let limit = usize::try_from(limit).unwrap_or(CHUNK).min(CHUNK);
        let entries = match self {
            Self::Open(ledger) => ledger.entries(start, limit).await.map_err(|e| e.reason())?,
            Self::Closed(reader) => {
                let reader = Arc::clone(reader);
                let read = tokio::task::spawn_blocking(move || {
                    let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                    let entries = reader.entries(start).take(limit);
                    entries
                        .map(|entry| entry.map(|(_, bytes)| bytes))
                        .collect::<Result<Vec<_>, _>>()
                });
                let read = read.await.map_err(|_| Reason::ShuttingDown)?;
                read.map_err(|error| error.reason())?
            }
        };
        // A shard ends where it says it does.
        if entries.is_empty() {
            return Err(Reason::LogUnavailable);
        }
        Ok(entries)
    }

    /// Adds the promises in a range.
    pub(super) async fn promises(
        &self,
        mut at: u64,
        end: u64,
        promises: &mut Promises,
    ) -> Result<(), Reason> {
        while at < end {
            let entries = self.entries(at, end - at).await?;
            for (index, bytes) in (at..end).zip(&entries) {
                add(index, bytes, promises);
            }
            at += entries.len() as u64;
        }
        Ok(())
    }

    /// Adds the promises at these places, which ascend.
    pub(super) async fn promises_at(
        &self,
        places: &[u64],
        promises: &mut Promises,
    ) -> Result<(), Reason> {
        let mut left = places;
        while let (Some(first), Some(last)) = (left.first(), left.last()) {
            let entries = self.entries(*first, last - first + 1).await?;
            let end = first + entries.len() as u64;
            let (here, later) = left.split_at(left.partition_point(|place| *place < end));
            for place in here {
                let at = usize::try_from(place - first).ok();
                if let Some(bytes) = at.and_then(|at| entries.get(at)) {
                    add(*place, bytes, promises);
                }
            }
            left = later;
        }
        Ok(())
    }

    /// The answer that made a promise; none when no session that is logged before it, under any of the
    /// server keys, signed it.
    pub(super) async fn answer(
        &self,
        promise: &Promise,
        server_keys: &[VerifyingKey],
    ) -> Result<Option<Answer>, Reason> {
        let entries = self.entries(promise.at, 1).await?;
        let Some(answer) = entries.first().and_then(answer) else {
            return Ok(None);
        };
        let mut end = promise.at;
        while end > 0 {
            let start = end.saturating_sub(CHUNK as u64);
            let entries = self.entries(start, end - start).await?;
            for bytes in entries.iter().rev() {
                let found = session(bytes, answer.key_id(), promise.made, server_keys);
                if let Some((session, server_key)) = found {
                    return Ok(Some(Answer {
                        bytes: answer.bytes().clone(),
                        session,
                        server_key,
                    }));
                }
            }
            end = start;
        }
        Ok(None)
    }
}

/// The certificate in a SESSION entry, when it is of this key, and the server key that certified it.
fn session(
    entry: &Bytes,
    key: KeyId,
    at: Timestamp,
    server_keys: &[VerifyingKey],
) -> Option<(Bytes, VerifyingKey)> {
    let Ok(Body::Session(session)) = Entry::decode(entry).map(|entry| entry.body) else {
        return None;
    };
    let leaf = session.chain.into_iter().next()?;
    let certifies = |server_key: &&VerifyingKey| {
        let verified = SessionCertificate::verify(&leaf, server_key, at);
        verified.is_ok_and(|session| session.key().key_id() == key)
    };
    let server_key = server_keys.iter().find(certifies)?.clone();
    Some((leaf, server_key))
}

fn add(at: u64, entry: &Bytes, promises: &mut Promises) {
    let Some(answer) = answer(entry) else {
        return;
    };
    let statement = answer.statement();
    if let Some(receipt) = statement.receipt() {
        let of = (statement.sender_server.clone(), receipt.origin.clone());
        promises.entry(of).or_default().push(Promise {
            at,
            made: statement.issued_at,
            receipt: receipt.clone(),
        });
    }
}

fn answer(entry: &Bytes) -> Option<SignedStatement> {
    let statement = match Entry::decode(entry).ok()?.body {
        Body::In(entry) => entry.statement,
        // An answer that was not used is a promise all the same.
        Body::Denied(Denied {
            call: DeniedCall::Statement(statement),
            ..
        }) => statement,
        _ => return None,
    };
    SignedStatement::parse(statement).ok()
}
