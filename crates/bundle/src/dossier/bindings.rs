//! Which of the registry's changes bind a key to its owner.

use entente_directory::{Change, Genesis, KeyRole, NewKey};
use entente_identity::{Jurisdiction, MemberId, ServerId};
use entente_ledger::note::NoteKey;
use entente_signing::VerifyingKey;

/// Whether a change says that this is a key of this server or of its ledgers.
pub(crate) fn binds(change: &Change, server: &ServerId, key: &VerifyingKey) -> bool {
    match change {
        Change::ServerRegister(said) => {
            said.server == *server && [&said.key, &said.ledger].contains(&key)
        }
        Change::ServerUpdate(said) => {
            let keys = [&said.key, &said.ledger];
            said.server == *server && keys.into_iter().flatten().any(|held| held == key)
        }
        Change::ShardOpen(said) => said.server == *server && said.key == *key,
        _ => false,
    }
}

/// Whether a change says that this is a key by which this member seals.
pub(crate) fn binds_member(change: &Change, member: &MemberId, key: &VerifyingKey) -> bool {
    let is_it = |new: &NewKey| new.role == KeyRole::Member && new.key == *key;
    match change {
        Change::MemberAdmit(said) => said.member == *member && said.keys.iter().any(is_it),
        Change::KeyAdd(said) => said.member == *member && is_it(&said.key),
        _ => false,
    }
}

/// The jurisdiction that a change recognises, when it is by the registry whose ledger has this key.
pub(crate) fn recognises<'a>(change: &'a Change, registry: &NoteKey) -> Option<&'a Jurisdiction> {
    let Change::Recognise(said) = change else {
        return None;
    };
    let is_it = said.anchor.ledger == *registry.key()
        && Genesis::origin_of(&said.jurisdiction) == registry.name();
    is_it.then_some(&said.jurisdiction)
}

/// Whose keys a change is about, when it is about a server's.
pub(super) fn server_of(change: &Change) -> Option<&ServerId> {
    match change {
        Change::ServerRegister(said) => Some(&said.server),
        Change::ServerUpdate(said) => Some(&said.server),
        Change::ShardOpen(said) => Some(&said.server),
        _ => None,
    }
}
