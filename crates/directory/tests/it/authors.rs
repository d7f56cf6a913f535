//! Who may author what: every kind of change, tried with every key there is.

use entente_directory::{
    AgreementAct, Author, Change, KeyAdd, KeyRevoke, KeyRole, Kind, LedgerKey, MemberAct, NewKey,
    Policy, ProposalAct, RecognitionAct, RecognitionLimits, Registrars, ServerUpdate,
    ServicePublish, ServiceRetire, SessionRevoke, StateClaim, Sunset,
};
use entente_reason::Reason;
use entente_signing::{Digest, Ed25519Key, P256Key, Signer};

use crate::mandates::over_vital_events;
use crate::two::{act as act_on_recognition, recognise};
use crate::world::{Member, World, key};

/// One change of each kind that the demo world would accept next, and from whom.
fn next_changes(world: &World) -> Vec<(Change, Vec<&'static str>)> {
    let act = || world.next_act();
    let mut resumable = Vec::new();
    let vital = &world.vital;
    let new = NewKey {
        role: KeyRole::Officer,
        key: key(0x71).verifying_key().clone(),
    };
    let proof = key(0x71)
        .sign(&KeyAdd::proof_message(&vital.id, &new))
        .unwrap();
    let member_act = |member: &Member| MemberAct {
        member: member.id.clone(),
        reason: None,
    };
    let transport = world.transport.registration();
    let mut update = ServerUpdate::of(vital.server.clone());
    update.addresses = Some(vec!["peer.example:1".parse().unwrap()]);
    resumable.extend([
        (
            Change::MemberSuspend(member_act(&world.transport)),
            vec!["registrar"],
        ),
        (
            Change::MemberResume(member_act(&world.transport)),
            vec!["registrar"],
        ),
        (
            Change::MemberEnd(member_act(&world.transport)),
            vec!["registrar"],
        ),
        (Change::Policy(Policy::usual()), vec!["registrar"]),
        (
            Change::State(StateClaim {
                hash: world.state.state_hash(),
                rules: entente_directory::RULES_VERSION,
            }),
            vec!["registrar"],
        ),
        (
            Change::KeyAdd(KeyAdd {
                member: vital.id.clone(),
                key: new,
                proof,
            }),
            vec!["vital recovery"],
        ),
        (
            Change::KeyRevoke(KeyRevoke {
                member: vital.id.clone(),
                key: vital.member.verifying_key().spki_digest(),
            }),
            vec!["vital recovery", "vital member"],
        ),
        (Change::ServerRegister(transport), vec!["transport member"]),
        (
            Change::ServerUpdate(update),
            vec!["vital member", "vital server"],
        ),
        (
            vital.shard(2, Some(world.descriptor_set)),
            vec!["vital server"],
        ),
        (
            Change::SessionRevoke(SessionRevoke {
                server: vital.server.clone(),
                issued_before: world.at,
            }),
            vec!["vital member", "vital server"],
        ),
        (
            Change::ServicePublish(ServicePublish {
                service: "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap(),
                systems: ["ca-demo/vital-events/register".parse().unwrap()].into(),
                descriptor_set: world.descriptor_set,
                version: 2,
            }),
            vec!["vital member"],
        ),
        (
            Change::ServiceRetire(ServiceRetire {
                service: "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap(),
                sunset: Sunset::Now,
            }),
            vec!["vital member"],
        ),
        (
            Change::AgreementRevoke(act()),
            vec!["vital officer", "pensions officer"],
        ),
        (
            Change::AgreementSuspend(act()),
            vec!["vital officer", "pensions officer"],
        ),
        (
            recognise(
                "ca-demo-ab",
                Digest::of(b"genesis"),
                RecognitionLimits::default(),
            ),
            vec!["registrar"],
        ),
    ]);
    resumable.push((
        Change::Registrars(Registrars {
            keys: vec![key(0x75).verifying_key().clone()],
            quorum: 1,
            clerk: None,
        }),
        vec!["registrar"],
    ));
    let registry = world.state.registry().unwrap();
    let next = Ed25519Key::from_seed(&[0x76; 32]).unwrap();
    let next = LedgerKey::prove(registry, &next, None).unwrap();
    resumable.push((Change::LedgerKey(next), vec!["registrar"]));
    let tabled = world.state.proposals().next().unwrap().change.hash();
    let proposal = ProposalAct { change: tabled };
    resumable.push((Change::ProposalWithdraw(proposal), vec!["registrar"]));
    let acts: [fn(RecognitionAct) -> Change; 3] = [
        Change::RecognitionSuspend,
        Change::RecognitionResume,
        Change::RecognitionRevoke,
    ];
    let mandate = over_vital_events(world);
    resumable.push((Change::MandateGrant(mandate), vec!["registrar"]));
    resumable.push((crate::mandates::end(world, None), vec!["registrar"]));
    resumable.extend(acts.map(|of| (of(act_on_recognition("ca-demo-qc")), vec!["registrar"])));
    resumable
}

