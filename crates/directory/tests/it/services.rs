//! Services: contracts are blobs, checked before anybody relies on them.

use entente_directory::{Change, MAX_BLOB, MemoryBlobs, Refusal, ServicePublish, ServiceRetire};
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

#[test]
fn a_retired_service_is_not_offered_until_it_is_published_again() {
    let mut world = World::demo();
    let service: entente_identity::ServiceName =
        "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap();
    let retire = Change::ServiceRetire(ServiceRetire {
        service: service.clone(),
    });
    let signed = world.sign(world.vital.author(), &world.vital.member, &retire);
    world.apply(signed).unwrap();
    assert!(!world.state.offered(&service, &world.vital.id));
    let signed = world.sign(world.vital.author(), &world.vital.member, &retire);
    assert_eq!(
        world.apply(signed).unwrap_err().reason(),
        Reason::UnknownService
    );
    publish(&mut world, |_| {}).unwrap();
    assert!(world.state.offered(&service, &world.vital.id));
}
