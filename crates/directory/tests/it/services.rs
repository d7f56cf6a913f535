//! Services: contracts are blobs, checked before anybody relies on them.

use std::time::Duration;

use entente_clock::Timestamp;
use entente_directory::{
    Author, Change, MAX_BLOB, MAX_CHANGES_A_DAY, MemberAct, MemoryBlobs, Refusal, ServicePublish,
    ServiceRetire, Sunset,
};
use entente_identity::ServiceName;
use entente_reason::Reason;
use entente_signing::Digest;

use crate::world::World;

fn publish(world: &mut World, change: impl FnOnce(&mut ServicePublish)) -> Result<(), Refusal> {
    let mut body = ServicePublish {
        service: "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap(),
        systems: ["ca-demo/vital-events/register".parse().unwrap()].into(),
        descriptor_set: world.descriptor_set,
        version: 2,
    };
    change(&mut body);
    let signed = world.sign(
        world.vital.author(),
        &world.vital.member,
        &Change::ServicePublish(body),
    );
    world.apply(signed)
}

#[test]
fn what_rests_on_a_blob_not_yet_held_is_refused() {
    let mut world = World::demo();
    let held = std::mem::replace(&mut world.blobs, MemoryBlobs::new());
    let refused = publish(&mut world, |_| {}).unwrap_err();
    assert!(matches!(refused, Refusal::BlobMissing(hash) if hash == world.descriptor_set));
    assert_eq!(refused.reason(), Reason::BlobMissing);
    world.blobs = held;
    publish(&mut world, |_| {}).unwrap();
}

#[test]
fn refuses_a_blob_that_is_not_what_it_is_called_or_too_large() {
    struct Liar;
    impl entente_directory::Blobs for Liar {
        fn blob(&self, _: &Digest) -> Option<bytes::Bytes> {
            Some(bytes::Bytes::from_static(b"something else"))
        }
    }
    let mut world = World::demo();
    let signed = {
        let body = ServicePublish {
            service: "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap(),
            systems: ["ca-demo/vital-events/register".parse().unwrap()].into(),
            descriptor_set: world.descriptor_set,
            version: 2,
        };
        world.sign(
            world.vital.author(),
            &world.vital.member,
            &Change::ServicePublish(body),
        )
    };
    let refused = entente_directory::apply(&world.state, &signed, world.at, &Liar).unwrap_err();
    assert_eq!(refused.reason(), Reason::BlobMismatch);
    let large = world.blobs.insert(vec![0; MAX_BLOB + 1]);
    let refused = publish(&mut world, |body| body.descriptor_set = large).unwrap_err();
    assert_eq!(refused.reason(), Reason::BlobTooLarge);
    let rubbish = world.blobs.insert(&b"rubbish"[..]);
    let refused = publish(&mut world, |body| body.descriptor_set = rubbish).unwrap_err();
    assert_eq!(refused.reason(), Reason::ContractInvalid);
}

#[test]
fn versions_count_up_and_systems_are_the_author_s() {
    let mut world = World::demo();
    for version in [0, 1, 3] {
        assert!(publish(&mut world, |body| body.version = version).is_err());
    }
    let refused = publish(&mut world, |body| {
        body.systems
            .insert("ca-demo/pensions/benefits".parse().unwrap());
    });
    assert_eq!(refused.unwrap_err().reason(), Reason::NameNotOurs);
    let unknown = publish(&mut world, |body| {
        body.service = "a.v1.Other".parse().unwrap()
    });
    assert!(unknown.is_err(), "not in that descriptor set");
    publish(&mut world, |_| {}).unwrap();
    let service = "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap();
    let record = world.state.service(&service, &world.vital.id).unwrap();
    assert_eq!(record.versions.len(), 2);
    assert_eq!(world.state.offers(&service).count(), 1);
    assert!(
        world
            .state
            .outline(&world.descriptor_set, &service)
            .is_some()
    );
}

#[test]
fn a_breaking_version_is_refused() {
    let mut world = World::demo();
    // Under another field number, the field of before is gone.
    let set = entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
    let needle = b"\x0a\x0eplace_of_death\x18\x03";
    let at = set.windows(needle.len()).position(|w| w == needle).unwrap();
    let mut other = set.to_vec();
    other[at + needle.len() - 1] = 9;
    let hash = world.blobs.insert(other);
    let refused = publish(&mut world, |body| body.descriptor_set = hash).unwrap_err();
    assert_eq!(refused.reason(), Reason::ContractBreaking);
}

fn service() -> ServiceName {
    "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap()
}

fn retirement(sunset: Sunset) -> Change {
    let service = service();
    Change::ServiceRetire(ServiceRetire { service, sunset })
}

fn retire(world: &mut World, sunset: Sunset) -> Result<(), Refusal> {
    let author = world.vital.author();
    let signed = world.sign(author, &world.vital.member, &retirement(sunset));
    world.apply(signed)
}

fn offered(world: &World, at: Timestamp) -> bool {
    world.state.offered(&service(), &world.vital.id, at)
}

fn days(world: &World, days: u64) -> Timestamp {
    world.at.saturating_add(Duration::from_secs(days * 86_400))
}

#[test]
fn a_retired_service_is_not_offered_until_it_is_published_again() {
    let mut world = World::demo();
    retire(&mut world, Sunset::Now).unwrap();
    assert!(!offered(&world, world.at));
    for again in [Sunset::Now, Sunset::At(days(&world, 3)), Sunset::Never] {
        let refused = retire(&mut world, again).unwrap_err();
        assert_eq!(refused.reason(), Reason::UnknownService, "{again:?}");
    }
    publish(&mut world, |_| {}).unwrap();
    assert!(offered(&world, world.at));
}