/// One registrar proposes it, and it has notice.
fn weaker() -> Change {
    Change::Policy(Policy {
        validity_hours: 48,
        ..Policy::usual()
    })
}

fn signers(world: &World) -> Vec<(String, Author, &P256Key)> {
    let mut signers = vec![("registrar".to_owned(), Author::Registrar, &world.registrar)];
    let members = [
        ("vital", &world.vital),
        ("pensions", &world.pensions),
        ("transport", &world.transport),
    ];
    for (name, member) in members {
        signers.extend([
            (
                format!("{name} recovery"),
                member.author(),
                &member.recovery,
            ),
            (format!("{name} officer"), member.author(), &member.officer),
            (format!("{name} member"), member.author(), &member.member),
            (
                format!("{name} server"),
                member.server_author(),
                &member.server_key,
            ),
        ]);
    }
    signers
}

#[test]
fn every_change_is_accepted_from_those_who_may_make_it_and_from_nobody_else() {
    let mut world = World::demo();
    let genesis = Digest::of(b"genesis");
    let recognised = recognise("ca-demo-qc", genesis, RecognitionLimits::default());
    world.by_registrar(recognised).unwrap();
    world.by_registrar(weaker()).unwrap();
    let mandate = Change::MandateGrant(over_vital_events(&world));
    world.by_registrar(mandate).unwrap();
    for (change, may) in next_changes(&world) {
        for (name, author, signer) in signers(&world) {
            let signed = world.sign(author, signer, &change);
            let applied = entente_directory::apply(&world.state, &signed, world.at, &world.blobs);
            let expected = may.contains(&name.as_str());
            assert_eq!(
                applied.is_ok(),
                expected,
                "{} by {name}: {:?}",
                change.kind().as_str(),
                applied.err()
            );
        }
    }
}

#[test]
fn a_key_speaks_for_its_own_author_only() {
    let world = World::demo();
    for (name, author, _) in signers(&world) {
        for (other, other_author, signer) in signers(&world) {
            if author == other_author || name.starts_with("transport server") {
                continue;
            }
            let change = Change::Policy(Policy::usual());
            let signed = world.sign(author.clone(), signer, &change);
            let refusal = entente_directory::apply(&world.state, &signed, world.at, &world.blobs)
                .unwrap_err();
            assert_eq!(
                refusal.reason(),
                Reason::KeyUnknown,
                "{name} by {other}: {refusal}"
            );
        }
    }
}

#[test]
fn an_altered_change_does_not_verify() {
    let world = World::demo();
    let change = Change::AgreementRevoke(world.next_act());
    let signed = world.sign(world.vital.author(), &world.vital.officer, &change);
    let mut refused = 0;
    for at in 0..signed.bytes().len() {
        let mut bytes = signed.bytes().to_vec();
        bytes[at] ^= 1;
        let Ok(altered) = entente_directory::SignedChange::parse(bytes.into()) else {
            continue;
        };
        entente_directory::apply(&world.state, &altered, world.at, &world.blobs).unwrap_err();
        refused += 1;
    }
    assert!(refused > 64, "at least the signature's own bytes parse");
}

#[test]
fn every_kind_is_tried_above_or_in_the_story() {
    let mut world = World::demo();
    world.by_registrar(weaker()).unwrap();
    let tried: std::collections::BTreeSet<Kind> = next_changes(&world)
        .iter()
        .map(|(change, _)| change.kind())
        .chain(world.log.iter().map(|(_, change)| change.kind()))
        .collect();
    let untried: Vec<_> = Kind::ALL
        .iter()
        .filter(|kind| !tried.contains(kind))
        .collect();
    // Resuming needs something suspended first, and approving a second registrar: `agreements` and
    // `registrars` try them.
    assert_eq!(untried, [&Kind::AgreementResume, &Kind::ProposalApprove]);
    let _: AgreementAct = world.next_act();
}
