//! The only rule of who may author what.
//!
//! Every check a change must pass is here or in the modules below, in one order: the registry and
//! its dates, the author's sequence, the signature, the author's right and budget, then the body. Nothing here
//! depends on anything but the state, the change, its entry time and the blobs it names.

mod agreement;
mod budget;
mod ledger_key;
mod mandate;
mod member;
mod quorum;
mod recognition;
mod server;
mod service;

pub(crate) use agreement::check_denial;
pub use budget::{MAX_CHANGES_A_DAY, MAX_SERVERS, MAX_SERVICES, MAX_VERSIONS};
pub(crate) use mandate::mandate;
pub(crate) use member::check_revocation;
pub(crate) use recognition::recognition;
pub(crate) use server::require_owner as check_owner;

use entente_clock::Timestamp;
use entente_signing::{Algorithm, Digest, VerifyingKey};

use quorum::Effect;

use crate::blobs::{Blobs, MAX_BLOB};
use crate::change::{Author, Change, Genesis, KeyRole, Kind, SignedChange, StateClaim};
use crate::record::{RegistryRecord, Standing};
use crate::refusal::Refusal;
use crate::state::{Core, State};

/// Applies one change, logged by the registry at `at`.
///
/// # Errors
/// When the change may not be made; the state is unchanged.
pub fn apply(
    state: &State,
    change: &SignedChange,
    at: Timestamp,
    blobs: &dyn Blobs,
) -> Result<State, Refusal> {
    let mut core = state.core.clone();
    check_place(&core, change, at)?;
    service::settle(&mut core, at);
    take_effect(&mut core, state, at, blobs);
    check_order(&core, change)?;
    let role = check_author(&core, change)?;
    check_right(change, role)?;
    let position = budget::next_position(&core, change, role, at)?;
    match quorum::effect(&core, change) {
        Effect::AtOnce => apply_body(&mut core, state, change, role, at, blobs)?,
        Effect::ByQuorum(notice) => {
            if quorum::propose(&mut core, change, notice, at)?.is_some() {
                apply_body(&mut core, state, change, role, at, blobs)?;
            }
        }
    }
    core.end_change(change.header().author.clone(), position, at);
    // A denial that was seen early is now part of the state, or was lifted by it.
    let denials = state.denials.remove(&change.hash());
    Ok(State { core, denials })
}

/// What was agreed to and had notice takes effect once its day has come. One that does not fit any more is
/// dropped: it would be refused now, and nobody is there to be told.
fn take_effect(core: &mut Core, state: &State, at: Timestamp, blobs: &dyn Blobs) {
    for due in quorum::due(core, at) {
        // One that took effect before it may have cleared the table.
        if !core.drop_proposal(&due.hash()) {
            continue;
        }
        let mut next = core.clone();
        if apply_body(&mut next, state, &due, None, at, blobs).is_ok() {
            *core = next;
        }
    }
}

/// The right registry, in time, after everything before it.
fn check_place(core: &Core, change: &SignedChange, at: Timestamp) -> Result<(), Refusal> {
    let header = change.header();
    let origin = match (&core.registry, change.change()) {
        (None, Change::Genesis(genesis)) => &genesis.origin,
        (Some(registry), body) if body.kind() != Kind::Genesis => &registry.origin,
        _ => return Err(Refusal::WrongRegistry),
    };
    if header.registry != *origin {
        return Err(Refusal::WrongRegistry);
    }
    if at < core.last_at {
        let last = core.last_at;
        return Err(Refusal::TimeBackwards { at, last });
    }
    if header.not_after < at {
        let not_after = header.not_after;
        return Err(Refusal::Expired { not_after });
    }
    Ok(())
}

/// The author's next change, after the author's last.
fn check_order(core: &Core, change: &SignedChange) -> Result<(), Refusal> {
    let header = change.header();
    let position = core.authors.get(&header.author);
    let expected = position.map_or(1, |p| p.sequence.saturating_add(1));
    let previous = position.map(|p| p.last);
    if header.sequence == expected && header.previous == previous {
        return Ok(());
    }
    Err(Refusal::OutOfOrder {
        author: header.author.clone(),
        expected,
        found: header.sequence,
    })
}

