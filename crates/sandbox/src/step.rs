//! What building a federation shows of itself.

use std::time::Duration;

use entente_identity::{Jurisdiction, MemberId, ServerId, ServiceName, SystemId};
use entente_signing::Digest;
use serde::{Deserialize, Serialize};

/// Something that has just happened. Each is made where it happened, from what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// The registry's keys, first change and anchor were made, and it answers.
    RegistryStarted {
        /// Whose names it speaks for.
        jurisdiction: String,
        /// Where it answers.
        address: String,
        /// The hash of its first change, as its anchor names it.
        genesis: String,
    },
    /// A member's application was taken in.
    MemberApplied {
        /// Who applied.
        member: MemberId,
        /// What applicant and registrar compare by telephone.
        fingerprint: String,
    },
    /// The registrar compared the fingerprint and admitted the member.
    MemberAdmitted {
        /// Who.
        member: MemberId,
        /// The entry of the registry's ledger that says so.
        index: u64,
    },
    /// A member's security server is in the registry.
    ServerRegistered {
        /// Which.
        server: ServerId,
        /// Where peers reach it.
        address: String,
        /// The entry of the registry's ledger that says so.
        index: u64,
    },
    /// A member's contract is in the registry.
    ServicePublished {
        /// What.
        service: ServiceName,
        /// By whom.
        member: MemberId,
        /// SHA-256 of its descriptor set.
        descriptor_set: String,
        /// The entry of the registry's ledger that says so.
        index: u64,
    },
    /// The legacy database was made, and the adapter in front of it answers.
    AdapterStarted {
        /// For which system.
        system: SystemId,
        /// People in the database.
        people: u64,
        /// Deaths registered in it.
        deaths: u64,
    },
    /// A party signed an agreement.
    AgreementSigned {
        /// What people call it, with its version.
        name: String,
        /// Its hash.
        hash: String,
        /// Who signed.
        by: MemberId,
        /// How many parties have signed now.
        signatures: u64,
        /// Whether it is in force now.
        active: bool,
    },
    /// A party revoked an agreement.
    AgreementRevoked {
        /// What people call it, with its version.
        name: String,
        /// Who revoked it.
        by: MemberId,
        /// The entry of the registry's ledger that says so.
        index: u64,
    },
    /// A registrar heard the fingerprint of another registry, found it to be the anchor's, and
    /// recognised that registry.
    RegistryRecognised {
        /// Whose registrar.
        by: Jurisdiction,
        /// Whose registry is recognised.
        jurisdiction: Jurisdiction,
        /// What the two registrars compared by telephone.
        fingerprint: String,
        /// The entry of the registrar's own ledger that says so.
        index: u64,
    },
    /// A registrar resumed a recognition.
    RecognitionResumed {
        /// Whose registrar.
        by: Jurisdiction,
        /// Whose registry counts again.
        jurisdiction: Jurisdiction,
        /// The entry of the registrar's own ledger that says so.
        index: u64,
    },
    /// A registrar suspended a recognition.
    RecognitionSuspended {
        /// Whose registrar.
        by: Jurisdiction,
        /// Whose registry counts no longer.
        jurisdiction: Jurisdiction,
        /// The entry of the registrar's own ledger that says so.
        index: u64,
    },
    /// A security server answers its callers and its peers.
    ServerStarted {
        /// Which.
        server: ServerId,
        /// Where peers reach it.
        peer: String,
        /// Where its metrics and health are.
        admin: String,
        /// Where its member's systems call it.
        callers: Vec<String>,
    },
    /// Everything answers.
    Ready {
        /// Since the beginning, in milliseconds.
        millis: u64,
    },
}

// === impl Step ===

impl Step {
    pub(crate) fn signed(
        document: &entente_agreement::Document,
        hash: &Digest,
        by: &MemberId,
        signatures: usize,
        active: bool,
    ) -> Self {
        Self::AgreementSigned {
            name: named(document),
            hash: hash.to_string(),
            by: by.clone(),
            signatures: signatures as u64,
            active,
        }
    }

    pub(crate) fn ready(after: Duration) -> Self {
        Self::Ready {
            millis: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// `DEMO-001 version 2`, in both languages.
pub(crate) fn named(document: &entente_agreement::Document) -> String {
    format!("{} v{}", document.id.as_str(), document.version)
}
