//! The verified state: everything the changes so far add up to, and the questions asked of it.
//!
//! Maps are persistent and ordered: a clone is a pointer, and [`State::state_hash`] is the same on
//! every machine. Denials seen ahead of the ledger lie over the state and are never hashed.

mod hash;
mod query;

use std::collections::BTreeSet;
use std::sync::Arc;

use entente_agreement::Agreement;
use entente_clock::Timestamp;
use entente_contract::Outline;
use entente_identity::{Jurisdiction, MemberId, ServerId, ServiceName, SystemId};
use entente_signing::Digest;
use rpds::RedBlackTreeMapSync;

use crate::change::{Author, Mode, Policy, SignedChange};
use crate::record::{
    AgreementRecord, AuthorPosition, Keep, MandateRecord, MemberRecord, ProposalRecord,
    RecognitionRecord, RegistryRecord, ServerRecord, ServiceRecord, ShardRecord,
};

/// The directory of one jurisdiction at one size of its ledger.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) core: Core,
    /// Valid denying changes not applied yet, by change hash.
    pub(crate) denials: Map<Digest, Arc<SignedChange>>,
}

/// What the ledger's entries add up to. Nothing here comes from anywhere else.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(crate) size: u64,
    /// See [`State::state_hash`].
    pub(crate) hash: Digest,
    /// What the change being applied wrote so far.
    pub(crate) written: Vec<u8>,
    pub(crate) last_at: Timestamp,
    pub(crate) registry: Option<Arc<RegistryRecord>>,
    pub(crate) policy: Option<Arc<Policy>>,
    pub(crate) authors: Map<Author, AuthorPosition>,
    /// SHA-256 of every public key ever registered.
    pub(crate) keys: Map<Digest, ()>,
    pub(crate) members: Map<MemberId, Arc<MemberRecord>>,
    pub(crate) servers: Map<ServerId, Arc<ServerRecord>>,
    pub(crate) systems: Map<SystemId, Arc<BTreeSet<ServerId>>>,
    /// By SHA-256 of the SPKI of each TLS key that may be shown now.
    pub(crate) tls: Map<Digest, ServerId>,
    pub(crate) shards: Map<(ServerId, Mode), Arc<Vec<ShardRecord>>>,
    pub(crate) origins: Map<String, (ServerId, Mode)>,
    pub(crate) services: Map<(ServiceName, MemberId), Arc<ServiceRecord>>,
    pub(crate) offers: Map<ServiceName, Arc<BTreeSet<MemberId>>>,
    /// Announced and not settled yet, the next one first.
    pub(crate) sunsets: Map<(Timestamp, ServiceName, MemberId), ()>,
    pub(crate) contracts: Map<(Digest, ServiceName), Arc<Outline>>,
    pub(crate) agreements: Map<Digest, Arc<AgreementRecord>>,
    /// Agreements that would take the place of another once all parties of all jurisdictions signed: the old
    /// one, the new one.
    pub(crate) successors: Map<(Digest, Digest), ()>,
    /// What takes several registrars, by the hash of the change.
    pub(crate) proposals: Map<Digest, Arc<ProposalRecord>>,
    pub(crate) recognitions: Map<Jurisdiction, Arc<RecognitionRecord>>,
    /// By the body that has them.
    pub(crate) mandates: Map<MemberId, Arc<MandateRecord>>,
    /// How much each member has of what it may not have too much of.
    pub(crate) holdings: Map<MemberId, Holdings>,
    /// Agreements that every party signed, by consumer and provider system.
    pub(crate) pairs: Map<(SystemId, SystemId, Digest), ()>,
    pub(crate) keep: Keep,
    /// Whole agreements, as `keep` says. No rule reads them.
    pub(crate) documents: Map<Digest, Arc<Agreement>>,
}

/// What a member has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Holdings {
    /// Servers ever registered.
    pub(crate) servers: usize,
    /// Services offered now.
    pub(crate) services: usize,
}

pub(crate) type Map<K, V> = RedBlackTreeMapSync<K, V>;

// === impl State ===

impl State {
    /// Before genesis; keeps no documents.
    pub fn empty() -> Self {
        Self::keeping(Keep::None)
    }

    /// Before genesis; keeps these documents of what will be proposed.
    pub fn keeping(keep: Keep) -> Self {
        Self {
            core: Core {
                size: 0,
                hash: Digest::from_bytes([0; 32]),
                written: Vec::new(),
                last_at: Timestamp::default(),
                registry: None,
                policy: None,
                authors: Map::new_sync(),
                keys: Map::new_sync(),
                members: Map::new_sync(),
                servers: Map::new_sync(),
                systems: Map::new_sync(),
                tls: Map::new_sync(),
                shards: Map::new_sync(),
                origins: Map::new_sync(),
                services: Map::new_sync(),
                offers: Map::new_sync(),
                sunsets: Map::new_sync(),
                contracts: Map::new_sync(),
                agreements: Map::new_sync(),
                successors: Map::new_sync(),
                proposals: Map::new_sync(),
                recognitions: Map::new_sync(),
                mandates: Map::new_sync(),
                holdings: Map::new_sync(),
                pairs: Map::new_sync(),
                keep,
                documents: Map::new_sync(),
            },
            denials: Map::new_sync(),
        }
    }
}

// === impl Core ===

impl Core {
    pub(crate) fn holdings(&self, member: &MemberId) -> Holdings {
        self.holdings.get(member).copied().unwrap_or_default()
    }

    pub(crate) fn hold(&mut self, member: MemberId, change: impl FnOnce(&mut Holdings)) {
        let mut holdings = self.holdings(&member);
        change(&mut holdings);
        self.holdings
            .insert_mut(known(&self.members, &member), holdings);
    }

    /// The author, named by the text that its record is named by.
    pub(crate) fn known_author(&self, author: Author) -> Author {
        match author {
            Author::Registrar => Author::Registrar,
            Author::Member(member) => Author::Member(known(&self.members, &member)),
            Author::Server(server) => Author::Server(known(&self.servers, &server)),
        }
    }
}

/// A name as a map holds it already, so that one text is in memory once; as it is when it is not there.
pub(crate) fn known<K: Ord + Clone, V>(map: &Map<K, V>, name: &K) -> K {
    let held = map.get_key_value(name);
    held.map_or(name, |(held, _)| held).clone()
}

impl Default for State {
    fn default() -> Self {
        Self::empty()
    }
}
