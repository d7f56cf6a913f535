//! The end of retention: what was exchanged is gone, and every proof still verifies (G9).

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use entente_clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::MessageId;
use entente_ledger::disk::{Disk, RealDisk};
use entente_ledger::entry::{Body, Shred};
use entente_security_server::{Config, Deps, END_OF_RETENTION, Order, OrderError};
use entente_sidecar::{
    Audit, Plan, RecordOf, Shredding, Sidecar, SidecarError, Standing, Target, Violation,
};
use entente_signing::Digest;
use entente_testkit::backup::copy;
use entente_tests::town::{Town, at};
use entente_tests::walk::until;
use entente_tests::world::{Consumer, Site, World};

/// The term of the scenario's clause, and more than the longest month.
const TERM: Duration = Duration::from_secs((730 + 32) * 24 * 60 * 60);

fn shreds(site: &Site) -> Vec<Shred> {
    let bodies = site.entries().unwrap().into_iter();
    let shreds = bodies.filter_map(|body| match body {
        Body::Shred(shred) => Some(shred),
        _ => None,
    });
    shreds.collect()
}

/// An entry's record: its hash, and what it was sealed for.
struct Kept {
    hash: Digest,
    kind: u8,
    message: [u8; 16],
    at: Timestamp,
}

fn kept(site: &Site) -> Vec<Kept> {
    let entries = site.dated_entries().unwrap().into_iter();
    let kept = entries.filter_map(|entry| {
        let (kind, statement, hash) = match &entry.body {
            Body::In(body) => (1, &body.statement, body.sidecar?),
            Body::Out(body) => (2, &body.statement, body.sidecar?),
            _ => return None,
        };
        let signed = SignedStatement::parse(statement.clone()).unwrap();
        Some(Kept {
            hash,
            kind,
            message: *signed.statement().message_id.as_bytes(),
            at: entry.at,
        })
    });
    kept.collect()
}

/// Opens every record of a site that is stopped; counts those that do.
fn opened(site: &Site) -> usize {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (data, keys) = (site.dir.join("data/sidecar"), site.dir.join("keys/kek"));
    let sidecar = Sidecar::open(disk, data, keys).unwrap();
    let origin = site.origin().unwrap();
    let opens = |kept: &&Kept| {
        let of = RecordOf {
            origin: &origin,
            message_id: &kept.message,
            kind: kept.kind,
        };
        match sidecar.open_record(&kept.hash, &of) {
            Ok(_) => true,
            Err(SidecarError::Shredded) => false,
            Err(error) => panic!("{error}"),
        }
    };
    kept(site).iter().filter(opens).count()
}

fn standings(site: &Site) -> Vec<Standing> {
    let keys = site.dir.join("keys/kek");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut audit = Audit::open(disk, site.dir.join("data/sidecar"), Some(&keys)).unwrap();
    for (index, entry) in (0..).zip(site.dated_entries().unwrap()) {
        if let Body::Shred(shred) = entry.body {
            audit.note_shred(Shredding {
                origin: "this one".to_owned(),
                index,
                at: entry.at,
                shred,
            });
        }
    }
    // What a running server has not moved out of its write-ahead log is not missing.
    let reader = site.ledger().unwrap();
    let noted = reader.attachments(|_, attachment| audit.note_waiting(attachment));
    noted.unwrap();
    let kept = kept(site).into_iter();
    let agreed = "benefits.730d".parse().unwrap();
    kept.map(|kept| audit.standing(&kept.hash, kept.at, Some(&agreed)))
        .map(Result::unwrap)
        .collect()
}

