//! Sessions of peers, verified once.
//!
//! A peer's session certificate is in our ledger (SESSION) before the session is accepted for the
//! first time: a stolen session key leaves a trace. What is remembered of a peer is bounded for that
//! peer alone: none can make us forget another's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::KeyRole;
use entente_evidence::proof::{RootCache, SignedStatement, Verified};
use entente_identity::ServerId;
use entente_keys::{Chain, SessionCertificate, VerifiedSession};
use entente_ledger::entry::{Body, Session};
use entente_reason::Reason;
use entente_signing::{KeyId, VerifyingKey};

use crate::server::Server;
use crate::session::certified_mode;
use crate::view::{Adopted, ServerView};

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
    /// What stood above its sessions when it last said so: an answer need not say it again.
    court_path: Option<Chain>,
}

/// A session of a peer that was verified and logged.
#[derive(Debug)]
pub(crate) struct PeerSession {
    certificate: VerifiedSession,
    /// Batch roots that it signed and that were verified: one verification serves a whole batch.
    roots: RootCache,
}

#[derive(Clone, Debug)]
struct Known {
    session: Arc<PeerSession>,
    /// The server's key that certified it: when the directory has another, it counts no more.
    certified_by: VerifyingKey,
}

/// Sessions remembered of one server; beyond that its oldest is forgotten. One a day is usual.
const MOST_OF_ONE: usize = 32;

/// New sessions of one server looked at in a minute: each costs us an entry.
const NEW_PER_MINUTE: u32 = 32;

const MINUTE: Duration = Duration::from_secs(60);

/// Batch roots remembered of one session. What was signed together arrives nearly together; a root
/// that is forgotten is verified again.
const ROOTS: usize = 64;

/// The longest chain read: a leaf, and what a court may want above it.
const MAX_CHAIN: usize = 4;

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
    ) -> Result<Arc<PeerSession>, Reason> {
        let server_key = server.key().ok_or(Reason::KeyUnknown)?;
        let key_id = statement.key_id();
        let usable = |session: Arc<PeerSession>| {
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
        let certificate =
            SessionCertificate::verify(leaf, server_key, now).map_err(|error| error.reason())?;
        let session = Arc::new(PeerSession::new(certificate));
        check(&session, adopted, server, now)?;
        if session.key_id() != key_id {
            return Err(Reason::SessionInvalid);
        }
        // No proof that the key is the server's own but this: nobody is remembered, and no entry
        // made, for a certificate alone.
        session.verify(statement)?;
        if !self.of(server.id(), |of| of.admits_new(now)) {
            return Err(Reason::Overloaded);
        }
        let above = court_path(&chain[1..], adopted, server.id(), server_key);
        let above = self.of(server.id(), |of| of.court_path(above, server_key));
        let mut logged = vec![leaf.clone()];
        if let Some(above) = &above {
            logged.extend(above.certificates().map(Bytes::copy_from_slice));
        }
        // If we crash before this is durable, the session was not accepted yet.
        let entry = Body::Session(Session {
            server: server.id().clone(),
            chain: logged,
        });
        here.journal.append(entry).await?;
        let known = Known {
            session: Arc::clone(&session),
            certified_by: server_key.clone(),
        };
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
    ) -> Option<Arc<PeerSession>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = &known.get(server)?.sessions;
        let found = sessions
            .iter()
            .rev()
            .find(|known| known.session.key_id() == key_id && known.certified_by == *server_key);
        found.map(|known| Arc::clone(&known.session))
    }

    /// Only asked for servers of the directory, which bounds how many there are.
    fn of<T>(&self, server: &ServerId, then: impl FnOnce(&mut OfServer) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        then(known.entry(server.clone()).or_default())
    }
}

// === impl PeerSession ===

impl PeerSession {
    fn new(certificate: VerifiedSession) -> Self {
        Self {
            certificate,
            roots: RootCache::new(ROOTS),
        }
    }

    fn key_id(&self) -> KeyId {
        self.certificate.key().key_id()
    }

    /// Verifies a statement that this session signed, in either form of proof. (G2)
    ///
    /// # Errors
    /// `SIGNATURE_INVALID`, or `SESSION_INVALID` when the session signs in another mode.
    pub(crate) fn verify(&self, statement: &SignedStatement) -> Result<Verified, Reason> {
        if self.certificate.mode() != certified_mode(statement.statement().mode) {
            return Err(Reason::SessionInvalid);
        }
        statement
            .verify_with(self.certificate.key(), &self.roots)
            .map_err(|error| error.reason())
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

    /// What was said now, else what was said before about the same key.
    fn court_path(&mut self, said: Option<Chain>, server_key: &VerifyingKey) -> Option<Chain> {
        if said.is_some() {
            self.court_path = said;
        }
        let known = self.court_path.as_ref();
        known
            .filter(|chain| chain.server_key() == server_key)
            .cloned()
    }

    fn remember(&mut self, known: Known, now: Timestamp) {
        self.sessions
            .retain(|known| known.session.certificate.check_time(now).is_ok());
        if self.sessions.len() >= MOST_OF_ONE {
            self.sessions.remove(0);
        }
        self.sessions.push(known);
    }
}

/// What a court may want above a peer's session: logged when it is true, and left out when it is
/// not. Nothing is trusted for it; but an entry is for ever, and holds nothing unverified.
fn court_path(
    above: &[Bytes],
    adopted: &Adopted,
    server: &ServerId,
    server_key: &VerifyingKey,
) -> Option<Chain> {
    let chain = Chain::parse(above).ok()?;
    let member = adopted.federation().member(&server.member())?;
    let is_members = member
        .keys
        .iter()
        .any(|key| key.value.role == KeyRole::Member && key.value.key == *chain.member().key());
    let is_true = is_members && chain.server() == server && chain.server_key() == server_key;
    is_true.then_some(chain)
}

fn check(
    session: &PeerSession,
    adopted: &Adopted,
    server: &ServerView<'_>,
    now: Timestamp,
) -> Result<(), Reason> {
    let certificate = &session.certificate;
    if certificate.server() != server.id() {
        return Err(Reason::SessionInvalid);
    }
    certificate
        .check_time(now)
        .map_err(|error| error.reason())?;
    if adopted.session_revoked(certificate.server(), certificate.issued_at()) {
        return Err(Reason::SessionRevoked);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use entente_keys::{Mode, SessionOrder};
    use entente_signing::{Ed25519Key, P256Key, Signer as _};

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
            session: Arc::new(PeerSession::new(session)),
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
