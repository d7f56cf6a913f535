//! What a provider promised about its ledger, held against the ledger it publishes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_bundle::omission::{Omission, OmissionError, Shown};
use entente_clock::{Clock, ManualClock, SystemClock, Timestamp};
use entente_directory::{Author, Change, ServerUpdate};
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry, Summary};
use entente_ledger::log::Log;
use entente_ledger::{Append, Checkpoint, LedgerConfig, NoCompanion, SignedCheckpoint};
use entente_security_server::{Checked, Deps};
use entente_signing::{Digest, P256Key, Signer as _};
use entente_tests::town::{Town, at};
use entente_tests::world::{Site, World};

/// Writes a site's ledger anew, with its own key, as a server would that wants to hide something.
fn rewrite(site: &Site, entries: &[Bytes], clock: Arc<dyn Clock>) {
    let dir = site.ledger_dir().unwrap();
    let origin = site.origin().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::remove_dir_all(site.dir.join("data/store")).unwrap();
    std::fs::remove_file(site.dir.join("keys/newest-checkpoint")).unwrap();
    let keys = site.server_keys().unwrap();
    let mut log = Log::open(LedgerConfig::new(
        &dir,
        origin,
        keys.ledger,
        Arc::new(RealDisk),
        Box::new(NoCompanion),
        clock,
    ))
    .unwrap();
    for entry in entries {
        let append = Append {
            entry: entry.clone(),
            attachment: None,
        };
        log.appender.append_batch(&[append]).unwrap();
    }
    log.close().unwrap();
}

fn is_request(entry: &Bytes) -> bool {
    matches!(Entry::decode(entry).unwrap().body, Body::In(_))
}

fn index_of_request(entries: &[Bytes]) -> usize {
    entries.iter().position(is_request).unwrap()
}

fn proofs(site: &Site) -> Vec<Omission> {
    let dir = site.dir.join("data/incidents");
    let files = std::fs::read_dir(dir).unwrap().flatten();
    let files = files.filter(|file| file.file_name().to_string_lossy().starts_with("omission."));
    files
        .map(|file| Omission::from_json(&std::fs::read(file.path()).unwrap()).unwrap())
        .collect()
}

