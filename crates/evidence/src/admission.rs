//! Is a verified statement meant for this server, and is it fresh?
//!
//! Pure checks; whether it was seen before is the replay window's to say.

use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::{ServerId, SystemId};
use entente_reason::Reason;

use crate::proof::Verified;
use crate::statement::Statement;

/// How far a peer's clock may run ahead of ours.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// How old a statement may be when it arrives, clock differences included.
pub const FRESHNESS: Duration = Duration::from_secs(120);

/// Why a verified statement is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// Written after now, by more than [`CLOCK_SKEW`].
    #[error("statement is issued at {issued_at}, in the future")]
    Early {
        /// When it says it was written.
        issued_at: Timestamp,
    },
    /// For another server.
    #[error("statement is addressed to server {addressee}")]
    Server {
        /// The server it names.
        addressee: ServerId,
    },
    /// Older than [`FRESHNESS`].
    #[error("statement is issued at {issued_at}, too long ago")]
    Stale {
        /// When it says it was written.
        issued_at: Timestamp,
    },
    /// For a system this server does not speak for.
    #[error("statement is addressed to system {addressee}, which is not served here")]
    System {
        /// The system it names.
        addressee: SystemId,
    },
}

// === impl AdmissionError ===

impl AdmissionError {
    /// `MISADDRESSED` or `STATEMENT_STALE`.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Server { .. } | Self::System { .. } => Reason::Misaddressed,
            Self::Early { .. } | Self::Stale { .. } => Reason::StatementStale,
        }
    }
}

/// Checks that a statement names this server and a system it serves.
///
/// # Errors
/// When it names another.
pub fn check_addressee(
    verified: &Verified,
    me: &ServerId,
    serves: impl FnOnce(&SystemId) -> bool,
) -> Result<(), AdmissionError> {
    let statement = verified.statement();
    if statement.receiver_server != *me {
        return Err(AdmissionError::Server {
            addressee: statement.receiver_server.clone(),
        });
    }
    if !serves(&statement.receiver) {
        return Err(AdmissionError::System {
            addressee: statement.receiver.clone(),
        });
    }
    Ok(())
}

/// Checks that a statement was written at most [`FRESHNESS`] ago and at most [`CLOCK_SKEW`] ahead.
///
/// # Errors
/// When it was not.
pub fn check_fresh(statement: &Statement, now: Timestamp) -> Result<(), AdmissionError> {
    let issued_at = statement.issued_at;
    if issued_at.since(now) > CLOCK_SKEW {
        return Err(AdmissionError::Early { issued_at });
    }
    if now.since(issued_at) > FRESHNESS {
        return Err(AdmissionError::Stale { issued_at });
    }
    Ok(())
}
