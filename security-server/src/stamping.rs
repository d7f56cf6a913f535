//! Having an authority vouch for the ledger's newest checkpoint (DESIGN.md §7 Time).
//!
//! A token is over the checkpoint's three lines, which anybody can write down from the TIMESTAMP entry
//! (docs/decisions/007-what-is-time-stamped.md). Nothing of an exchange waits for one: it goes on
//! without, until entries have gone without for longer than the configuration allows.

mod post;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::{Clock, Timestamp};
use entente_config::DurationText;
use entente_directory::Policy;
use entente_ledger::SignedCheckpoint;
use entente_ledger::entry::{Body, TimeStamp};
use entente_reason::Reason;
use entente_signing::Digest;
use entente_timestamp::{Authorities, AuthoritiesError, Query, ReplyError};
use entente_tls::http::{HttpError, HttpUrl};
use entente_tls::net::Net;

use crate::config;
use crate::server::Server;
use post::post;

/// The authority, as configured.
#[derive(Debug)]
pub(crate) struct Stamping {
    url: HttpUrl,
    authorities: Authorities,
    every: Duration,
    required_within: Option<Duration>,
}

/// Why the authorities' roots could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// The file could not be read, or is too long.
    #[error("reading the authorities' roots")]
    Read(#[from] std::io::Error),
    /// It does not name authorities.
    #[error("reading the authorities' roots")]
    Roots(#[from] AuthoritiesError),
}

/// Why there is no token this time. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// Nobody is there, or it does not speak HTTP, or it says more than a token can be.
    #[error("asking the time-stamping authority over HTTP")]
    Http(#[from] HttpError),
    /// The ledger did not take the token.
    #[error("appending the token to the ledger: {0}")]
    Log(Reason),
    /// The authority's clock or ours is wrong, and neither of us can tell.
    #[error("the token states {stated}, and here it is {here}")]
    Off {
        /// By the token.
        stated: Timestamp,
        /// By our clock.
        here: Timestamp,
    },
    /// What it answered is no good token for this question.
    #[error("reading the authority's reply")]
    Reply(#[from] ReplyError),
    /// It took too long.
    #[error("waiting for the time-stamping authority")]
    Slow,
    /// It refused by HTTP.
    #[error("the time-stamping authority answers with HTTP status {0}")]
    Status(u16),
}

// === impl Stamping ===

impl Stamping {
    /// Reads the roots.
    pub(crate) fn load(config: &config::Timestamp) -> Result<Self, RootsError> {
        let path = config.roots.as_path();
        if std::fs::metadata(path)?.len() > MAX_ROOTS_FILE {
            return Err(AuthoritiesError::Count.into());
        }
        let authorities = Authorities::parse(&std::fs::read(path)?)?;
        Ok(Self {
            url: config.url.clone(),
            authorities: authorities.with_policy(config.policy.map(|policy| policy.0)),
            every: config.every.0,
            required_within: config.required_within.map(DurationText::get),
        })
    }
}

/// How far back a start looks for entries without a token; none when nobody asks for tokens.
pub(crate) fn reach(stamping: Option<&Stamping>, policy: Option<&Policy>) -> Option<Duration> {
    let demanded = policy.and_then(Policy::stamped_within);
    let configured = stamping.map(|stamping| stamping.required_within.unwrap_or(REACH));
    configured.into_iter().chain(demanded).max()
}

// === impl Server ===

impl Server {
    /// Refuses when entries have gone without a token for longer than the configuration or the policy in
    /// force allows.
    pub(crate) fn time_is_proven(&self, policy: Option<&Policy>) -> Result<(), Reason> {
        let configured = self.stamping.as_ref().and_then(|s| s.required_within);
        let demanded = policy.and_then(Policy::stamped_within);
        let within = configured.into_iter().chain(demanded).min();
        let is_over = |within| self.journal.unproven().age(self.clock.now()) > within;
        if within.is_some_and(is_over) {
            return Err(Reason::TimeUnproven);
        }
        Ok(())
    }

    /// Has the newest checkpoint stamped, again and again.
    pub(crate) async fn stamp(self: Arc<Self>) {
        let Some(stamping) = &self.stamping else {
            return;
        };
        let mut failures = 0;
        loop {
            let wait = match self.stamp_newest(stamping).await {
                Ok(()) => {
                    failures = 0;
                    stamping.every
                }
                Err(error) => {
                    self.metrics.time_stamp_failed(error.cause());
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(event = "timestamp.failed", error);
                    failures += 1;
                    backoff(failures).min(stamping.every)
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Asks once, when there is something to ask for.
    async fn stamp_newest(&self, stamping: &Stamping) -> Result<(), StampError> {
        let checkpoint = self.journal.ledger().checkpoint().borrow().clone();
        let Some(checkpoint) = checkpoint else {
            return Ok(());
        };
        if !self.journal.unproven().is_due(checkpoint.size()) {
            return Ok(());
        }
        let token = self.ask(stamping, &checkpoint).await?;
        let entry = Body::TimeStamp(TimeStamp {
            size: checkpoint.size(),
            root: checkpoint.root(),
            token,
        });
        // If we crash before this is durable, the next start asks again; the authority may stamp one
        // checkpoint as often as it likes.
        self.journal.append(entry).await.map_err(StampError::Log)?;
        self.journal.unproven().stamped(checkpoint.size());
        self.metrics.time_stamped();
        Ok(())
    }

    async fn ask(
        &self,
        stamping: &Stamping,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Bytes, StampError> {
        let text = checkpoint.checkpoint().to_string();
        let imprint = Digest::of(text.as_bytes());
        let (net, clock) = (&*self.net, &*self.clock);
        request_stamp(net, clock, &stamping.url, imprint, &stamping.authorities).await
    }
}

/// Has an authority stamp a SHA-256, once; answers with the token, verified in every respect.
///
/// # Errors
/// When there is no answer, or not a good one to this question.
pub async fn request_stamp(
    net: &dyn Net,
    clock: &dyn Clock,
    url: &HttpUrl,
    imprint: Digest,
    authorities: &Authorities,
) -> Result<Bytes, StampError> {
    let query = Query::new(imprint, authorities);
    let asked = clock.now();
    let reply = post(net, url, query.encode()).await?;
    let (token, stamp) = query.open(&reply, authorities)?;
    let (stated, here) = (stamp.at(), clock.now());
    if asked.since(stated) > OFF || stated.since(here) > OFF {
        return Err(StampError::Off { stated, here });
    }
    Ok(reply.slice_ref(token))
}

// === impl StampError ===

impl StampError {
    /// The metric's label.
    const fn cause(&self) -> &'static str {
        match self {
            Self::Http(HttpError::TooLong) | Self::Reply(_) => "reply",
            Self::Http(_) | Self::Status(_) => "unreachable",
            Self::Log(_) => "log",
            Self::Off { .. } => "clock",
            Self::Slow => "slow",
        }
    }
}

/// 1 s, then twice as long each time.
fn backoff(failures: u32) -> Duration {
    Duration::from_secs(1_u64.checked_shl(failures - 1).unwrap_or(u64::MAX))
}

/// How far the authority's clock may be from ours (DESIGN.md §16, clock skew).
const OFF: Duration = Duration::from_secs(60);
/// How far back a start looks for entries without a token when nothing depends on their age.
const REACH: Duration = Duration::from_secs(24 * 3_600);
/// 32 certificates.
const MAX_ROOTS_FILE: u64 = 256 * 1_024;
