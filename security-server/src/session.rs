//! Our own session keys: one for each mode, certified anew each day.
//!
//! A session certificate is in our ledger (SESSION) before the session signs anything: a stolen
//! session key leaves a trace. The next session is begun two hours before the end of the one in use;
//! calls under way finish under the one they began with. Sessions of peers are in
//! `peer_sessions.rs`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use entente_clock::{Clock, Timestamp};
use entente_evidence::statement::Mode as StatementMode;
use entente_identity::ServerId;
use entente_keys::{Chain, Mode, SessionCertificate, SessionIssueError, SessionOrder};
use entente_ledger::entry::{Body, Session};
use entente_reason::Reason;
use entente_signing::{Ed25519Key, Signer};
use tokio::sync::Mutex;

use crate::journal::Journal;

/// The sessions this server signs with, and what certifies them.
pub(crate) struct OwnSessions {
    certifier: Certifier,
    journal: Journal,
    clock: Arc<dyn Clock>,
    live: Slot,
    test: Slot,
    begun: AtomicU64,
}

/// The key this server signs statements with, in memory only.
pub(crate) struct OwnSession {
    key: Ed25519Key,
    /// Its certificate, and what a court may want above it.
    chain: Vec<Bytes>,
    issued_at: Timestamp,
    not_after: Timestamp,
    /// Whether anything was signed with it: a session nobody uses is not renewed.
    used: AtomicBool,
}

/// What makes session certificates.
#[derive(Clone)]
struct Certifier {
    server: ServerId,
    key: Arc<dyn Signer>,
    chain: Option<Chain>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
enum NotCertified {
    #[error("certifying a session")]
    Issue(#[source] SessionIssueError),
    #[error("the process is stopping")]
    Stopped,
}

/// The session of one mode.
#[derive(Default)]
struct Slot {
    held: ArcSwapOption<OwnSession>,
    /// Held while the next one is begun: it is begun once.
    beginning: Mutex<()>,
}

/// How long our own sessions last.
pub(crate) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long before its end a session is followed by the next. The token that holds the server's key
/// may be away for as long without any call noticing.
const OVERLAP: Duration = Duration::from_secs(2 * 60 * 60);

/// A session signs nothing in its last minutes: what it signs must be accepted when it arrives, by a
/// clock that is ahead of ours.
const SPARE: Duration = Duration::from_secs(5 * 60);

// === impl OwnSessions ===

impl OwnSessions {
    /// Begins the session for live statements; the one for test is begun when it is first needed.
    pub(crate) async fn begin(
        server: ServerId,
        key: Arc<dyn Signer>,
        chain: Option<Chain>,
        journal: Journal,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Reason> {
        let sessions = Self {
            certifier: Certifier { server, key, chain },
            journal,
            clock,
            live: Slot::default(),
            test: Slot::default(),
            begun: AtomicU64::new(0),
        };
        sessions.current(StatementMode::Live).await?;
        Ok(sessions)
    }

    /// The session that signs statements of this mode now: a live key never signs test.
    ///
    /// Waits for nothing while there is one. There is none at first, and when the machine slept past
    /// its end: then it is begun here.
    pub(crate) async fn current(&self, mode: StatementMode) -> Result<Arc<OwnSession>, Reason> {
        let slot = self.slot(mode);
        if let Some(session) = self.usable(slot) {
            return Ok(session);
        }
        let _beginning = slot.beginning.lock().await;
        match self.usable(slot) {
            Some(session) => Ok(session),
            None => self.follow(slot, mode).await,
        }
    }

    /// Begins the next session of each mode where it is time, or where the one there is was revoked:
    /// the directory says up to when issued ones are. Whether all went well.
    pub(crate) async fn renew(&self, is_revoked: impl Fn(Timestamp) -> bool) -> bool {
        let mut well = true;
        for mode in [StatementMode::Live, StatementMode::Test] {
            let slot = self.slot(mode);
            let _beginning = slot.beginning.lock().await;
            let now = self.clock.now();
            let due = slot.held.load().as_ref().is_some_and(|session| {
                let needed = mode == StatementMode::Live || session.used.load(Ordering::Relaxed);
                // A revocation that reaches into the future would take the next one too.
                let revoked = is_revoked(session.issued_at) && !is_revoked(certified_at(now));
                needed && (session.ends_within(OVERLAP, now) || revoked)
            });
            if !due {
                continue;
            }
            // Not begun: the old one is still good for a while, and we come back.
            match self.follow(slot, mode).await {
                Ok(session) => tracing::info!(
                    event = "session.renewed",
                    mode = %certified_mode(mode),
                    not_after = %session.not_after
                ),
                Err(_) => well = false,
            }
        }
        well
    }

    /// How many were begun since the start.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether live statements can be signed.
    pub(crate) fn is_usable(&self) -> bool {
        self.usable(&self.live).is_some()
    }

    fn usable(&self, slot: &Slot) -> Option<Arc<OwnSession>> {
        let now = self.clock.now();
        let held = slot.held.load();
        let session = held.as_ref().filter(|held| !held.ends_within(SPARE, now))?;
        session.used.store(true, Ordering::Relaxed);
        Some(Arc::clone(session))
    }

    /// Puts the next session in the place of the one there is.
    async fn follow(&self, slot: &Slot, mode: StatementMode) -> Result<Arc<OwnSession>, Reason> {
        let begun = self.certifier.begin(mode, self.clock.now()).await;
        let session = Arc::new(begun?);
        // If we crash here, a session was certified that never signs: harmless, and its key is gone.
        let entry = Body::Session(Session {
            server: self.certifier.server.clone(),
            chain: session.chain.clone(),
        });
        if let Err(reason) = self.journal.append(entry).await {
            tracing::warn!(event = "session.not_logged", reason = reason.code());
            return Err(reason);
        }
        slot.held.store(Some(Arc::clone(&session)));
        self.begun.fetch_add(1, Ordering::Relaxed);
        Ok(session)
    }

    const fn slot(&self, mode: StatementMode) -> &Slot {
        match mode {
            StatementMode::Live => &self.live,
            StatementMode::Test => &self.test,
        }
    }
}

impl fmt::Debug for OwnSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSessions")
            .field("live", &self.live.held)
            .field("test", &self.test.held)
            .finish_non_exhaustive()
    }
}

// === impl Certifier ===

impl Certifier {
    /// Makes a key and has it certified by the server's key.
    async fn begin(&self, mode: StatementMode, now: Timestamp) -> Result<OwnSession, Reason> {
        let key = Ed25519Key::generate().map_err(|_| Reason::InternalFault)?;
        let not_after = now.saturating_add(LIFETIME - Duration::from_secs(60));
        let certified = self.certify(&key, mode, now, not_after).await;
        let certificate = certified.map_err(|error| {
            tracing::warn!(event = "session.not_certified", cause = causes(&error));
            match error {
                NotCertified::Issue(error) => error.reason(),
                NotCertified::Stopped => Reason::ShuttingDown,
            }
        })?;
        let mut chain = vec![Bytes::from(certificate)];
        match &self.chain {
            Some(above) if above.validity().contains(now) => {
                chain.extend(above.certificates().map(Bytes::copy_from_slice));
            }
            // Trust rests on the directory: exchanges go on without.
            Some(_) => tracing::warn!(
                event = "session.chain_expired",
                remedy = "have the member certify this server again: entente member certificate"
            ),
            None => {}
        }
        Ok(OwnSession {
            key,
            chain,
            issued_at: certified_at(now),
            not_after,
            used: AtomicBool::new(false),
        })
    }

