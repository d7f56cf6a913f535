//! Our own session keys: one for each mode, certified anew each day.
//!
//! A session certificate is in our ledger (SESSION) before the session signs anything: a stolen
//! session key leaves a trace. Those of peers are in `peer_sessions.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::statement::Mode as StatementMode;
use entente_identity::ServerId;
use entente_keys::{Mode, SessionCertificate, SessionOrder};
use entente_ledger::entry::{Body, Session};
use entente_reason::Reason;
use entente_signing::{Ed25519Key, Signer};

use crate::journal::Journal;
use crate::server::Server;

/// The key this server signs statements with, in memory only.
pub(crate) struct OwnSession {
    key: Ed25519Key,
    certificate: Bytes,
    not_after: Timestamp,
}

/// How long our own sessions last; renewed when a twelfth is left.
pub(crate) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

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

/// A statement's mode, as a certificate names it.
pub(crate) const fn certified_mode(mode: StatementMode) -> Mode {
    match mode {
        StatementMode::Live => Mode::Live,
        StatementMode::Test => Mode::Test,
    }
}