#[test]
fn a_service_with_a_sunset_is_offered_until_then_and_not_a_millisecond_longer() {
    let mut world = World::demo();
    let sunset = days(&world, 30);
    retire(&mut world, Sunset::At(sunset)).unwrap();
    let before = Timestamp::from_millis(sunset.as_millis() - 1);
    assert!(offered(&world, world.at) && offered(&world, before));
    assert!(!offered(&world, sunset), "with nothing else in the ledger");
    let says = |world: &World| world.state.sunset(&service(), &world.vital.id);
    assert_eq!(says(&world), Some(sunset));
    // A date that is past is now.
    let past = Timestamp::from_millis(1);
    retire(&mut world, Sunset::At(past)).unwrap();
    assert_eq!(says(&world), Some(world.at));
    assert!(!offered(&world, world.at));
}

#[test]
fn a_sunset_is_moved_and_taken_back_until_it_has_come() {
    let mut world = World::demo();
    let (near, far) = (days(&world, 3), days(&world, 30));
    for sunset in [far, near, far] {
        retire(&mut world, Sunset::At(sunset)).unwrap();
        assert_eq!(
            world.state.sunset(&service(), &world.vital.id),
            Some(sunset)
        );
    }
    retire(&mut world, Sunset::Never).unwrap();
    assert_eq!(world.state.sunset(&service(), &world.vital.id), None);
    assert!(offered(&world, days(&world, 10_000)));
    retire(&mut world, Sunset::At(near)).unwrap();
    world.at = near;
    for late in [Sunset::Never, Sunset::At(far)] {
        let refused = retire(&mut world, late).unwrap_err();
        assert_eq!(refused.reason(), Reason::UnknownService, "{late:?}");
    }
}

#[test]
fn a_new_version_leaves_the_sunset_where_it_was_and_brings_back_what_has_ended() {
    let mut world = World::demo();
    let sunset = days(&world, 3);
    retire(&mut world, Sunset::At(sunset)).unwrap();
    publish(&mut world, |_| {}).unwrap();
    assert_eq!(
        world.state.sunset(&service(), &world.vital.id),
        Some(sunset)
    );
    world.at = sunset;
    publish(&mut world, |body| body.version = 3).unwrap();
    assert_eq!(world.state.sunset(&service(), &world.vital.id), None);
    assert!(offered(&world, world.at));
}

#[test]
fn a_suspended_member_brings_a_sunset_nearer_and_does_not_put_it_off() {
    let mut world = World::demo();
    let far = days(&world, 30);
    retire(&mut world, Sunset::At(far)).unwrap();
    let act = MemberAct {
        member: world.vital.id.clone(),
        reason: None,
    };
    world.by_registrar(Change::MemberSuspend(act)).unwrap();
    for later in [Sunset::At(days(&world, 31)), Sunset::Never] {
        let refused = retire(&mut world, later).unwrap_err();
        assert_eq!(refused.reason(), Reason::MemberSuspended, "{later:?}");
    }
    let near = days(&world, 3);
    retire(&mut world, Sunset::At(near)).unwrap();
}

#[test]
fn putting_a_sunset_off_is_within_the_budget_and_bringing_it_nearer_is_not_bounded() {
    let mut world = World::demo();
    let signed = |world: &World, sunset| {
        world.sign(
            world.vital.author(),
            &world.vital.member,
            &retirement(sunset),
        )
    };
    while world.state.author(&world.vital.author()).unwrap().today < MAX_CHANGES_A_DAY {
        let at = days(&world, 60);
        let change = signed(&world, Sunset::At(at));
        world.apply(change).unwrap();
    }
    let later = signed(&world, Sunset::At(days(&world, 61)));
    let refused = world.apply(later).unwrap_err();
    assert_eq!(refused.reason(), Reason::BudgetSpent);
    let nearer = signed(&world, Sunset::At(days(&world, 59)));
    world.apply(nearer).unwrap();
}

#[test]
fn an_earlier_sunset_counts_on_sight_and_a_later_one_only_from_the_ledger() {
    let mut world = World::demo();
    let (near, mid, far) = (days(&world, 3), days(&world, 15), days(&world, 30));
    retire(&mut world, Sunset::At(mid)).unwrap();
    let sign = |world: &World, sunset| {
        let (author, signer) = (world.vital.author(), &world.vital.member);
        world.sign(author, signer, &retirement(sunset))
    };
    for later in [Sunset::At(far), Sunset::Never] {
        let refused = world.state.deny(&sign(&world, later), world.at);
        assert_eq!(refused.unwrap_err().reason(), Reason::AuthorNotAllowed);
    }
    let nearer = sign(&world, Sunset::At(near));
    let denied = world.state.deny(&nearer, world.at).unwrap();
    assert!(denied.offered(&service(), &world.vital.id, world.at));
    assert!(!denied.offered(&service(), &world.vital.id, near));
    assert_eq!(denied.sunset(&service(), &world.vital.id), Some(near));
    assert_eq!(denied.state_hash(), world.state.state_hash());
    // A stranger's word is nobody's.
    let forged = world.sign(
        Author::Member(world.pensions.id.clone()),
        &world.pensions.member,
        &retirement(Sunset::At(near)),
    );
    assert!(world.state.deny(&forged, world.at).is_err());
    world.state = denied;
    world.apply(nearer).unwrap();
    assert_eq!(world.state.denied().count(), 0);
    retire(&mut world, Sunset::At(far)).unwrap();
    assert_eq!(world.state.sunset(&service(), &world.vital.id), Some(far));
}