/// A valid key of the author made the signature. Tells what the key is for, if it is a member's.
pub(crate) fn check_author(core: &Core, change: &SignedChange) -> Result<Option<KeyRole>, Refusal> {
    let author = &change.header().author;
    let unknown = || Refusal::KeyUnknown(author.clone());
    let named = |key: &&VerifyingKey| key.key_id() == change.key_id();
    let verified = |key: &VerifyingKey| change.verify(key).map_err(Refusal::Signature);
    match (author, &core.registry) {
        (Author::Registrar, None) => {
            let Change::Genesis(genesis) = change.change() else {
                return Err(Refusal::WrongRegistry);
            };
            verified(genesis.registrars.iter().find(named).ok_or_else(unknown)?)?;
            Ok(None)
        }
        (Author::Registrar, Some(registry)) => {
            let clerk = registry.clerk.as_ref().filter(named);
            if clerk.is_some() && change.kind() != Kind::State {
                return Err(not_allowed(change));
            }
            let registrar = registry.registrars.iter().find(named);
            verified(registrar.or(clerk).ok_or_else(unknown)?)?;
            Ok(None)
        }
        (Author::Member(member), _) => {
            let record = core.members.get(member);
            let record = record.ok_or_else(|| Refusal::UnknownMember(member.clone()))?;
            let key = record.key(change.key_id()).ok_or_else(unknown)?;
            verified(&key.key)?;
            check_standing(core, record.standing, change)?;
            Ok(Some(key.role))
        }
        (Author::Server(server), _) => {
            let record = core.servers.get(server);
            let record = record.ok_or_else(|| Refusal::UnknownServer(server.clone()))?;
            verified(record.key().filter(named).ok_or_else(unknown)?)?;
            let member = core.members.get(&server.member());
            let standing = member.map_or(Standing::Ended, |m| m.standing);
            check_standing(core, standing, change)?;
            Ok(None)
        }
    }
}

/// A suspended member may only take away; a former member may do nothing.
fn check_standing(core: &Core, standing: Standing, change: &SignedChange) -> Result<(), Refusal> {
    let may = match standing {
        Standing::Active => true,
        Standing::Suspended => takes_away(core, change),
        Standing::Ended => false,
    };
    match change.header().author.member() {
        Some(member) if !may => Err(Refusal::MemberSuspended(member)),
        _ => Ok(()),
    }
}

/// Whether it only takes away from what there is. That of its kind does, unless it puts off what was announced.
pub(crate) fn takes_away(core: &Core, change: &SignedChange) -> bool {
    change.kind().denies()
        && match change.change() {
            Change::ServiceRetire(body) => service::brings_nearer(core, change, body),
            _ => true,
        }
}

/// The table of rights: kind of change, kind of author, use of the key.
pub(crate) fn check_right(change: &SignedChange, role: Option<KeyRole>) -> Result<(), Refusal> {
    let author = &change.header().author;
    let by_server = matches!(author, Author::Server(_));
    let may = match change.kind() {
        Kind::Genesis
        | Kind::MemberAdmit
        | Kind::MemberSuspend
        | Kind::MemberResume
        | Kind::MemberEnd
        | Kind::Policy
        | Kind::State
        | Kind::Recognise
        | Kind::RecognitionSuspend
        | Kind::RecognitionResume
        | Kind::RecognitionRevoke
        | Kind::ProposalApprove
        | Kind::ProposalWithdraw
        | Kind::Registrars
        | Kind::LedgerKey
        | Kind::MandateGrant
        | Kind::MandateEnd => *author == Author::Registrar,
        Kind::KeyAdd => role == Some(KeyRole::Recovery),
        // Which key may revoke which is decided with the key at hand.
        Kind::KeyRevoke => role.is_some(),
        Kind::ServerRegister | Kind::ServicePublish | Kind::ServiceRetire => {
            role == Some(KeyRole::Member)
        }
        Kind::ServerUpdate | Kind::SessionRevoke => by_server || role == Some(KeyRole::Member),
        Kind::ShardOpen => by_server,
        Kind::AgreementPropose
        | Kind::AgreementAccept
        | Kind::AgreementRevoke
        | Kind::AgreementSuspend
        | Kind::AgreementResume => role == Some(KeyRole::Officer),
    };
    if may {
        return Ok(());
    }
    Err(not_allowed(change))
}

fn not_allowed(change: &SignedChange) -> Refusal {
    Refusal::AuthorNotAllowed {
        author: change.header().author.clone(),
        kind: change.kind(),
    }
}

