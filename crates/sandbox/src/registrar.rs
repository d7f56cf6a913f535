//! The acts of a registrar: reading applications, admitting members, and how a membership stands.

mod mandate;
mod quorum;
mod trust;

use std::sync::Arc;

use entente_central_registry::{Config, OPERATOR};
use entente_config::ConfigError;
use entente_directory::{
    Application, ApplicationError, Author, Change, MemberAct, MemberAdmit, Policy, PolicyField,
    Standing,
};
use entente_follow::author::{AuthorError, Pen};
use entente_follow::{Accepted, Anchor, HeldApplication};
use entente_identity::{Jurisdiction, MemberId};
use entente_keys::{KeyStore, KeyStoreError, KeyUse};
use entente_reason::{Lang, Reason};
use entente_signing::{Digest, Signer};

use crate::desk::{Desk, DeskError};
use crate::seams::Seams;

/// A registrar's desk.
#[derive(Debug)]
pub struct Registrar {
    key: Arc<dyn Signer>,
    desk: Desk,
}

/// Why an act did not happen. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrarError {
    /// The anchor file.
    #[error("reading the registry's anchor")]
    Anchor(#[source] Box<ConfigError>),
    /// The application is not one, whatever the registry says of it.
    #[error("reading the application")]
    Application(#[from] ApplicationError),
    /// The registry could not be followed or changed.
    #[error("working with the registry")]
    Desk(#[from] DeskError),
    /// What was read by telephone is not this application's fingerprint.
    #[error("the fingerprint is not this application's: nothing was approved")]
    FingerprintDiffers,
    /// The registrar's key.
    #[error("using the registrar's key")]
    Keys(#[from] KeyStoreError),
    /// An address in the other registry's anchor is of one machine only.
    #[error("the anchor names an address that only its own machine reaches")]
    LocalAddress,
    /// The membership has ended, and an ended one stays so.
    #[error("the membership of {member} has ended")]
    MemberEnded {
        /// Whose.
        member: MemberId,
    },
    /// Nobody of that name applies.
    #[error("no application of {member} is pending")]
    NoApplication {
        /// Who.
        member: MemberId,
    },
    /// The body never had a mandate.
    #[error("{body} has no mandate")]
    NoMandate {
        /// Which.
        body: MemberId,
    },
    /// The jurisdiction was never recognised, or is no more.
    #[error("{jurisdiction} is not recognised")]
    NotRecognised {
        /// Which.
        jurisdiction: Jurisdiction,
    },
    /// Another policy would ask for less.
    #[error("the policy asks for less than the one in force")]
    PolicyWeaker {
        /// Where.
        fields: Vec<PolicyField>,
        /// How many registrars that takes.
        quorum: u32,
    },
    /// The change could not be signed.
    #[error("signing the admission")]
    Sign(#[from] AuthorError),
    /// Nothing of this hash is on the table.
    #[error("no proposal {hash} is on the table")]
    UnknownProposal {
        /// Which.
        hash: Digest,
    },
    /// Nobody of that name was ever admitted.
    #[error("the registry holds no member {member}")]
    UnknownMember {
        /// Who.
        member: MemberId,
    },
}

// === impl Registrar ===

impl Registrar {
    /// Takes up the operator's key from the registry's key folder, and follows the registry.
    ///
    /// # Errors
    /// When anchor, key or copy cannot be used.
    pub async fn open(config: &Config, seams: &Seams, lang: Lang) -> Result<Self, RegistrarError> {
        let anchor = Anchor::load(config.anchor.as_path())
            .map_err(|error| RegistrarError::Anchor(Box::new(error)))?;
        let key = KeyStore::open(config.keys.as_path())?.load(KeyUse::Registrar, OPERATOR)?;
        let copy = config.keys.as_path().join("registrar-copy");
        let desk = Desk::open(anchor, &copy, seams, lang).await?;
        Ok(Self { key, desk })
    }

    /// The registry.
    pub const fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Every application held, with its own bytes.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn applications(&self) -> Result<Vec<HeldApplication>, RegistrarError> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|held: &HeldApplication| held.id);
            let page = self.desk.client().applications(after.as_ref()).await;
            let page = page.map_err(DeskError::from)?;
            if page.is_empty() || all.len() >= MOST {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// The newest application of a member.
    ///
    /// # Errors
    /// When there is none, or the registry does not answer.
    pub async fn application_of(
        &self,
        member: &MemberId,
    ) -> Result<HeldApplication, RegistrarError> {
        let held = self.applications().await?;
        let theirs = held.into_iter().filter(|held| {
            Application::parse(&held.bytes).is_ok_and(|application| application.member == *member)
        });
        theirs
            .max_by_key(|held| held.received_at)
            .ok_or_else(|| RegistrarError::NoApplication {
                member: member.clone(),
            })
    }

    /// Admits an applicant whose fingerprint was compared out of band.
    ///
    /// # Errors
    /// When the fingerprint is another's, or the registry refuses.
    pub async fn approve(
        &self,
        held: &HeldApplication,
        fingerprint: &str,
    ) -> Result<Accepted, RegistrarError> {
        let digits = |text: &str| -> String {
            let digits = text.chars().filter(|c| !c.is_whitespace());
            digits.collect::<String>().to_ascii_lowercase()
        };
        if digits(&Application::fingerprint(&held.bytes)) != digits(fingerprint) {
            return Err(RegistrarError::FingerprintDiffers);
        }
        let application = Application::parse(&held.bytes)?;
        let admit = Change::MemberAdmit(MemberAdmit {
            member: application.member,
            class: application.class,
            name: application.name,
            keys: application.keys,
            application: held.bytes.to_vec(),
        });
        let view = self.desk.refresh().await?;
        let now = self.desk.seams().clock.now();
        let mut pen = Pen::new(&view.state, Author::Registrar, &*self.key, now)?;
        let change = pen.sign(&admit)?.bytes().clone();
        let approved = self.desk.client().approve(&held.id, vec![change]).await;
        let accepted = approved.map_err(DeskError::from)?;
        self.desk.reach(accepted.size).await?;
        Ok(accepted)
    }

    /// Suspends, resumes or ends a membership. None when it stands so already.
    ///
    /// # Errors
    /// When there is no such member, it has ended, or the registry refuses.
    pub async fn stand(
        &self,
        member: &MemberId,
        standing: Standing,
        reason: Option<String>,
    ) -> Result<Option<Accepted>, RegistrarError> {
        let view = self.desk.refresh().await?;
        let member = member.clone();
        match view.state.standing(&member) {
            None => return Err(RegistrarError::UnknownMember { member }),
            Some(held) if held == standing => return Ok(None),
            Some(Standing::Ended) => return Err(RegistrarError::MemberEnded { member }),
            Some(Standing::Active | Standing::Suspended) => {}
        }
        let act = MemberAct { member, reason };
        let change = match standing {
            Standing::Active => Change::MemberResume(act),
            Standing::Suspended => Change::MemberSuspend(act),
            Standing::Ended => Change::MemberEnd(act),
        };
        self.submit(&change).await.map(Some)
    }

    /// Puts another policy in force, changed from the present one. None when it is that already. One that asks
    /// for less is only proposed, and only if it `may_propose`.
    ///
    /// # Errors
    /// When it asks for less than the present one and may not, or the registry refuses.
    pub async fn change_policy(
        &self,
        may_propose: bool,
        change: impl FnOnce(&mut Policy),
    ) -> Result<Option<Accepted>, RegistrarError> {
        let view = self.desk.refresh().await?;
        let held = view.state.policy().cloned().unwrap_or_else(Policy::usual);
        let mut next = held.clone();
        change(&mut next);
        if next == held {
            return Ok(None);
        }
        let fields = held.weaker_in(&next);
        if !fields.is_empty() && !may_propose {
            let quorum = view.state.registry().map_or(1, |registry| registry.quorum);
            return Err(RegistrarError::PolicyWeaker { fields, quorum });
        }
        self.submit(&Change::Policy(next)).await.map(Some)
    }

    /// Stops following.
    pub async fn close(self) {
        self.desk.close().await;
    }

    async fn submit(&self, change: &Change) -> Result<Accepted, RegistrarError> {
        let (author, key) = (Author::Registrar, &*self.key);
        Ok(self.desk.submit(author, key, change, Vec::new()).await?)
    }
}

// === impl RegistrarError ===

impl RegistrarError {
    /// What it amounts to.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Anchor(_) => Reason::InternalFault,
            Self::Application(_) => Reason::ApplicationUnknown,
            Self::Desk(error) => error.reason(),
            Self::FingerprintDiffers => Reason::ApplicationUnknown,
            Self::Keys(error) => error.reason(),
            Self::LocalAddress => Reason::ChangeMalformed,
            Self::MemberEnded { .. } => Reason::MemberSuspended,
            Self::NoApplication { .. } | Self::UnknownMember { .. } => Reason::UnknownMember,
            Self::NoMandate { .. } => Reason::NoMandate,
            Self::NotRecognised { .. } => Reason::JurisdictionNotRecognised,
            Self::PolicyWeaker { .. } => Reason::AuthorNotAllowed,
            Self::Sign(error) => error.reason(),
            Self::UnknownProposal { .. } => Reason::ChangeMalformed,
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

/// The most applications listed.
const MOST: usize = 10_000;
