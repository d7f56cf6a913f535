//! What the directory holds about each name.

use std::sync::Arc;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_contract::Outline;
use entente_identity::{Jurisdiction, MemberId, ServerId, ServiceName, SystemId};
use entente_signing::{Digest, KeyId, VerifyingKey};

use crate::Address;
use crate::change::{
    ForeignAnchor, HpkeKey, KeyRole, MemberClass, Mode, Name, Reading, RecognitionLimits,
    SignedChange,
};
use crate::set::Set;

mod agreement;

pub use agreement::{AgreementRecord, Keep, Terms};

/// A value that holds from one moment to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated<T> {
    /// The value.
    pub value: T,
    /// The entry time from which it holds.
    pub from: Timestamp,
    /// The entry time from which it no longer does.
    pub until: Option<Timestamp>,
}

/// The registry itself, from its genesis.
#[derive(Clone, Debug)]
pub struct RegistryRecord {
    /// The names it speaks for.
    pub jurisdiction: Jurisdiction,
    /// The origin of its ledger.
    pub origin: String,
    /// The key that signs its checkpoints now.
    pub ledger: VerifyingKey,
    /// The keys that signed them before, oldest first.
    pub former_ledgers: Vec<FormerLedgerKey>,
    /// The registrars' keys.
    pub registrars: Vec<VerifyingKey>,
    /// How many registrars a weakening takes, and what the policy names.
    pub quorum: u32,
    /// The key that only states the hash of the state; none when a registrar does.
    pub clerk: Option<VerifyingKey>,
    /// Hash of the genesis change; an anchor names it.
    pub genesis: Digest,
}

/// A key that signed a registry's checkpoints until another took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerLedgerKey {
    /// The key.
    pub key: VerifyingKey,
    /// How many entries the largest tree has that it signs.
    pub until: u64,
}

/// A change that takes several registrars and is not in effect yet.
#[derive(Clone, Debug)]
pub struct ProposalRecord {
    /// The change, as it was proposed.
    pub change: Arc<SignedChange>,
    /// When.
    pub proposed: Timestamp,
    /// SHA-256 of the SubjectPublicKeyInfo of each registrar that agreed, who proposed it first.
    pub agreed: Vec<Digest>,
    /// How long after their agreement it takes effect.
    pub notice: Duration,
    /// When it does; none while too few agreed.
    pub effective: Option<Timestamp>,
}

/// Another jurisdiction's registry, as this one recognises it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecognitionRecord {
    /// Whose names it speaks for.
    pub jurisdiction: Jurisdiction,
    /// What a follower of it starts from.
    pub anchor: ForeignAnchor,
    /// What of it counts here.
    pub limits: RecognitionLimits,
    /// How the recognition stands.
    pub standing: Standing,
    /// When it was given, in its present form.
    pub given: Timestamp,
}

/// A body of oversight's mandate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MandateRecord {
    /// Whose.
    pub body: MemberId,
    /// Over whom; empty is over every member of the registry.
    pub members: Set<MemberId>,
    /// What may be read.
    pub reads: Set<Reading>,
    /// From when on.
    pub from: Timestamp,
    /// Until when, as granted or as ended since.
    pub until: Timestamp,
    /// By what law.
    pub basis: Name,
    /// When it was granted, in its present form.
    pub granted: Timestamp,
    /// The hash of the change that granted it: what a query is made under.
    pub change: Digest,
    /// The code given when it was ended.
    pub reason: Option<Box<str>>,
}

/// Where an author's changes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorPosition {
    /// Sequence of the last change.
    pub sequence: u64,
    /// Hash of the last change.
    pub last: Digest,
    /// Entry time of the last change.
    pub at: Timestamp,
    /// How many changes there were in that UTC day, the last one included.
    pub today: u32,
}

/// How a membership, or a recognition, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// In good standing.
    Active,
    /// Suspended by the registrar.
    Suspended,
    /// Ended.
    Ended,
}

/// A member.
#[derive(Clone, Debug)]
pub struct MemberRecord {
    /// Its name.
    pub id: MemberId,
    /// What kind of institution.
    pub class: MemberClass,
    /// Its name in words.
    pub name: Name,
    /// Every key it ever had.
    pub keys: Vec<Dated<MemberKey>>,
    /// How its membership stands in the ledger.
    pub standing: Standing,
    /// When it was admitted.
    pub admitted: Timestamp,
    /// SHA-256 of its application.
    pub application: Digest,
}

/// A member's key and its one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberKey {
    /// Its use.
    pub role: KeyRole,
    /// The key.
    pub key: VerifyingKey,
}

/// A server.
#[derive(Clone, Debug)]
pub struct ServerRecord {
    /// Its name.
    pub id: ServerId,
    /// The systems it may sign for.
    pub systems: Set<SystemId>,
    /// Where peers reach it, best first.
    pub addresses: Vec<Address>,
    /// Its own keys, which certify sessions.
    pub keys: Vec<Dated<VerifyingKey>>,
    /// The keys it shows in TLS.
    pub tls: Vec<Dated<VerifyingKey>>,
    /// The keys seals are opened to.
    pub hpke: Vec<Dated<HpkeKey>>,
    /// The keys of its ledgers.
    pub ledger: Vec<Dated<VerifyingKey>>,
    /// Protocol versions it speaks.
    pub protocols: Set<u32>,
    /// Sessions issued before this are revoked.
    pub sessions_revoked_before: Option<Timestamp>,
    /// When it was registered.
    pub registered: Timestamp,
}

