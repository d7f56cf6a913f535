//! Ledger shards: one open per server and mode, each continuing the one before.

use entente_directory::{Change, Mode, Refusal, SessionRevoke, ShardOpen};
use entente_reason::Reason;
use entente_signing::{Digest, Ed25519Key, Signer};

use crate::world::World;

fn open(world: &mut World, change: impl FnOnce(&mut ShardOpen)) -> Result<(), Refusal> {
    let Change::ShardOpen(mut body) = world.vital.shard(2, Some(Digest::of(b"last"))) else {
        unreachable!()
    };
    change(&mut body);
    let signed = world.sign(
        world.vital.server_author(),
        &world.vital.server_key,
        &Change::ShardOpen(body),
    );
    world.apply(signed)
}

#[test]
fn a_shard_follows_the_one_before() {
    let mut world = World::demo();
    open(&mut world, |_| {}).unwrap();
    let shards = world.state.shards(&world.vital.server, Mode::Live);
    assert_eq!(shards.len(), 2);
    assert_eq!(shards[0].closed, Some(shards[1].opened));
    let open_now = world.state.shard(&world.vital.server, Mode::Live).unwrap();
    assert_eq!(open_now.origin, "ss1.vital-events.ca-demo/access/2026h2.2");
    let first = "ss1.vital-events.ca-demo/access/2026h2.1";
    assert_eq!(world.state.shard_by_origin(first), Some(&shards[0]));
}

#[test]
fn refuses_what_does_not_continue_this_server_s_shards() {
    let mut world = World::demo();
    let other = Ed25519Key::from_seed(&[0x79; 32])
        .unwrap()
        .verifying_key()
        .clone();
    let origins = [
        "ss1.vital-events.ca-demo/access/2026h2.1",
        "ss1.pensions.ca-demo/access/2026h2.2",
        "ss2.vital-events.ca-demo/access/2026h2.2",
        "ss1.vital-events.ca-demo/access/2026h3.2",
        "ss1.vital-events.ca-demo/access/2026h2.02",
        "ss1.vital-events.ca-demo/access/2026h2",
        "ss1.vital-events.ca-demo/changes/2026h2.2",
        "x/ss1.vital-events.ca-demo/access/2026h2.2",
    ];
    for origin in origins {
        let refused = open(&mut world, |body| body.origin = origin.into()).unwrap_err();
        assert_eq!(refused.reason(), Reason::ShardConflict, "{origin}");
    }
    assert!(open(&mut world, |body| body.previous = None).is_err());
    assert!(open(&mut world, |body| body.key = other).is_err());
    // The first of another mode continues nothing.
    assert!(open(&mut world, |body| body.mode = Mode::Test).is_err());
    open(&mut world, |body| {
        body.mode = Mode::Test;
        body.previous = None;
    })
    .unwrap();
    assert_eq!(world.state.shards(&world.vital.server, Mode::Live).len(), 1);
}

#[test]
fn revoking_sessions_never_gives_one_back() {
    let mut world = World::demo();
    let server = world.vital.server.clone();
    let issued = world.at;
    assert!(!world.state.session_revoked(&server, issued));
    let hour = std::time::Duration::from_secs(3600);
    for issued_before in [issued.saturating_add(hour), issued] {
        let body = SessionRevoke {
            server: server.clone(),
            issued_before,
        };
        let signed = world.sign(
            world.vital.author(),
            &world.vital.member,
            &Change::SessionRevoke(body),
        );
        world.apply(signed).unwrap();
        assert!(world.state.session_revoked(&server, issued));
        assert!(
            !world
                .state
                .session_revoked(&server, issued.saturating_add(hour))
        );
    }
    let stranger = "ca-demo/vital-events/@ss9".parse().unwrap();
    assert!(world.state.session_revoked(&stranger, issued));
}