fn apply_body(
    core: &mut Core,
    state: &State,
    change: &SignedChange,
    role: Option<KeyRole>,
    at: Timestamp,
    blobs: &dyn Blobs,
) -> Result<(), Refusal> {
    match change.change() {
        Change::Genesis(body) => apply_genesis(core, change, body),
        Change::MemberAdmit(body) => member::admit(core, body, at),
        Change::MemberSuspend(body) => member::stand(core, body, Standing::Suspended),
        Change::MemberResume(body) => member::stand(core, body, Standing::Active),
        Change::MemberEnd(body) => member::stand(core, body, Standing::Ended),
        Change::KeyAdd(body) => member::add_key(core, change, body, at),
        Change::KeyRevoke(body) => member::revoke_key(core, change, role, body, at),
        Change::ServerRegister(body) => server::register(core, change, body, at),
        Change::ServerUpdate(body) => server::update(core, change, body, at),
        Change::ShardOpen(body) => server::open_shard(core, change, body, at),
        Change::SessionRevoke(body) => server::revoke_sessions(core, change, body),
        Change::ServicePublish(body) => service::publish(core, change, body, at, blobs),
        Change::ServiceRetire(body) => service::retire(core, change, body, at),
        Change::AgreementPropose(body) => agreement::propose(core, change, body, at, blobs),
        Change::AgreementAccept(body) => agreement::accept(core, change, body, at, blobs),
        Change::AgreementRevoke(body) => agreement::revoke(core, change, body, at),
        Change::AgreementSuspend(body) => agreement::suspend(core, change, body, at),
        Change::AgreementResume(body) => agreement::resume(core, change, body, at),
        Change::Policy(body) => {
            core.put_policy(body.clone());
            Ok(())
        }
        Change::State(body) => check_state(state, body),
        Change::Recognise(body) => recognition::recognise(core, body, at),
        Change::RecognitionSuspend(body) => recognition::stand(core, body, Standing::Suspended),
        Change::RecognitionResume(body) => recognition::stand(core, body, Standing::Active),
        Change::RecognitionRevoke(body) => recognition::stand(core, body, Standing::Ended),
        Change::ProposalApprove(body) => match quorum::approve(core, change, body, at)? {
            None => Ok(()),
            Some(agreed) => apply_body(core, state, &agreed, None, at, blobs),
        },
        Change::ProposalWithdraw(body) => quorum::withdraw(core, body),
        Change::Registrars(body) => quorum::replace_registrars(core, body),
        Change::LedgerKey(body) => ledger_key::replace(core, body),
        Change::MandateGrant(body) => mandate::grant(core, change, body, at),
        Change::MandateEnd(body) => mandate::end(core, body, at),
    }
}

fn apply_genesis(core: &mut Core, change: &SignedChange, body: &Genesis) -> Result<(), Refusal> {
    if body.origin != Genesis::origin_of(&body.jurisdiction) {
        return Err(Refusal::NameNotOurs(body.origin.clone()));
    }
    if usize::try_from(body.quorum).is_ok_and(|k| k == 0 || k > body.registrars.len()) {
        return Err(Refusal::Limit("registrars"));
    }
    expect_kind(&body.ledger, Algorithm::Ed25519)?;
    claim_key(core, body.ledger.spki_digest())?;
    for key in &body.registrars {
        expect_kind(key, Algorithm::P256)?;
        claim_key(core, key.spki_digest())?;
    }
    if let Some(clerk) = &body.clerk {
        expect_kind(clerk, Algorithm::P256)?;
        claim_key(core, clerk.spki_digest())?;
    }
    core.put_policy(body.policy.clone());
    core.put_registry(RegistryRecord {
        jurisdiction: body.jurisdiction.clone(),
        origin: body.origin.clone(),
        ledger: body.ledger.clone(),
        former_ledgers: Vec::new(),
        registrars: body.registrars.clone(),
        quorum: body.quorum,
        clerk: body.clerk.clone(),
        genesis: change.hash(),
    });
    Ok(())
}

fn check_state(state: &State, body: &StateClaim) -> Result<(), Refusal> {
    // What older rules knew, these judge alike.
    if !(OLDEST_RULES..=RULES_VERSION).contains(&body.rules) {
        return Err(Refusal::RulesUnknown(body.rules));
    }
    if body.hash != state.state_hash() {
        return Err(Refusal::StateMismatch);
    }
    Ok(())
}

/// A public key appears once, ever; one key, one use.
fn claim_key(core: &mut Core, key: Digest) -> Result<(), Refusal> {
    if core.keys.contains_key(&key) {
        return Err(Refusal::KeyReused(key));
    }
    core.keys.insert_mut(key, ());
    Ok(())
}

fn expect_kind(key: &VerifyingKey, algorithm: Algorithm) -> Result<(), Refusal> {
    if key.algorithm() == algorithm {
        Ok(())
    } else {
        Err(Refusal::KeyKind)
    }
}

fn fetch(blobs: &dyn Blobs, hash: &Digest) -> Result<bytes::Bytes, Refusal> {
    let blob = blobs.blob(hash).ok_or(Refusal::BlobMissing(*hash))?;
    if blob.len() > MAX_BLOB {
        return Err(Refusal::BlobTooLarge(*hash));
    }
    if Digest::of(&blob) != *hash {
        return Err(Refusal::BlobMismatch(*hash));
    }
    Ok(blob)
}

/// The rules in this file. A state change under others stops a server that does not run them.
pub const RULES_VERSION: u32 = 4;

/// The oldest rules under which a ledger adds up to the same state as under these: whatever they accepted,
/// these accept, to the same effect.
const OLDEST_RULES: u32 = 2;

/// A registry states its hash at least this often.
pub const MAX_CHANGES_BETWEEN_STATES: u64 = 1000;
