//! Why a change is not applied.

use entente_agreement::AgreementError;
use entente_agreement::lifecycle::NoSuchTransition;
use entente_agreement::lint::Fault;
use entente_clock::Timestamp;
use entente_contract::{Breaking, ContractError};
use entente_identity::{Jurisdiction, MemberId, ServerId, ServiceName, SystemId};
use entente_reason::Reason;
use entente_signing::{Digest, SignatureInvalid};

use crate::change::{ApplicationError, Author, Kind};

/// Why a change is refused. Variants are alphabetical; none carries a value from a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The act does not continue the agreement's acts.
    #[error("agreement act {found} offered where act {expected} is next")]
    ActSequence {
        /// The next act's number.
        expected: u64,
        /// The number offered.
        found: u64,
    },
    /// The act does not follow from the agreement's state, or was done before.
    #[error("agreement act does not follow")]
    ActTransition(#[source] Option<NoSuchTransition>),
    /// The agreement has faults that auditors find.
    #[error("agreement has the fault {fault}")]
    AgreementFaulty {
        /// The first fault.
        fault: Fault,
    },
    /// The agreement's bytes are not an agreement.
    #[error("reading the agreement")]
    AgreementMalformed(#[source] AgreementError),
    /// The agreement names something the directory or the contract does not have.
    #[error("agreement does not fit the directory: {what}")]
    AgreementTerms {
        /// What does not fit.
        what: String,
    },
    /// The application embedded in an admission does not hold.
    #[error("checking the application")]
    Application(#[source] ApplicationError),
    /// The application is for something other than what the registrar admits.
    #[error("admission differs from the application")]
    ApplicationDiffers,
    /// The author's key may not make this kind of change, or not for this name.
    #[error("{author} may not author {} here", kind.as_str())]
    AuthorNotAllowed {
        /// Who signed.
        author: Author,
        /// What they tried.
        kind: Kind,
    },
    /// The bytes held under a hash are not those.
    #[error("blob {0} has other bytes")]
    BlobMismatch(Digest),
    /// The change rests on a blob that is not held yet.
    #[error("blob {0} is not held yet")]
    BlobMissing(Digest),
    /// The blob is above [`crate::MAX_BLOB`].
    #[error("blob {0} is too large")]
    BlobTooLarge(Digest),
    /// The author has put as much into the directory as one may.
    #[error("{author} has used up its {what}")]
    Budget {
        /// Who signed.
        author: Author,
        /// What there may be no more of.
        what: &'static str,
    },
    /// The new version breaks callers of the one before.
    #[error("contract breaks callers: {0}")]
    ContractBreaking(Breaking),
    /// The descriptor set is not a contract that can be enforced.
    #[error("checking the contract")]
    ContractInvalid(#[source] ContractError),
    /// The change was to be logged by an earlier moment.
    #[error("change was to be logged by {not_after}")]
    Expired {
        /// Its own last moment.
        not_after: Timestamp,
    },
    /// A key of another kind than its use asks for.
    #[error("key is of the wrong kind for its use")]
    KeyKind,
    /// The key was registered before, anywhere, for anything.
    #[error("key {0} was registered before")]
    KeyReused(Digest),
    /// No valid key of the author has this id.
    #[error("no valid key of {0} signed the change")]
    KeyUnknown(Author),
    /// More of something than the directory holds for one name.
    #[error("too many {0}")]
    Limit(&'static str),
    /// A mandate that could not be one.
    #[error("the mandate does not hold: {0}")]
    MandateTerms(&'static str),
    /// The author's membership is suspended or ended.
    #[error("membership of {0} is suspended or ended")]
    MemberSuspended(MemberId),
    /// The name belongs to another jurisdiction, or to another member.
    #[error("`{0}` is not this registry's or this member's to name")]
    NameNotOurs(String),
    /// The name is registered already.
    #[error("`{0}` is registered already")]
    NameTaken(String),
    /// The jurisdiction is not recognised, or not for this.
    #[error("`{jurisdiction}` is not recognised here for this: {what}")]
    NotRecognised {
        /// Which.
        jurisdiction: Jurisdiction,
        /// What the recognition does not extend to.
        what: String,
    },
    /// The author's sequence or previous hash does not continue the author's last change.
    #[error("change {found} of {author} offered where {expected} is next")]
    OutOfOrder {
        /// Who signed.
        author: Author,
        /// The next sequence.
        expected: u64,
        /// The sequence offered.
        found: u64,
    },
    /// It asks less of somebody than the policy in force does.
    #[error("it asks less than the policy in force")]
    PolicyWeaker,
    /// The registrar agreed to it before, or there are enough already.
    #[error("proposal {0} needs this registrar's agreement no more")]
    ProposalAgreed(Digest),
    /// Whoever registers a key does not hold it.
    #[error("proof of possession does not verify")]
    Proof,
    /// The state change is made under rules this version does not run.
    #[error("registry runs rules {0}")]
    RulesUnknown(u32),
    /// The shard does not continue the one before, or its origin is not this server's.
    #[error("shard `{0}` does not continue this server's shards")]
    ShardConflict(String),
    /// The signature does not verify.
    #[error("verifying a change's signature")]
    Signature(#[source] SignatureInvalid),
    /// The state the registry claims is not the state its changes add up to.
    #[error("registry claims another state than its changes add up to")]
    StateMismatch,
    /// The entry is older than the one before it.
    #[error("entry of {at} follows one of {last}")]
    TimeBackwards {
        /// The entry's time.
        at: Timestamp,
        /// The time of the entry before.
        last: Timestamp,
    },
    /// No such agreement.
    #[error("agreement {0} is not known")]
    UnknownAgreement(Digest),
    /// Nothing of this hash is on the table.
    #[error("proposal {0} is not on the table")]
    UnknownProposal(Digest),
    /// The body has no such mandate, or none any more.
    #[error("{0} has no mandate that is in force")]
    UnknownMandate(MemberId),
    /// No such member.
    #[error("member `{0}` is not known")]
    UnknownMember(MemberId),
    /// No such server.
    #[error("server `{0}` is not known")]
    UnknownServer(ServerId),
    /// The member offers no such service.
    #[error("service `{0}` is not offered")]
    UnknownService(ServiceName),
    /// No such system among the member's.
    #[error("system `{0}` is not known")]
    UnknownSystem(SystemId),
    /// Made for another registry, or before there is one.
    #[error("change is for another registry")]
    WrongRegistry,
}

// === impl Refusal ===

impl Refusal {
    /// What the author is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::ActSequence { .. } | Self::ActTransition(_) => Reason::AgreementActRefused,
            Self::AgreementFaulty { .. }
            | Self::AgreementMalformed(_)
            | Self::AgreementTerms { .. } => Reason::AgreementInvalid,
            Self::Application(error) => error.reason(),
            Self::ApplicationDiffers
            | Self::Limit(_)
            | Self::MandateTerms(_)
            | Self::ProposalAgreed(_)
            | Self::UnknownProposal(_) => Reason::ChangeMalformed,
            Self::AuthorNotAllowed { .. } | Self::PolicyWeaker => Reason::AuthorNotAllowed,
            Self::Proof | Self::Signature(_) => Reason::SignatureInvalid,
            Self::BlobMismatch(_) => Reason::BlobMismatch,
            Self::BlobMissing(_) => Reason::BlobMissing,
            Self::BlobTooLarge(_) => Reason::BlobTooLarge,
            Self::Budget { .. } => Reason::BudgetSpent,
            Self::ContractBreaking(_) => Reason::ContractBreaking,
            Self::ContractInvalid(_) => Reason::ContractInvalid,
            Self::Expired { .. } => Reason::ChangeExpired,
            Self::KeyKind => Reason::KeyWeak,
            Self::KeyReused(_) => Reason::KeyReused,
            Self::KeyUnknown(_) => Reason::KeyUnknown,
            Self::MemberSuspended(_) => Reason::MemberSuspended,
            Self::NameNotOurs(_) | Self::WrongRegistry => Reason::NameNotOurs,
            Self::NameTaken(_) => Reason::NameTaken,
            Self::NotRecognised { .. } => Reason::JurisdictionNotRecognised,
            Self::OutOfOrder { .. } => Reason::ChangeOutOfOrder,
            Self::RulesUnknown(_) | Self::StateMismatch => Reason::RegistrySplit,
            Self::ShardConflict(_) => Reason::ShardConflict,
            Self::TimeBackwards { .. } => Reason::ClockOff,
            Self::UnknownAgreement(_) => Reason::NoAgreement,
            Self::UnknownMandate(_) => Reason::NoMandate,
            Self::UnknownMember(_) => Reason::UnknownMember,
            Self::UnknownServer(_) => Reason::PeerUnknown,
            Self::UnknownService(_) => Reason::UnknownService,
            Self::UnknownSystem(_) => Reason::UnknownSystem,
        }
    }
}