fn is_sound(site: &Site) -> bool {
    site.is_sound(&site.ledger_dir().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_retention_all_openings_are_gone_and_every_proof_still_verifies() {
    let clock = ManualClock::at(SystemClock.now());
    let town = Town::start_with(&at(&clock)).await.unwrap();
    town.ask().await.unwrap();
    for site in [&town.world.consumer, &town.world.provider] {
        assert_eq!(shreds(site), []);
        assert_eq!(standings(site), [Standing::Present, Standing::Present]);
    }
    let day = clock.now().day();
    clock.advance(TERM);
    for site in [&town.world.consumer, &town.world.provider] {
        // The key of the day's records, and that of the month's subject tags.
        let look = async || {
            let shreds = shreds(site);
            ensure!(shreds.len() == 2, "{shreds:?}");
            Ok(())
        };
        until(look).await.unwrap();
    }
    let (world, _dir) = town.stop().await;
    for site in [&world.consumer, &world.provider] {
        let shreds = shreds(site);
        assert_eq!(shreds[0].class, "benefits.730d");
        assert_eq!(shreds[0].period, day.to_string());
        assert_eq!(shreds[0].authority, END_OF_RETENTION);
        assert!(shreds[1].period.ends_with("/immediate"), "{shreds:?}");
        assert!(is_sound(site));
        assert_eq!(opened(site), 0);
        let standings = standings(site);
        assert_eq!(standings.len(), 2);
        for standing in standings {
            assert!(matches!(standing, Standing::Shredded(by) if by.shred == shreds[0]));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_deleted_by_hand_is_a_violation_though_the_ledger_is_sound() {
    let town = Town::start().await.unwrap();
    town.ask().await.unwrap();
    let (world, _dir) = town.stop().await;
    let site = &world.provider;
    assert_eq!(opened(site), 2);
    for entry in std::fs::read_dir(site.dir.join("data/sidecar")).unwrap() {
        let segment = entry.unwrap().path().join("000.seg");
        if segment.exists() {
            std::fs::remove_file(segment).unwrap();
        }
    }
    assert!(is_sound(site));
    let absent = Standing::Violation(Violation::Absent);
    assert_eq!(standings(site), [absent.clone(), absent]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_does_not_start_while_others_may_read_the_keys_of_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let kek = world.provider.dir.join("keys/kek");
    std::fs::create_dir_all(&kek).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o750);
    std::fs::set_permissions(&kek, open).unwrap();
    let started = world.start(&world.provider, Deps::real()).await;
    let said = started.map(|_| ()).map_err(|error| format!("{error:#}"));
    let said = said.unwrap_err();
    assert!(
        said.contains("kek is open to others: make it private"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_ahead_of_the_registry_destroys_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    world.serve_source().await.unwrap();
    let clock = ManualClock::at(SystemClock.now());
    let provider = world.start(&world.provider, at(&clock)).await.unwrap();
    let consumer = world.start(&world.consumer, Deps::real()).await.unwrap();
    let asked = Consumer::of(&world.consumer).look_up().await;
    asked.unwrap();
    let directory = provider.directory();
    let confirmed = async |expected: bool| {
        let look = async || {
            ensure!(directory.is_connected(), "the registry is not heard");
            ensure!(directory.confirms_clock() == expected);
            Ok(())
        };
        until(look).await.unwrap();
    };
    confirmed(true).await;
    clock.advance(TERM);
    confirmed(false).await;
    // It begins by destroying what is due, if it may.
    provider.shutdown().await;
    let provider = world.start(&world.provider, at(&clock)).await.unwrap();
    let directory = provider.directory();
    until(async || {
        ensure!(directory.is_connected(), "the registry is not heard");
        Ok(())
    })
    .await
    .unwrap();
    assert!(!directory.confirms_clock());
    provider.shutdown().await;
    consumer.shutdown().await;
    assert_eq!(shreds(&world.provider), []);
    assert_eq!(opened(&world.provider), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_planned_when_a_server_stopped_is_logged_and_destroyed_at_its_next_start() {
    let town = Town::start().await.unwrap();
    town.ask().await.unwrap();
    let (world, _dir) = town.stop().await;
    let site = &world.provider;
    let day = SystemClock.now().day();
    {
        let (data, keys) = (site.dir.join("data/sidecar"), site.dir.join("keys/kek"));
        let sidecar = Sidecar::open(Arc::new(RealDisk), data, keys).unwrap();
        let targets = kept(site).into_iter().take(1).map(|kept| Target::Record {
            hash: kept.hash,
            retention: "benefits.730d".parse().unwrap(),
            day: kept.at.day(),
        });
        let reader = site.ledger().unwrap();
        let plan = Plan {
            authority: "Superior Court, file 26-1001".to_owned(),
            origin: reader.origin().unwrap().to_owned(),
            since: reader.size(),
            targets: targets.collect(),
        };
        sidecar.plan(&plan).unwrap();
    }
    let provider = world.start(&world.provider, Deps::real()).await.unwrap();
    provider.shutdown().await;
    let shreds = shreds(site);
    assert_eq!(shreds.len(), 1);
    assert_eq!(shreds[0].period, day.to_string());
    assert_eq!(shreds[0].authority, "Superior Court, file 26-1001");
    assert_eq!(opened(site), 1, "the other record of the day still opens");
    assert!(is_sound(site));
    let standings = standings(site);
    assert!(matches!(standings[0], Standing::Shredded(_)));
    assert_eq!(standings[1], Standing::Present);
}

/// What an order names is erased by the server's own start: in whichever shard it goes on in, and also what a
/// stop left in the write-ahead log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_courts_order_is_carried_out_at_the_next_start_and_forks_no_ledger() {
    // A minute before 2027 begins: the records are of the second shard.
    let clock = ManualClock::at(Timestamp::from_millis(1_798_761_540_000));
    let dir = tempfile::tempdir().unwrap();
    let world = World::build_at(dir.path(), Arc::new(clock.clone()))
        .await
        .unwrap();
    world.serve_source().await.unwrap();
    let (site, system) = (&world.provider, Consumer::of(&world.consumer));
    let provider = world.start(site, at(&clock)).await.unwrap();
    let consumer = world.start(&world.consumer, at(&clock)).await.unwrap();
    system.look_up().await.unwrap();
    clock.advance(Duration::from_secs(70));
    provider.shutdown().await;
    let provider = world.start(site, at(&clock)).await.unwrap();
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2027h1.1"));
    for _ in 0..2 {
        system.look_up().await.unwrap();
    }
    // As if the process had died: what was not moved yet waits in the write-ahead log.
    drop(provider);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let plan = |message: &[u8; 16]| {
        let config = Config::load(&site.config).unwrap();
        let id = MessageId::from_bytes(*message).to_string();
        let order = Order::find(&config, &disk, &id).unwrap();
        order.plan(&config, Arc::clone(&disk), "Superior Court, file 26-1001")
    };
    let first = kept(site)[0].message;
    plan(&first).unwrap();
    let again = plan(&first);
    assert!(matches!(again, Err(OrderError::Planned)), "{again:?}");
    let provider = world.start(site, at(&clock)).await.unwrap();
    provider.shutdown().await;
    let gone = |standings: &[Standing]| {
        let gone = standings
            .iter()
            .filter(|s| matches!(s, Standing::Shredded { .. }));
        gone.count()
    };
    let after = standings(site);
    assert_eq!((gone(&after), opened(site)), (2, 2), "{after:?}");

    // The same on a copy that was put back: nothing more is signed in it.
    let (data, backup) = (site.dir.join("data"), site.dir.join("backup"));
    copy(&data, &backup).unwrap();
    let second = kept(site).last().unwrap().message;
    let provider = world.start(site, at(&clock)).await.unwrap();
    system.look_up().await.unwrap();
    provider.shutdown().await;
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data).unwrap();
    plan(&second).unwrap();
    let checkpoint = site.shard_dir("2027h1.1").join("log/checkpoint");
    let restored = std::fs::read(&checkpoint).unwrap();
    let provider = world.start(site, at(&clock)).await.unwrap();
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2027h1.2"));
    assert_eq!(std::fs::read(&checkpoint).unwrap(), restored);
    provider.shutdown().await;
    assert_eq!(shreds(site).len(), 2, "in the shard that it goes on in");
    consumer.shutdown().await;
}
