//! Session keys: our own, one for each mode and certified anew each day, and those of peers, verified
//! once.
//!
//! A session certificate is in our ledger (SESSION) before the session signs anything here, and
//! before a peer's session is accepted for the first time: a stolen session key leaves a trace.
//! What is remembered of a peer is bounded for that peer alone: none can make us forget another's.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::Mode as StatementMode;
use entente_identity::ServerId;
use entente_keys::{Mode, SessionCertificate, SessionOrder, VerifiedSession};
use entente_ledger::entry::{Body, Session};
use entente_reason::Reason;
use entente_signing::{Ed25519Key, KeyId, Signer, VerifyingKey};

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
    known: Mutex<HashMap<ServerId, OfServer>>,
}

/// The sessions of one server. By server first: a key is anybody's to name in a certificate, and a
/// server that certified another's key must not be able to stand in its way.
#[derive(Debug, Default)]
struct OfServer {
    /// Oldest first.
    sessions: Vec<Known>,
    /// Held while a session is looked at for the first time: calls that bring the same one wait, and
    /// it is logged once.
    first: Arc<tokio::sync::Mutex<()>>,
    /// Since when new sessions are counted, and how many there were.
    counting: (Timestamp, u32),
}

#[derive(Clone, Debug)]
struct Known {
    session: Arc<VerifiedSession>,
    /// The server's key that certified it: when the directory has another, it counts no more.
    certified_by: VerifyingKey,
}

/// How long our own sessions last; renewed when a twelfth is left.
pub(crate) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Sessions remembered of one server; beyond that its oldest is forgotten. One a day is usual.
const MOST_OF_ONE: usize = 32;

/// New sessions of one server looked at in a minute: each costs us an entry.
const NEW_PER_MINUTE: u32 = 32;

const MINUTE: Duration = Duration::from_secs(60);

/// The longest chain read: a leaf, and what a court may want above it.
const MAX_CHAIN: usize = 4;

// === impl OwnSession ===