async fn checked(server: &entente_security_server::Running) -> Checked {
    server.check_receipts().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_that_was_kept_is_found_kept_and_a_broken_one_is_proven() {
    let Town {
        world,
        provider,
        consumer,
        system,
        dir: _dir,
        ..
    } = Town::start().await.unwrap();
    for _ in 0..3 {
        system.look_up().await.unwrap();
    }
    // What the provider has not published is still open, not broken.
    let before = checked(&consumer).await;
    assert_eq!((before.kept + before.open, before.broken), (3, 0));
    provider.publish_checkpoint().await.unwrap();
    let after = checked(&consumer).await;
    assert_eq!(
        (after.kept + before.kept, after.broken, after.open),
        (3, 0, 0)
    );
    // Each once.
    assert_eq!(checked(&consumer).await, Checked::default());

    // Two more; then the provider rewrites its ledger without the first of them.
    for _ in 0..2 {
        system.look_up().await.unwrap();
    }
    provider.shutdown().await;
    let honest = world.provider.encoded_entries().unwrap();
    let dropped = honest.len() - 4 + index_of_request(&honest[honest.len() - 4..]);
    let mut altered = honest.clone();
    let at = Entry::decode(&honest[dropped]).unwrap().at;
    let nothing = Summary {
        peer: None,
        reason: "OVERLOADED".to_owned(),
        count: 1,
        first: at,
        last: at,
    };
    altered[dropped] = Entry {
        at,
        body: Body::Summary(nothing),
    }
    .encode()
    .unwrap();
    rewrite(&world.provider, &altered, Arc::new(SystemClock));
    let provider = world.start(&world.provider, Deps::real()).await.unwrap();
    // It has another server key by now: the old one signed what the session is certified by.
    replace_server_key(&world).await;
    let found = checked(&consumer).await;
    assert_eq!((found.broken, found.open), (1, 0));
    // Looked at anew, it is the same proof.
    let remembered = world.consumer.dir.join("data/receipts.2026h2.1");
    std::fs::remove_file(remembered).unwrap();
    assert_eq!(checked(&consumer).await.broken, 1);
    let [omission] = &proofs(&world.consumer)[..] else {
        panic!("one proof");
    };
    let proven = omission.verify().unwrap();
    assert_eq!(proven.server, world.provider.server);
    assert_eq!(proven.promised.index, dropped as u64);
    assert_eq!(
        proven.promised.leaf_hash,
        entente_ledger::tree::leaf_hash(&honest[dropped])
    );
    let found = entente_ledger::tree::leaf_hash(&altered[dropped]);
    assert_eq!(proven.found, Some(found));
    tampered_proofs_prove_nothing(omission);
    consumer.shutdown().await;
    provider.shutdown().await;
}

/// A provider that lets its ledger end before what it promised: no newer copy of it will ever come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_beyond_the_end_of_a_ledger_is_broken_once_the_directory_says_that_it_ended() {
    let clock = ManualClock::at(Timestamp::from_millis(1_798_761_600_000 - 60_000));
    let town = Town::start_with(&at(&clock)).await.unwrap();
    for _ in 0..10 {
        town.ask().await.unwrap();
    }
    let Town {
        world,
        provider,
        consumer,
        dir: _dir,
        ..
    } = town;
    provider.shutdown().await;
    let honest = world.provider.encoded_entries().unwrap();
    let origin = world.provider.origin().unwrap();
    let requests = honest.iter().filter(|entry| is_request(entry)).count();
    assert_eq!(requests, 10);
    let kept = &honest[..honest.len() - 18];
    let requests = kept.iter().filter(|entry| is_request(entry)).count();
    assert!((1..=2).contains(&requests));
    rewrite(&world.provider, kept, Arc::new(clock.clone()));
    assert_eq!(world.view().state.shard_end(&origin), None);
    clock.advance(Duration::from_secs(70));
    let provider = world.start(&world.provider, at(&clock)).await.unwrap();
    let found = checked(&consumer).await;
    assert_eq!(found.open, 0);
    assert_eq!(
        (found.kept, found.broken),
        (requests as u64, 10 - requests as u64)
    );
    // What its last start wrote stands in the place of the first; the last were never reached.
    let mut proofs = proofs(&world.consumer);
    proofs.retain(|omission| omission.shown == Shown::Ended);
    let omission = proofs.last().unwrap();
    let proven = omission.verify().unwrap();
    assert_eq!(
        (proven.server, proven.found),
        (world.provider.server.clone(), None)
    );
    assert!(proven.promised.index >= proven.size);
    // Whoever is shown it asks the directory.
    let view = world.view();
    assert!(omission.has_ended(view.state.shard_end(&origin)));
    assert!(!omission.has_ended(None) && !omission.has_ended(Some(&Digest::of(b"another"))));
    assert_eq!(
        Omission::from_json(omission.to_json().as_bytes()).unwrap(),
        *omission
    );
    // A checkpoint from before its end shows it of no ledger.
    let mut earlier = omission.clone();
    let checkpoint = Checkpoint {
        origin: origin.clone(),
        size: 1,
        root: Digest::of(b"root"),
    };
    let ledger = world.provider.server_keys().unwrap().ledger;
    let checkpoint = SignedCheckpoint::sign(checkpoint, &*ledger).unwrap();
    earlier.checkpoint = checkpoint.note().to_string();
    assert_eq!(earlier.verify().unwrap().found, None);
    assert!(!earlier.has_ended(view.state.shard_end(&origin)));
    consumer.shutdown().await;
    provider.shutdown().await;
}

/// The member certifies another key of the provider's server.
async fn replace_server_key(world: &World) {
    let site = &world.provider;
    let key = P256Key::generate().unwrap();
    let change = Change::ServerUpdate(ServerUpdate {
        server: site.server.clone(),
        systems: None,
        addresses: None,
        key: Some(key.verifying_key().clone()),
        tls: None,
        hpke: None,
        ledger: None,
        protocols: None,
    });
    let author = Author::Member(site.member.clone());
    let replaced = world.submit(author, &*site.key, &change, Vec::new());
    replaced.await.unwrap();
}

