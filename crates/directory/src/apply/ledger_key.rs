//! Another key signs the registry's checkpoints. See `docs/decisions/014`.
//!
//! From the entry on that completes the quorum: a tree of that size, and of every larger one, is signed by
//! the new key, and a smaller one by the key before. No days of notice: the key asks nothing of anybody and
//! permits nothing, and without one nothing permissive is believed at all.

use entente_signing::{Algorithm, Digest};

use super::{claim_key, expect_kind};
use crate::change::{Change, LedgerKey};
use crate::record::{FormerLedgerKey, RegistryRecord};
use crate::refusal::Refusal;
use crate::state::Core;

/// It could sign the next checkpoint: of the right kind, never used for anything, and held by whoever made
/// the change for this ledger and in the place of its present key.
pub(super) fn check(core: &Core, body: &LedgerKey) -> Result<(), Refusal> {
    let registry = core.registry.as_deref().ok_or(Refusal::WrongRegistry)?;
    expect_kind(&body.key, Algorithm::Ed25519)?;
    let spki = body.key.spki_digest();
    if core.keys.contains_key(&spki) {
        return Err(Refusal::KeyReused(spki));
    }
    if registry.former_ledgers.len() >= MAX_FORMER {
        return Err(Refusal::Limit("ledger keys"));
    }
    let message = LedgerKey::proof_message(registry, &body.key);
    let proven = body.key.verify(&message, &body.proof);
    proven.map(drop).map_err(|_| Refusal::Proof)
}

/// It signs from here on. What else was on the table to take the same key's place is off it.
pub(super) fn replace(core: &mut Core, body: &LedgerKey) -> Result<(), Refusal> {
    check(core, body)?;
    let registry = core.registry.as_deref().ok_or(Refusal::WrongRegistry)?;
    let mut next = RegistryRecord {
        ledger: body.key.clone(),
        ..registry.clone()
    };
    next.former_ledgers.push(FormerLedgerKey {
        key: registry.ledger.clone(),
        // The entry that is being applied is the first of the new key's.
        until: core.size,
    });
    claim_key(core, body.key.spki_digest())?;
    let tabled = core.proposals.iter();
    let rivals = tabled.filter(|(_, held)| matches!(held.change.change(), Change::LedgerKey(_)));
    let rivals: Vec<Digest> = rivals.map(|(hash, _)| *hash).collect();
    for rival in rivals {
        core.drop_proposal(&rival);
    }
    core.put_ledger_key(next);
    Ok(())
}

/// The keys a registry leaves behind; a state holds them all.
const MAX_FORMER: usize = 256;