    async fn certify(
        &self,
        key: &Ed25519Key,
        mode: StatementMode,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<Vec<u8>, NotCertified> {
        let (certifier, key) = (self.clone(), key.verifying_key().clone());
        let issue = move || {
            let order = SessionOrder {
                server: &certifier.server,
                mode: certified_mode(mode),
                key: &key,
                not_before,
                not_after,
            };
            SessionCertificate::issue(&*certifier.key, &order)
        };
        if !self.key.waits() {
            return issue().map_err(NotCertified::Issue);
        }
        // A token may take seconds, and answers no call faster for it.
        let issued = tokio::task::spawn_blocking(issue).await;
        issued
            .map_err(|_| NotCertified::Stopped)?
            .map_err(NotCertified::Issue)
    }
}

// === impl OwnSession ===

impl OwnSession {
    /// The key.
    pub(crate) fn signer(&self) -> &dyn Signer {
        &self.key
    }

    /// What peers need to verify what it signs, and what a court may want above it.
    pub(crate) fn chain(&self) -> Vec<Bytes> {
        self.chain.clone()
    }

    fn ends_within(&self, within: Duration, now: Timestamp) -> bool {
        self.not_after <= now.saturating_add(within)
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

/// A statement's mode, as a certificate names it.
pub(crate) const fn certified_mode(mode: StatementMode) -> Mode {
    match mode {
        StatementMode::Live => Mode::Live,
        StatementMode::Test => Mode::Test,
    }
}

/// A moment as a certificate says it: in whole seconds.
fn certified_at(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() / 1000 * 1000)
}

/// What an error rests on, down to what the system or the token said.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