impl OwnSession {
    /// Makes a key, has it certified by the server's key, and logs the certificate.
    pub(crate) async fn begin(
        server: &ServerId,
        server_key: &dyn Signer,
        journal: &Journal,
        mode: StatementMode,
        now: Timestamp,
    ) -> Result<Self, Reason> {
        let key = Ed25519Key::generate().map_err(|_| Reason::InternalFault)?;
        let not_after = now.saturating_add(LIFETIME - Duration::from_secs(60));
        let order = SessionOrder {
            server,
            mode: certified_mode(mode),
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

// === impl Server ===

impl Server {
    /// The session that signs statements of this mode: a live key never signs test. The one for test
    /// is begun when it is first needed.
    pub(crate) async fn session(&self, mode: StatementMode) -> Result<Arc<OwnSession>, Reason> {
        if mode == StatementMode::Live {
            return Ok(self.session.load_full());
        }
        let mut held = self.test_session.lock().await;
        let now = self.clock.now();
        if let Some(session) = held.as_ref().filter(|session| !session.is_due(now)) {
            return Ok(Arc::clone(session));
        }
        let begun = OwnSession::begin(&self.id, &*self.server_key, &self.journal, mode, now);
        let session = Arc::new(begun.await?);
        *held = Some(Arc::clone(&session));
        Ok(session)
    }
}

// === impl PeerSessions ===

impl PeerSessions {
    /// The session that signed `statement`, if it is `server`'s, valid now and not revoked.
    ///
    /// A session seen for the first time is verified from `chain`, must have signed the statement,
    /// and is logged before it is accepted.
    pub(crate) async fn accept(
        &self,
        here: &Server,
        adopted: &Adopted,
        server: &ServerView<'_>,
        statement: &SignedStatement,
        chain: &[Bytes],
    ) -> Result<Arc<VerifiedSession>, Reason> {
        let server_key = server.key().ok_or(Reason::KeyUnknown)?;
        let key_id = statement.key_id();
        let usable = |session: Arc<VerifiedSession>| {
            check(&session, adopted, server, here.clock.now()).map(|()| session)
        };
        if let Some(session) = self.known(server.id(), server_key, key_id) {
            return usable(session);
        }
        let leaf = chain.first().ok_or(Reason::SessionUnknown)?;
        if chain.len() > MAX_CHAIN {
            return Err(Reason::SessionInvalid);
        }
        let first = self.of(server.id(), |of| Arc::clone(&of.first));
        let _first = first.lock().await;
        if let Some(session) = self.known(server.id(), server_key, key_id) {
            return usable(session);
        }
        let now = here.clock.now();
        let session =
            SessionCertificate::verify(leaf, server_key, now).map_err(|error| error.reason())?;
        check(&session, adopted, server, now)?;
        if session.key().key_id() != key_id {
            return Err(Reason::SessionInvalid);
        }
        // No proof that the key is the server's own but this: nobody is remembered, and no entry
        // made, for a certificate alone.
        statement
            .verify(session.key())
            .map_err(|error| error.reason())?;
        if !self.of(server.id(), |of| of.admits_new(now)) {
            return Err(Reason::Overloaded);
        }
        // If we crash before this is durable, the session was not accepted yet.
        let entry = Body::Session(Session {
            server: session.server().clone(),
            chain: vec![leaf.clone()],
        });
        here.journal.append(entry).await?;
        let known = Known {
            session: Arc::new(session),
            certified_by: server_key.clone(),
        };
        let session = Arc::clone(&known.session);
        self.of(server.id(), |of| {
            of.count_new();
            of.remember(known, now);
        });
        Ok(session)
    }

    fn known(
        &self,
        server: &ServerId,
        server_key: &VerifyingKey,
        key_id: KeyId,
    ) -> Option<Arc<VerifiedSession>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = &known.get(server)?.sessions;
        let found = sessions.iter().rev().find(|known| {
            known.session.key().key_id() == key_id && known.certified_by == *server_key
        });
        found.map(|known| Arc::clone(&known.session))
    }

    /// Only asked for servers of the directory, which bounds how many there are.
    fn of<T>(&self, server: &ServerId, then: impl FnOnce(&mut OfServer) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        then(known.entry(server.clone()).or_default())
    }
}

// === impl OfServer ===

impl OfServer {
    fn admits_new(&mut self, now: Timestamp) -> bool {
        let (since, count) = &mut self.counting;
        // A clock that was set back begins anew too.
        if now.since(*since) >= MINUTE || now < *since {
            (*since, *count) = (now, 0);
        }
        *count < NEW_PER_MINUTE
    }

    /// A new one was logged. Only then it counts, or a peer that keeps trying while our ledger cannot be
    /// written would be shut out when it can.
    const fn count_new(&mut self) {
        self.counting.1 += 1;
    }

    fn remember(&mut self, known: Known, now: Timestamp) {
        self.sessions
            .retain(|known| known.session.check_time(now).is_ok());
        if self.sessions.len() >= MOST_OF_ONE {
            self.sessions.remove(0);
        }
        self.sessions.push(known);
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
    session.mode() == certified_mode(mode)
}

const fn certified_mode(mode: StatementMode) -> Mode {
    match mode {
        StatementMode::Live => Mode::Live,
        StatementMode::Test => Mode::Test,
    }
}

#[cfg(test)]
mod tests {
    use entente_signing::P256Key;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// What `server` may get certified by its own key: any key at all, its own or not.
    fn certified(server: &str, by: &P256Key, key: &Ed25519Key) -> Known {
        let server: ServerId = server.parse().unwrap();
        let order = SessionOrder {
            server: &server,
            mode: Mode::Live,
            key: key.verifying_key(),
            not_before: NOW,
            not_after: NOW.saturating_add(Duration::from_secs(3600)),
        };
        let leaf = SessionCertificate::issue(by, &order).unwrap();
        let session = SessionCertificate::verify(&leaf, by.verifying_key(), NOW).unwrap();
        Known {
            session: Arc::new(session),
            certified_by: by.verifying_key().clone(),
        }
    }

    fn find(sessions: &PeerSessions, server: &str, by: &P256Key, key: &Ed25519Key) -> bool {
        let key_id = key.verifying_key().key_id();
        let server = server.parse().unwrap();
        sessions
            .known(&server, by.verifying_key(), key_id)
            .is_some()
    }

    #[test]
    fn a_server_that_certifies_the_key_of_another_does_not_stand_in_its_way() {
        let sessions = PeerSessions::default();
        let (honest, hostile) = (P256Key::generate().unwrap(), P256Key::generate().unwrap());
        let key = Ed25519Key::generate().unwrap();
        for (server, by) in [("ca/b/@ss1", &hostile), ("ca/a/@ss1", &honest)] {
            assert!(!find(&sessions, server, by, &key));
            let known = certified(server, by, &key);
            sessions.of(&server.parse().unwrap(), |of| of.remember(known, NOW));
            assert!(find(&sessions, server, by, &key));
        }
        assert!(!find(&sessions, "ca/a/@ss1", &hostile, &key));
    }

    #[test]
    fn a_session_counts_no_more_once_the_key_that_certified_it_is_replaced() {
        let sessions = PeerSessions::default();
        let (old, new) = (P256Key::generate().unwrap(), P256Key::generate().unwrap());
        let key = Ed25519Key::generate().unwrap();
        let server: ServerId = "ca/a/@ss1".parse().unwrap();
        let known = certified(server.as_str(), &old, &key);
        sessions.of(&server, |of| of.remember(known, NOW));
        assert!(find(&sessions, server.as_str(), &old, &key));
        assert!(!find(&sessions, server.as_str(), &new, &key));
    }

    #[test]
    fn a_server_with_ever_new_sessions_is_held_back_and_forgets_only_its_own() {
        let sessions = PeerSessions::default();
        let by = P256Key::generate().unwrap();
        let first = Ed25519Key::generate().unwrap();
        let remember = |server: &str, key: &Ed25519Key| {
            let known = certified(server, &by, key);
            sessions.of(&server.parse().unwrap(), |of| of.remember(known, NOW));
        };
        remember("ca/a/@ss1", &first);
        remember("ca/b/@ss1", &first);
        for _ in 0..MOST_OF_ONE {
            remember("ca/b/@ss1", &Ed25519Key::generate().unwrap());
        }
        assert!(find(&sessions, "ca/a/@ss1", &by, &first));
        assert!(!find(&sessions, "ca/b/@ss1", &by, &first));
        let server: ServerId = "ca/b/@ss1".parse().unwrap();
        let admitted = |at| {
            sessions.of(&server, |of| {
                let admitted = of.admits_new(at);
                if admitted {
                    of.count_new();
                }
                admitted
            })
        };
        // Looked at, but never logged.
        for _ in 0..100 {
            assert!(sessions.of(&server, |of| of.admits_new(NOW)));
        }
        let count = (0..100).filter(|_| admitted(NOW)).count();
        assert_eq!(count, NEW_PER_MINUTE as usize);
        assert!(admitted(NOW.saturating_add(MINUTE)));
        assert!(admitted(NOW));
    }
}