/// A shard of a server's access ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardRecord {
    /// Whose.
    pub server: ServerId,
    /// For which mode.
    pub mode: Mode,
    /// Its origin.
    pub origin: String,
    /// The key that signs its checkpoints.
    pub key: VerifyingKey,
    /// SHA-256 of the last cosigned checkpoint of the shard before.
    pub previous: Option<Digest>,
    /// When it was opened.
    pub opened: Timestamp,
    /// When the next one was.
    pub closed: Option<Timestamp>,
}

/// A service as one member offers it.
#[derive(Clone, Debug)]
pub struct ServiceRecord {
    /// Its name.
    pub service: ServiceName,
    /// Who offers it.
    pub member: MemberId,
    /// The systems that provide it.
    pub systems: Set<SystemId>,
    /// Every version published, newest last.
    pub versions: Vec<ServiceVersion>,
    /// From when on it is offered no longer; that may lie ahead.
    pub sunset: Option<Timestamp>,
}

/// One published version.
#[derive(Clone, Debug)]
pub struct ServiceVersion {
    /// Counts up from 1.
    pub version: u32,
    /// SHA-256 of its descriptor set.
    pub descriptor_set: Digest,
    /// The methods and elements of its contract. The contract itself is parsed from the descriptor set, a blob.
    pub outline: Arc<Outline>,
    /// When it was published.
    pub published: Timestamp,
}

// === impl Dated ===

impl<T> Dated<T> {
    pub(crate) const fn from(value: T, from: Timestamp) -> Self {
        Self {
            value,
            from,
            until: None,
        }
    }

    /// Whether it holds in the newest state.
    pub const fn is_current(&self) -> bool {
        self.until.is_none()
    }

    /// Whether it held at a moment.
    pub fn held_at(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

fn current<T>(items: &[Dated<T>]) -> impl DoubleEndedIterator<Item = &T> {
    items.iter().filter(|d| d.is_current()).map(|d| &d.value)
}

// === impl RegistryRecord ===

impl RegistryRecord {
    /// The key that signs the tree of so many entries, as far as the changes are known.
    pub fn ledger_at(&self, size: u64) -> &VerifyingKey {
        let mut former = self.former_ledgers.iter();
        let former = former.find(|former| size <= former.until);
        former.map_or(&self.ledger, |former| &former.key)
    }

    /// Whether this key signs the registry's checkpoints, or once did.
    pub fn knows_ledger(&self, key: &VerifyingKey) -> bool {
        let mut former = self.former_ledgers.iter();
        self.ledger == *key || former.any(|former| former.key == *key)
    }
}

// === impl MemberRecord ===

impl MemberRecord {
    /// The valid key with this id.
    pub fn key(&self, id: KeyId) -> Option<&MemberKey> {
        current(&self.keys).find(|key| key.key.key_id() == id)
    }

    /// The keys valid now for a use.
    pub fn keys_for(&self, role: KeyRole) -> impl Iterator<Item = &VerifyingKey> {
        current(&self.keys)
            .filter(move |key| key.role == role)
            .map(|key| &key.key)
    }
}

// === impl ServerRecord ===

impl ServerRecord {
    /// The member that runs it.
    pub fn member(&self) -> MemberId {
        self.id.member()
    }

    /// The key that certifies its sessions now.
    pub fn key(&self) -> Option<&VerifyingKey> {
        current(&self.keys).next_back()
    }

    /// The key that certified its sessions at a moment.
    pub fn key_at(&self, at: Timestamp) -> Option<&VerifyingKey> {
        let held = self.keys.iter().rev().find(|key| key.held_at(at));
        held.map(|key| &key.value)
    }

    /// The keys it may show in TLS now.
    pub fn tls_keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        current(&self.tls)
    }

    /// The keys seals may be opened to now, newest last.
    pub fn hpke_keys(&self) -> impl DoubleEndedIterator<Item = &HpkeKey> {
        current(&self.hpke)
    }

    /// The newest key to seal to.
    pub fn hpke_newest(&self) -> Option<&HpkeKey> {
        current(&self.hpke).next_back()
    }

    /// The key of ledgers it opens now.
    pub fn ledger_key(&self) -> Option<&VerifyingKey> {
        current(&self.ledger).next_back()
    }
}

// === impl ServiceRecord ===

impl ServiceRecord {
    /// Whether it is offered at a moment: published, and not retired by then.
    pub fn is_offered_at(&self, at: Timestamp) -> bool {
        self.sunset.is_none_or(|sunset| at < sunset) && !self.versions.is_empty()
    }

    /// The newest version.
    pub fn newest(&self) -> Option<&ServiceVersion> {
        self.versions.last()
    }

    /// The version with this descriptor set.
    pub fn version(&self, descriptor_set: &Digest) -> Option<&ServiceVersion> {
        self.versions
            .iter()
            .rev()
            .find(|version| version.descriptor_set == *descriptor_set)
    }
}
