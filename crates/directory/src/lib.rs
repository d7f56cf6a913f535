//! The directory: a registry's signed changes, and the verified state they add up to.
//!
//! [`SignedChange`] is one change as it is signed, submitted and stored; [`apply()`] is the only rule
//! of who may author what. The registry runs it to accept a change, every server runs it again to
//! believe one, so a [`State`] is a function of the ledger's entries and of nothing else. A state is
//! cheap to clone (persistent maps), so that readers keep a snapshot while the next one is made.
//!
//! This crate reads no clock, socket or file: entry times come from the ledger, blobs through
//! [`Blobs`].

mod address;
mod apply;
mod blobs;
mod change;
mod codec;
mod deny;
mod entry;
mod federation;
mod reading;
mod record;
mod refusal;
mod set;
mod state;

pub use address::{Address, InvalidAddress};
pub use apply::{
    MAX_CHANGES_A_DAY, MAX_CHANGES_BETWEEN_STATES, MAX_SERVERS, MAX_SERVICES, MAX_VERSIONS,
    RULES_VERSION, apply,
};
pub use blobs::{Blobs, MAX_BLOB, MemoryBlobs};
pub use change::{
    AgreementAct, Application, ApplicationError, Author, Change, ChangeHeader, ForeignAnchor,
    Genesis, HpkeKey, InvalidName, KeyAdd, KeyRevoke, KeyRole, Kind, LedgerKey, MAX_CHANGE,
    MalformedChange, MandateEnd, MandateGrant, MemberAct, MemberAdmit, MemberClass, Mode, Name,
    NewKey, Policy, PolicyField, ProposalAct, Reading, Recognise, RecognitionAct,
    RecognitionLimits, Registrars, ServerRegister, ServerUpdate, ServicePublish, ServiceRetire,
    SessionRevoke, ShardOpen, SignChangeError, SignedChange, StateClaim, Suite, Sunset,
};
pub use entry::{MalformedEntry, RegistryEntry};
pub use federation::{Absent, Federation};
pub use reading::{MalformedQuery, ReadQuery, SignedQuery};
pub use record::{
    AgreementRecord, AuthorPosition, Dated, FormerLedgerKey, Keep, MandateRecord, MemberKey,
    MemberRecord, ProposalRecord, RecognitionRecord, RegistryRecord, ServerRecord, ServiceRecord,
    ServiceVersion, ShardRecord, Standing, Terms,
};
pub use refusal::Refusal;
pub use set::Set;
pub use state::State;
