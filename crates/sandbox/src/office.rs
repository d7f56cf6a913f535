//! The acts of a member: applying, registering servers, publishing, signing and ending agreements, keys.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use entente_agreement::{Agreement, AgreementError, AgreementId, Document};
use entente_clock::Timestamp;
use entente_config::{ConfigError, Pkcs11Uri};
use entente_contract::{Contract, ContractError};
use entente_directory::{Address, AgreementRecord, Author, Change, KeyRole, ServicePublish};
use entente_follow::author::next_act;
use entente_follow::{Accepted, Anchor, View};
use entente_identity::{MemberId, ServerId, ServiceName, SystemId};
use entente_keys::{HsmError, HsmKey, KeyStore, KeyStoreError, KeyUse};
use entente_ledger::disk::DiskError;
use entente_reason::{Lang, Reason};
use entente_security_server::enrol::{EnrolError, ServerKeys};
use entente_signing::{Digest, KeyId, SignError, Signer};

use crate::desk::{Desk, DeskError};
use crate::member_file::MemberFile;
use crate::seams::Seams;

mod apply;
mod certificates;
mod halt;
mod keys;
mod retire;
mod server;

pub use keys::{AddedKey, RevokedKey};
pub use server::{FolderKeys, Then, Wanted};

/// A member's desk: its keys, and the registry it writes to.
#[derive(Debug)]
pub struct Office {
    file: MemberFile,
    keys: KeyStore,
    desk: Desk,
}

/// What came of a signature.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The agreement.
    pub agreement: Agreement,
    /// Where the change was logged.
    pub accepted: Accepted,
    /// Whether this party proposed it; otherwise it accepted what another had proposed.
    pub proposed: bool,
    /// How many parties have signed now.
    pub signatures: usize,
    /// The parties who have yet to sign.
    pub missing: Vec<MemberId>,
}

