//! Changes: what they say, and how they are signed.

mod application;
mod body;
mod ledger_key;
mod mandate;
mod name;
mod policy;
mod quorum;
mod recognition;
mod server;
mod service;
mod signed;

pub use application::{Application, ApplicationError};
pub use body::{
    AgreementAct, Change, Genesis, KeyAdd, KeyRevoke, Kind, MemberAct, MemberAdmit, NewKey,
    StateClaim,
};
pub use ledger_key::LedgerKey;
pub use mandate::{MandateEnd, MandateGrant, Reading};
pub use name::{Author, InvalidName, KeyRole, MemberClass, Mode, Name};
pub use policy::{Policy, PolicyField};
pub use quorum::{ProposalAct, Registrars};
pub use recognition::{ForeignAnchor, Recognise, RecognitionAct, RecognitionLimits};
pub use server::{HpkeKey, ServerRegister, ServerUpdate, SessionRevoke, ShardOpen, Suite};
pub use service::{ServicePublish, ServiceRetire, Sunset};
pub use signed::{ChangeHeader, MAX_CHANGE, MalformedChange, SignChangeError, SignedChange};
