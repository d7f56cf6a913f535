//! What one author may put into the directory: up to each bound, and not one more.

use std::time::Duration;

use entente_directory::{
    Change, KeyAdd, KeyRole, MAX_CHANGES_A_DAY, MAX_SERVERS, MAX_SERVICES, MAX_VERSIONS, NewKey,
    Policy, Refusal, ServerUpdate, ServicePublish, ServiceRetire, SessionRevoke, Sunset,
};
use entente_identity::ServiceName;
use entente_reason::Reason;
use entente_signing::{Digest, Ed25519Key, P256Key, Signer};

use crate::world::{World, hpke, key};

#[test]
fn an_author_makes_so_many_changes_a_day_and_goes_on_the_next() {
    let mut world = World::demo();
    let author = world.vital.author();
    let before = world.state.author(&author).unwrap().today;
    for _ in before..MAX_CHANGES_A_DAY {
        by_member(&mut world, readdress).unwrap();
    }
    let hash = world.state.state_hash();
    let refused = by_member(&mut world, readdress).unwrap_err();
    assert_spent(&refused, "changes of a day");
    assert_eq!(world.state.state_hash(), hash, "it leaves no trace");

    // Its server is another author, and the day after is another day.
    let update = Change::ServerUpdate(readdressed(&world));
    let signed = world.sign(
        world.vital.server_author(),
        &world.vital.server_key,
        &update,
    );
    world.apply(signed).unwrap();
    world.at = world.at.saturating_add(DAY);
    by_member(&mut world, readdress).unwrap();
    assert_eq!(world.state.author(&author).unwrap().today, 1);
}

#[test]
fn what_takes_away_what_recovers_and_the_registrar_are_not_counted_out() {
    let mut world = World::demo();
    let author = world.vital.author();
    let before = world.state.author(&author).unwrap().today;
    let revoke = |world: &World| {
        Change::SessionRevoke(SessionRevoke {
            server: world.vital.server.clone(),
            issued_before: world.at,
        })
    };
    for _ in before..MAX_CHANGES_A_DAY + 1 {
        by_member(&mut world, revoke).unwrap();
    }
    assert!(by_member(&mut world, readdress).is_err());
    let new = NewKey {
        role: KeyRole::Member,
        key: key(0x71).verifying_key().clone(),
    };
    let proof = KeyAdd::proof_message(&world.vital.id, &new);
    let add = Change::KeyAdd(KeyAdd {
        member: world.vital.id.clone(),
        key: new,
        proof: key(0x71).sign(&proof).unwrap(),
    });
    let signed = world.sign(author, &world.vital.recovery, &add);
    world.apply(signed).unwrap();
    for _ in 0..=MAX_CHANGES_A_DAY {
        world.by_registrar(Change::Policy(Policy::usual())).unwrap();
    }
}

#[test]
fn a_member_has_so_many_servers() {
    let mut world = World::demo();
    for n in 1..MAX_SERVERS {
        register(&mut world, n).unwrap();
    }
    let refused = register(&mut world, MAX_SERVERS).unwrap_err();
    assert_spent(&refused, "servers");
}

#[test]
fn a_member_offers_so_many_services_at_a_time() {
    let mut world = World::demo();
    for n in 1..MAX_SERVICES {
        publish(&mut world, &service(n), 1).unwrap();
    }
    let refused = publish(&mut world, &service(MAX_SERVICES), 1).unwrap_err();
    assert_spent(&refused, "services");
    // Another version is not another service; one retired makes room for one.
    publish(&mut world, &service(1), 2).unwrap();
    retire(&mut world, 1, Sunset::Now).unwrap();
    publish(&mut world, &service(MAX_SERVICES), 1).unwrap();
    let refused = publish(&mut world, &service(1), 3).unwrap_err();
    assert_spent(&refused, "services");
    // One that is announced to end does so once it has, and once only, however often it was announced.
    let tomorrow = world.at.saturating_add(DAY);
    retire(&mut world, 2, Sunset::At(tomorrow)).unwrap();
    retire(&mut world, 3, Sunset::At(tomorrow)).unwrap();
    retire(&mut world, 3, Sunset::At(tomorrow.saturating_add(DAY))).unwrap();
    let refused = publish(&mut world, &service(1), 3).unwrap_err();
    assert_spent(&refused, "services");
    world.at = tomorrow;
    publish(&mut world, &service(1), 3).unwrap();
    let refused = publish(&mut world, &service(2), 2).unwrap_err();
    assert_spent(&refused, "services");
}

#[test]
fn a_service_has_so_many_versions() {
    let mut world = World::demo();
    let most = u32::try_from(MAX_VERSIONS).unwrap();
    for version in 1..=most {
        publish(&mut world, &service(1), version).unwrap();
    }
    let refused = publish(&mut world, &service(1), most + 1).unwrap_err();
    assert_spent(&refused, "versions of a service");
}

fn retire(world: &mut World, n: usize, sunset: Sunset) -> Result<(), Refusal> {
    by_member(world, |_| {
        let service = service(n);
        Change::ServiceRetire(ServiceRetire { service, sunset })
    })
}

fn assert_spent(refused: &Refusal, of: &str) {
    assert!(
        matches!(refused, Refusal::Budget { what, .. } if *what == of),
        "{refused:?}"
    );
    assert_eq!(refused.reason(), Reason::BudgetSpent);
}

fn by_member(world: &mut World, change: impl Fn(&World) -> Change) -> Result<(), Refusal> {
    let signed = world.sign(world.vital.author(), &world.vital.member, &change(world));
    world.apply(signed)
}

fn readdressed(world: &World) -> ServerUpdate {
    let mut update = ServerUpdate::of(world.vital.server.clone());
    update.addresses = Some(vec!["peer.example:1".parse().unwrap()]);
    update
}

fn readdress(world: &World) -> Change {
    Change::ServerUpdate(readdressed(world))
}

/// Registers another server of the member, with keys of its own.
fn register(world: &mut World, n: usize) -> Result<(), Refusal> {
    let (key, tls) = (P256Key::generate().unwrap(), P256Key::generate().unwrap());
    let mut body = world.vital.registration();
    body.server = format!("{}/@more{n}", world.vital.id).parse().unwrap();
    body.key = key.verifying_key().clone();
    body.tls = vec![tls.verifying_key().clone()];
    body.ledger = Ed25519Key::generate().unwrap().verifying_key().clone();
    let mut sealed_to = hpke(0);
    sealed_to.public[..8].copy_from_slice(&(n as u64).to_be_bytes());
    body.hpke = vec![sealed_to];
    body.prove(&key).unwrap();
    by_member(world, |_| Change::ServerRegister(body.clone()))
}

fn service(n: usize) -> ServiceName {
    format!("entente.demo.vitalevents.v1.Service{n:04}")
        .parse()
        .unwrap()
}

/// Publishes the demo's contract with its service under another name of the same length.
fn publish(world: &mut World, service: &ServiceName, version: u32) -> Result<(), Refusal> {
    let mut set = entente_proto::VITAL_EVENTS_DESCRIPTOR_SET.to_vec();
    let at = set.windows(11).position(|w| w == b"VitalEvents").unwrap();
    set[at..at + 11].copy_from_slice(service.as_str().rsplit('.').next().unwrap().as_bytes());
    let descriptor_set: Digest = world.blobs.insert(set);
    by_member(world, |_| {
        Change::ServicePublish(ServicePublish {
            service: service.clone(),
            systems: ["ca-demo/vital-events/register".parse().unwrap()].into(),
            descriptor_set,
            version,
        })
    })
}

const DAY: Duration = Duration::from_secs(24 * 3600);
