//! Session keys: our own, certified anew each day, and those of peers, verified once.
//!
//! A session certificate is in our ledger (SESSION) before the session signs anything here, and
//! before a peer's session is accepted for the first time: a stolen session key leaves a trace.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::statement::Mode as StatementMode;
use entente_identity::ServerId;
use entente_keys::{Mode, SessionCertificate, SessionOrder, VerifiedSession};
use entente_ledger::entry::{Body, Session};
use entente_reason::Reason;
use entente_signing::{Ed25519Key, KeyId, Signer};

use crate::journal::Journal;
use crate::server::Server;
use crate::view::{Adopted, ServerView};

/// The key this server signs statements with, in memory only.
pub(crate) struct OwnSession {
    key: Ed25519Key,
    certificate: Bytes,
    not_after: Timestamp,
}

/// Peers' sessions that were verified and logged.
#[derive(Debug, Default)]
pub(crate) struct PeerSessions {
    known: Mutex<HashMap<KeyId, Arc<VerifiedSession>>>,
}

/// How long our own sessions last; renewed when a twelfth is left.
pub(crate) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Peers' sessions remembered; beyond that the expired are dropped, then all.
const MOST: usize = 16_384;

/// The longest chain read: a leaf, and what a court may want above it.
const MAX_CHAIN: usize = 4;

// === impl OwnSession ===

impl OwnSession {
    /// Makes a key, has it certified by the server's key, and logs the certificate.
    pub(crate) async fn begin(
        server: &ServerId,
        server_key: &dyn Signer,
        journal: &Journal,
        now: Timestamp,
    ) -> Result<Self, Reason> {
        let key = Ed25519Key::generate().map_err(|_| Reason::InternalFault)?;
        let not_after = now.saturating_add(LIFETIME - Duration::from_secs(60));
        let order = SessionOrder {
            server,
            mode: Mode::Live,
            key: key.verifying_key(),
            not_before: now,
            not_after,
        };
        let certificate: Bytes = SessionCertificate::issue(server_key, &order)
            .map_err(|error| error.reason())?
            .into();
        // If we crash here, a session was certified that never signs: harmless, and its key is gone.
        let entry = Body::Session(Session {
            server: server.clone(),
            chain: vec![certificate.clone()],
        });
        journal.append(entry).await?;
        Ok(Self {
            key,
            certificate,
            not_after,
        })
    }

    /// The key.
    pub(crate) fn signer(&self) -> &dyn Signer {
        &self.key
    }

    /// What peers need to verify what it signs.
    pub(crate) fn chain(&self) -> Vec<Bytes> {
        vec![self.certificate.clone()]
    }

    /// Whether it is time for a new one.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.not_after.since(now) < LIFETIME / 12
    }
}

impl fmt::Debug for OwnSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSession")
            .field("key", &self.key)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

// === impl PeerSessions ===

impl PeerSessions {
    /// The session that signs with `key_id`, if it is `server`'s, valid now and not revoked.
    ///
    /// A session seen for the first time is verified from `chain` and logged before it is accepted.
    pub(crate) async fn accept(
        &self,
        here: &Server,
        adopted: &Adopted,
        server: &ServerView<'_>,
        key_id: KeyId,
        chain: &[Bytes],
    ) -> Result<Arc<VerifiedSession>, Reason> {
        let now = here.clock.now();
        if let Some(session) = self.known(&key_id) {
            return check(&session, adopted, server, now).map(|()| session);
        }
        let leaf = chain.first().ok_or(Reason::SessionUnknown)?;
        if chain.len() > MAX_CHAIN {
            return Err(Reason::SessionInvalid);
        }
        let server_key = server.key().ok_or(Reason::KeyUnknown)?;
        let session =
            SessionCertificate::verify(leaf, server_key, now).map_err(|error| error.reason())?;
        check(&session, adopted, server, now)?;
        if session.key().key_id() != key_id {
            return Err(Reason::SessionInvalid);
        }
        // If we crash before this is durable, the session was not accepted yet.
        let entry = Body::Session(Session {
            server: session.server().clone(),
            chain: vec![leaf.clone()],
        });
        here.journal.append(entry).await?;
        Ok(self.remember(session, now))
    }

    fn known(&self, key_id: &KeyId) -> Option<Arc<VerifiedSession>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key_id).cloned()
    }

    fn remember(&self, session: VerifiedSession, now: Timestamp) -> Arc<VerifiedSession> {
        let session = Arc::new(session);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, session| session.check_time(now).is_ok());
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(session.key().key_id(), Arc::clone(&session));
        session
    }
}

fn check(
    session: &VerifiedSession,
    adopted: &Adopted,
    server: &ServerView<'_>,
    now: Timestamp,
) -> Result<(), Reason> {
    if session.server() != server.id() {
        return Err(Reason::SessionInvalid);
    }
    session.check_time(now).map_err(|error| error.reason())?;
    if adopted.session_revoked(session.server(), session.issued_at()) {
        return Err(Reason::SessionRevoked);
    }
    Ok(())
}

/// Whether a session may sign statements of this mode.
pub(crate) fn signs_in(session: &VerifiedSession, mode: StatementMode) -> bool {
    match mode {
        StatementMode::Live => session.mode() == Mode::Live,
        StatementMode::Test => session.mode() == Mode::Test,
    }
}