/// Why an act did not happen. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfficeError {
    /// The anchor file.
    #[error("reading the registry's anchor")]
    Anchor(#[source] Box<ConfigError>),
    /// The agreement is not one.
    #[error("reading the agreement")]
    Agreement(#[from] AgreementError),
    /// The application could not be kept.
    #[error("keeping the application")]
    Application(#[source] DiskError),
    /// The contract is not fit to be published.
    #[error("reading the contract")]
    Contract(#[from] ContractError),
    /// The registry could not be followed or changed.
    #[error("working with the registry")]
    Desk(#[from] DeskError),
    /// The server's keys.
    #[error("preparing the server's keys")]
    Enrol(#[from] EnrolError),
    /// This member does not offer the service any more: only publishing it brings it back.
    #[error("{member} has ended {service} already")]
    Ended {
        /// Who.
        member: MemberId,
        /// Which.
        service: ServiceName,
    },
    /// Others suspended the agreement, and they alone can lift that.
    #[error("the agreement is suspended by others")]
    HeldByOthers {
        /// Who.
        members: Vec<MemberId>,
    },
    /// The member's key in its token.
    #[error("using the member's key in its token")]
    Hsm(#[from] HsmError),
    /// Neither the recovery key nor the key itself is at this desk.
    #[error("neither a recovery key in force nor the key itself is in {}", folder.display())]
    KeyAway {
        /// Where keys are looked for.
        folder: PathBuf,
    },
    /// The member's keys.
    #[error("using the member's keys")]
    Keys(#[from] KeyStoreError),
    /// Without this key the member has none of its role.
    #[error("key {key} is the last {role} key in force")]
    LastKey {
        /// Which.
        key: KeyId,
        /// What it is for.
        role: KeyRole,
    },
    /// The newest key of the server's folder is not registered: without the old ones it would have none.
    #[error("the newest key of {server} is not registered")]
    NewestKeyAway {
        /// Whose.
        server: ServerId,
    },
    /// This member never offered the service.
    #[error("{member} does not offer {service}")]
    NotOffered {
        /// Who.
        member: MemberId,
        /// Which.
        service: ServiceName,
    },
    /// Nothing is revoked ahead of time.
    #[error("{at} is still to come")]
    NotYet {
        /// The moment that was given.
        at: Timestamp,
    },
    /// This member has signed it already.
    #[error("{member} has signed it already")]
    SignedAlready {
        /// Who.
        member: MemberId,
    },
    /// A key could not sign.
    #[error("signing")]
    Sign(#[from] SignError),
    /// No agreement of this hash or name.
    #[error("the registry holds no such agreement")]
    UnknownAgreement,
    /// The member never had this key.
    #[error("{member} has no key {key}")]
    UnknownKey {
        /// Who.
        member: MemberId,
        /// Which, as it was given.
        key: String,
    },
    /// The registry has not admitted this member.
    #[error("the registry holds no member {member}")]
    UnknownMember {
        /// Who.
        member: MemberId,
    },
    /// No server of this name with a key in force.
    #[error("the registry holds no server {server}")]
    UnknownServer {
        /// Which.
        server: ServerId,
    },
}

// === impl Office ===

impl Office {
    /// Opens the member's keys, making what is missing of them, and follows the registry.
    ///
    /// # Errors
    /// When the anchor, the keys or the copy of the registry cannot be used.
    pub async fn open(file: MemberFile, seams: &Seams, lang: Lang) -> Result<Self, OfficeError> {
        let anchor = Anchor::load(file.anchor.as_path())
            .map_err(|error| OfficeError::Anchor(Box::new(error)))?;
        let keys = KeyStore::open(file.keys.as_path())?;
        let desk = Desk::open(anchor, file.copy.as_path(), seams, lang).await?;
        Ok(Self { file, keys, desk })
    }

    /// Who this is.
    pub const fn member(&self) -> &MemberId {
        &self.file.member
    }

    /// The registry.
    pub const fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Registers a security server of this member, whose keys are made when missing, and puts the
    /// certificates of its key beside it. A key that is to be in a token must be there.
    ///
    /// # Errors
    /// When its keys cannot be used, or the registry refuses.
    pub async fn register_server(
        &self,
        server: &ServerId,
        server_keys: &KeyStore,
        in_token: Option<&Pkcs11Uri>,
        systems: BTreeSet<SystemId>,
        addresses: Vec<Address>,
    ) -> Result<Accepted, OfficeError> {
        let keys = ServerKeys::find(server_keys, in_token)?;
        let registration = keys.registration(server, systems, addresses)?;
        let key = keys.server.verifying_key();
        ServerKeys::keep_chain(server_keys, key, &self.certify(server, key, false)?)?;
        // If we crash here, certificates are there for a server that is not registered: nothing is
        // trusted for them, and registering again writes them again.
        self.as_member(&Change::ServerRegister(registration), Vec::new())
            .await
    }

    /// Publishes a contract of this member's systems, as the next version of its service.
    ///
    /// # Errors
    /// When the contract is not fit, or the registry refuses.
    pub async fn publish(
        &self,
        service: &ServiceName,
        systems: BTreeSet<SystemId>,
        descriptor_set: Bytes,
    ) -> Result<(Digest, Accepted), OfficeError> {
        Contract::parse(&descriptor_set, service)?;
        let view = self.desk.refresh().await?;
        let newest = view
            .state
            .service(service, self.member())
            .and_then(|record| record.newest().map(|version| version.version));
        let hash = Digest::of(&descriptor_set);
        let change = Change::ServicePublish(ServicePublish {
            service: service.clone(),
            systems,
            descriptor_set: hash,
            version: newest.map_or(1, |version| version.saturating_add(1)),
        });
        let accepted = self.as_member(&change, vec![descriptor_set]).await?;
        Ok((hash, accepted))
    }

    /// Signs an agreement: proposes it, or accepts it when another party proposed it.
    ///
    /// # Errors
    /// When it was signed by this member already, or the registry refuses.
    pub async fn sign(&self, document: &Document) -> Result<Signed, OfficeError> {
        let agreement = Agreement::of(document)?;
        let view = self.desk.refresh().await?;
        let act = next_act(&view.state, agreement.id(), None);
        let (change, blobs, proposed) = match view.state.agreement(&agreement.id()) {
            None => {
                let blob = Bytes::from(agreement.document().canonical().into_bytes());
                (Change::AgreementPropose(act), vec![blob], true)
            }
            Some(record) if record.is_signed_by(self.member()) => {
                let member = self.member().clone();
                return Err(OfficeError::SignedAlready { member });
            }
            Some(_) => (Change::AgreementAccept(act), Vec::new(), false),
        };
        let accepted = self.as_officer(&change, blobs).await?;
        let federation = self.desk.federation().await;
        let record = federation
            .agreement(&agreement.id())
            .ok_or(OfficeError::UnknownAgreement)?;
        let parties = record.terms.parties.iter();
        let missing = parties.filter(|party| !federation.is_signed_by(&record.id(), party));
        Ok(Signed {
            accepted,
            proposed,
            signatures: record.accepted.len(),
            missing: missing.cloned().collect(),
            agreement,
        })
    }

    /// Revokes an agreement. The next call under it is refused on every connected server within 5 s.
    ///
    /// # Errors
    /// When there is none such, or the registry refuses.
    pub async fn revoke(
        &self,
        agreement: AgreementId,
        reason: Option<String>,
    ) -> Result<Accepted, OfficeError> {
        let view = self.desk.refresh().await?;
        let known = view.state.agreement(&agreement);
        known.ok_or(OfficeError::UnknownAgreement)?;
        let act = next_act(&view.state, agreement, reason);
        self.as_officer(&Change::AgreementRevoke(act), Vec::new())
            .await
    }

    /// The agreement with this hash or name; of several versions the newest.
    pub fn find<'a>(view: &'a View, named: &str) -> Option<&'a AgreementRecord> {
        if let Ok(hash) = named.parse::<Digest>() {
            return view.state.agreement(&hash);
        }
        let of_name = view
            .state
            .agreements()
            .filter(|record| record.terms.name.as_str() == named);
        of_name.max_by_key(|record| record.terms.version)
    }

    /// Stops following.
    pub async fn close(self) {
        self.desk.close().await;
    }

    async fn as_member(&self, change: &Change, blobs: Vec<Bytes>) -> Result<Accepted, OfficeError> {
        self.submit(KeyUse::Member, change, blobs).await
    }

    async fn as_officer(
        &self,
        change: &Change,
        blobs: Vec<Bytes>,
    ) -> Result<Accepted, OfficeError> {
        self.submit(KeyUse::Officer, change, blobs).await
    }

    async fn submit(
        &self,
        key_use: KeyUse,
        change: &Change,
        blobs: Vec<Bytes>,
    ) -> Result<Accepted, OfficeError> {
        // Which of the keys here is in force is the registry's word, as of now.
        self.desk.refresh().await?;
        let signer = self.signer(key_use)?;
        self.submit_with(&*signer, change, blobs).await
    }

    async fn submit_with(
        &self,
        signer: &dyn Signer,
        change: &Change,
        blobs: Vec<Bytes>,
    ) -> Result<Accepted, OfficeError> {
        let author = Author::Member(self.member().clone());
        Ok(self.desk.submit(author, signer, change, blobs).await?)
    }

    fn signer(&self, key_use: KeyUse) -> Result<Arc<dyn Signer>, OfficeError> {
        if let Some(signer) = self.in_token(key_use)? {
            return Ok(signer);
        }
        match self.in_force(key_use)? {
            Some(signer) => Ok(signer),
            // Not admitted yet, or revoked: then the registry says so.
            None => Ok(self.keys.load(key_use, LABEL)?),
        }
    }

    /// The key, when it is one that is kept in a token. Blocks while the token is asked.
    fn in_token(&self, key_use: KeyUse) -> Result<Option<Arc<dyn Signer>>, OfficeError> {
        match &self.file.member_key {
            Some(uri) if key_use == KeyUse::Member => Ok(Some(Arc::new(HsmKey::open(uri)?))),
            _ => Ok(None),
        }
    }
}

// === impl OfficeError ===

impl OfficeError {
    /// What it amounts to.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Anchor(_)
            | Self::Application(_)
            | Self::Hsm(_)
            | Self::Sign(_)
            | Self::Enrol(_) => Reason::InternalFault,
            Self::Agreement(_) => Reason::AgreementInvalid,
            Self::Contract(error) => error.reason(),
            Self::Desk(error) => error.reason(),
            Self::KeyAway { .. } | Self::LastKey { .. } | Self::UnknownKey { .. } => {
                Reason::KeyUnknown
            }
            Self::Keys(error) => error.reason(),
            Self::HeldByOthers { .. } | Self::SignedAlready { .. } => Reason::AgreementActRefused,
            Self::UnknownAgreement => Reason::NoAgreement,
            Self::NotYet { .. } => Reason::ChangeMalformed,
            Self::Ended { .. } | Self::NotOffered { .. } => Reason::UnknownService,
            Self::UnknownMember { .. } => Reason::UnknownMember,
            Self::NewestKeyAway { .. } | Self::UnknownServer { .. } => Reason::KeyUnknown,
        }
    }

    /// The registry's refusal, with what it said.
    pub fn refused(&self) -> Option<&entente_proto::status::Told> {
        match self {
            Self::Desk(error) => error.refused(),
            _ => None,
        }
    }
}

/// The label of a member's first keys.
const LABEL: &str = "1";