/// A provider whose ledger forks behind what it tells: it showed one tree once, and shows another from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_does_not_continue_what_was_shown_before_is_kept_as_inconsistent() {
    let Town {
        world,
        provider,
        consumer,
        system,
        dir: _dir,
        ..
    } = Town::start().await.unwrap();
    system.look_up().await.unwrap();
    provider.publish_checkpoint().await.unwrap();
    assert_eq!(checked(&consumer).await.kept, 1);
    provider.shutdown().await;
    consumer.shutdown().await;
    // All of it is another, and longer; the consumer's own memory of what it heard is gone with its process.
    let mut altered = world.provider.encoded_entries().unwrap();
    altered.insert(0, altered[0].clone());
    rewrite(&world.provider, &altered, Arc::new(SystemClock));
    let provider = world.start(&world.provider, Deps::real()).await.unwrap();
    let consumer = world.start(&world.consumer, Deps::real()).await.unwrap();
    // A message that was told of a moment ago hides it no more.
    system.look_up().await.unwrap();
    checked(&consumer).await;
    let incidents = std::fs::read_dir(world.consumer.dir.join("data/incidents")).unwrap();
    let names: Vec<_> = incidents
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        names.iter().any(|name| name.starts_with("inconsistent.")),
        "{names:?}"
    );
    consumer.shutdown().await;
    provider.shutdown().await;
}

/// A provider that is away for longer than a day, and over the end of both its and our half-year.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_is_watched_beyond_the_day_the_restart_and_the_half_year() {
    // A minute before 2027 begins.
    let clock = ManualClock::at(Timestamp::from_millis(1_798_761_540_000));
    let deps = at(&clock);
    let Town {
        world,
        provider,
        consumer,
        system,
        dir: _dir,
        ..
    } = Town::start_with(&deps).await.unwrap();
    for _ in 0..2 {
        system.look_up().await.unwrap();
    }
    provider.shutdown().await;
    let open = Checked {
        open: 2,
        ..Checked::default()
    };
    assert_eq!(checked(&consumer).await, open);
    clock.advance(Duration::from_secs(50 * 3600));
    let directory = consumer.directory();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while directory.is_stale() {
        // Until the registry is heard again.
        tick.tick().await;
    }
    assert_eq!(checked(&consumer).await, open);
    consumer.shutdown().await;
    let consumer = world.start(&world.consumer, deps.clone()).await.unwrap();
    let site = &world.consumer;
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2027h1.1"));
    assert_eq!(checked(&consumer).await, open);
    let provider = world.start(&world.provider, deps).await.unwrap();
    let kept = Checked {
        kept: 2,
        ..Checked::default()
    };
    assert_eq!(checked(&consumer).await, kept);
    assert_eq!(checked(&consumer).await, Checked::default());
    consumer.shutdown().await;
    provider.shutdown().await;
}

/// A proof of which anything was changed proves nothing.
fn tampered_proofs_prove_nothing(omission: &Omission) {
    let text = omission.to_json();
    assert_eq!(Omission::from_json(text.as_bytes()).unwrap(), *omission);
    let fails = |change: &dyn Fn(&mut Omission)| {
        let mut changed = omission.clone();
        change(&mut changed);
        assert!(changed.verify().is_err());
    };
    let flip = |bytes: &Bytes, at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    for at in (0..omission.answer.len()).step_by(7) {
        fails(&|omission| omission.answer = flip(&omission.answer, at));
    }
    for at in (0..omission.session.len()).step_by(7) {
        fails(&|omission| omission.session = flip(&omission.session, at));
    }
    let Shown::Another { leaf_hash, path } = &omission.shown else {
        panic!("another entry is shown");
    };
    let another = |leaf_hash: Digest, path: &[Digest]| Shown::Another {
        leaf_hash,
        path: path.to_vec(),
    };
    fails(&|omission| omission.shown = another(*leaf_hash, &path[1..]));
    fails(&|omission| omission.shown = another(Digest::of(b"another"), path));
    // The ledger came so far, and went on.
    let mut ended = omission.clone();
    ended.shown = Shown::Ended;
    assert!(matches!(ended.verify(), Err(OmissionError::Reached)));
    fails(&|omission| omission.checkpoint = omission.checkpoint.replace("\n1", "\n2"));
    let mut kept = omission.clone();
    kept.shown = another(omission.verify().unwrap().promised.leaf_hash, path);
    assert!(matches!(kept.verify(), Err(OmissionError::Kept)));
    for cut in (0..text.len()).step_by(11) {
        assert!(Omission::from_json(&text.as_bytes()[..cut]).is_err());
    }
    assert!(Omission::from_json(&[b' '; 300_000]).is_err());
}
