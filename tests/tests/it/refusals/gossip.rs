//! What a peer tells of its own ledger, held against it.

use std::time::Duration;

use bytes::Bytes;
use entente_clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use entente_directory::{Author, Change, Mode};
use entente_evidence::statement::LogOrigin;
use entente_follow::author::next_shard;
use entente_ledger::cosignature::cosign;
use entente_ledger::note::WitnessKey;
use entente_ledger::{Checkpoint, SignedCheckpoint};
use entente_signing::{Digest, Ed25519Key, Signer as _};
use entente_tests::hostile::{Envelope, Forger, Says};
use entente_tests::town::at;
use entente_tests::world::World;

use super::support::{Gate, Window, released};

/// Opens the next shard of a forger's ledger in the registry.
async fn open_shard(world: &World, forger: &Forger) -> LogOrigin {
    let (keys, server) = (&forger.keys, &forger.server);
    let view = world.view();
    let key = keys.ledger.verifying_key().clone();
    let before = view.state.shard(server, Mode::Live).is_some();
    let before = before.then(|| Digest::of(b"how it ended"));
    let shard = next_shard(&view.state, server, Mode::Live, key, before, world.now());
    let origin = shard.origin.parse().unwrap();
    let author = Author::Server(server.clone());
    let change = Change::ShardOpen(shard);
    let opened = world.submit(author, &*keys.server, &change, Vec::new());
    opened.await.unwrap();
    origin
}

/// A checkpoint of a forger's ledger.
fn checkpoint(forger: &Forger, origin: &LogOrigin, size: u64, root: &[u8]) -> SignedCheckpoint {
    let checkpoint = Checkpoint {
        origin: origin.to_string(),
        size,
        root: Digest::of(root),
    };
    SignedCheckpoint::sign(checkpoint, &*forger.keys.ledger).unwrap()
}

/// An honest request with a note beside it.
fn telling(gate: &Gate, origin: &LogOrigin, note: &str) -> Envelope {
    let mut envelope = gate.forge(|statement| statement.log = origin.clone());
    envelope.open.checkpoint = Bytes::copy_from_slice(note.as_bytes());
    envelope
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_shows_two_trees_of_one_size_is_refused_from_then_on() {
    let gate = Gate::open().await;
    let origin = open_shard(&gate.world, &gate.forger).await;
    let note = |size, root: &[u8]| {
        let checkpoint = checkpoint(&gate.forger, &origin, size, root);
        checkpoint.note().to_string()
    };
    let (one, other) = (note(7, b"one"), note(7, b"other"));
    gate.answered(&telling(&gate, &origin, &one)).await;
    gate.answered(&telling(&gate, &origin, &one)).await;
    // What is not signed by its ledger's key says nothing about it.
    let forged = one.replace("\n7\n", "\n8\n");
    gate.answered(&telling(&gate, &origin, &forged)).await;
    assert_eq!(
        gate.denied(&telling(&gate, &origin, &other)).await,
        "LOG_FORKED"
    );
    assert_eq!(
        gate.denied(&telling(&gate, &origin, &one)).await,
        "LOG_FORKED"
    );
    // More of the kind is not kept: who has forked could go on for ever.
    let third = note(7, b"a third");
    assert_eq!(
        gate.denied(&telling(&gate, &origin, &third)).await,
        "LOG_FORKED"
    );
    let kept = gate.world.provider.dir.join("data/incidents");
    let kept: Vec<_> = std::fs::read_dir(kept).unwrap().flatten().collect();
    let evidence = std::fs::read_to_string(kept[0].path()).unwrap();
    assert_eq!((kept.len(), evidence), (1, [one, other].concat()));
    // And remembered by the next process.
    let gate = gate.restart().await;
    let after = telling(&gate, &origin, "");
    assert_eq!(gate.denied(&after).await, "LOG_FORKED");
    let log = gate.close().await;
    assert_eq!(log.asked, 3);
    let notes = log.story();
    let notes = notes.iter().filter(|line| *line == "PEER-CHECKPOINT");
    // The first when it was heard, and both when they differed.
    assert_eq!(notes.count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_ledger_nobody_cosigns_any_more_is_refused_until_somebody_does() {
    let clock = ManualClock::at(SystemClock.now());
    let gate = Gate::open_with(at(&clock), "").await;
    let origin = open_shard(&gate.world, &gate.forger).await;
    let theirs = with_another_witness(&gate.world).await;
    let cosigned = |origin: &LogOrigin, size| {
        let checkpoint = checkpoint(&gate.forger, origin, size, b"root");
        cosigned(checkpoint, clock.now(), &theirs)
    };
    let note = cosigned(&origin, 3);
    gate.answered(&telling(&gate, &origin, &note)).await;
    clock.advance(Duration::from_secs(14 * 60));
    gate.provider.publish_checkpoint().await.unwrap();
    gate.answered(&telling(&gate, &origin, "")).await;
    clock.advance(Duration::from_secs(2 * 60));
    gate.provider.publish_checkpoint().await.unwrap();
    assert_eq!(
        gate.denied(&telling(&gate, &origin, "")).await,
        "LOG_UNWITNESSED"
    );
    // A newer checkpoint that nobody cosigned does not help.
    let bare = checkpoint(&gate.forger, &origin, 4, b"root");
    let bare = bare.note().to_string();
    assert_eq!(
        gate.denied(&telling(&gate, &origin, &bare)).await,
        "LOG_UNWITNESSED"
    );
    // Nor does an older one cosigned anew, nor one of a ledger that is closed.
    let older = cosigned(&origin, 3);
    assert_eq!(
        gate.denied(&telling(&gate, &origin, &older)).await,
        "LOG_UNWITNESSED"
    );
    let next = open_shard(&gate.world, &gate.forger).await;
    let closed = cosigned(&origin, 5);
    assert_eq!(
        gate.denied(&telling(&gate, &origin, &closed)).await,
        "LOG_UNWITNESSED"
    );
    let open = cosigned(&next, 1);
    gate.answered(&telling(&gate, &next, &open)).await;
    let log = gate.close().await;
    assert_eq!(log.asked, 3);
}

/// Answers to calls side by side arrive in any order: each of a moment vouches for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_of_a_moment_tells_the_newest_checkpoint_and_later_ones_do_not() {
    let clock = ManualClock::at(SystemClock.now());
    let gate = Gate::open_with(at(&clock), "").await;
    let told = async || {
        let envelope = gate.seal(gate.draft());
        let open = gate.wire.send(envelope.open.clone()).await.unwrap();
        open.checkpoint
    };
    let first = told().await;
    assert!(!first.is_empty());
    assert_eq!(told().await, first);
    clock.advance(Duration::from_secs(3));
    assert!(told().await.is_empty());
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_is_seen_between_notes_of_another_shard() {
    let gate = Gate::open().await;
    let old = open_shard(&gate.world, &gate.forger).await;
    let new = open_shard(&gate.world, &gate.forger).await;
    let note = |origin: &LogOrigin, size, root: &[u8]| {
        let checkpoint = checkpoint(&gate.forger, origin, size, root);
        telling(&gate, origin, &checkpoint.note().to_string())
    };
    gate.answered(&note(&old, 7, b"one")).await;
    gate.answered(&note(&new, 2, b"of the next")).await;
    assert_eq!(gate.denied(&note(&old, 7, b"other")).await, "LOG_FORKED");
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_shows_a_fork_is_kept_and_not_used_and_no_other_is_asked_for() {
    let window = Window::open().await;
    let forger = Forger::of(&window.world, &window.world.provider).unwrap();
    let origin = open_shard(&window.world, &forger).await;
    let notes = [b"one".as_slice(), b"one", b"other"].map(|root| {
        let checkpoint = checkpoint(&forger, &origin, 7, root);
        Bytes::from(checkpoint.note().to_string())
    });
    let impostor = window
        .before(move |forger, heard| {
            let answer = heard.response(forger, released())?;
            let mut open = answer.seal(heard)?;
            open.checkpoint = notes[heard.before].clone();
            Ok(open.into())
        })
        .await;
    for _ in 0..2 {
        window.ask(&[]).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(window.refused(&[]).await.reason, "LOG_FORKED");
    }
    assert_eq!(impostor.heard().len(), 3);
    // What it promised in that answer is asked for like the rest.
    let checked = window.consumer.check_receipts().await.unwrap();
    assert_eq!(checked.open, 3);
    let story = window.close().await.story();
    let kept = "DENIED LOG_FORKED ca-demo/vital-events/@ss1";
    assert!(story.iter().any(|entry| entry == kept), "{story:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_to_a_peer_that_nobody_cosigns_one_a_minute_goes_out() {
    let clock = ManualClock::at(SystemClock.now());
    let window = Window::open_with(at(&clock), "").await;
    let forger = Forger::of(&window.world, &window.world.provider).unwrap();
    let origin = open_shard(&window.world, &forger).await;
    let theirs = with_another_witness(&window.world).await;
    let note = cosigned(
        checkpoint(&forger, &origin, 7, b"one"),
        clock.now(),
        &theirs,
    );
    let impostor = window
        .before(move |forger, heard| {
            // From the third on it says nothing at all.
            if heard.before > 1 {
                return Ok(Says::Nothing);
            }
            let answer = heard.response(forger, released())?;
            let mut open = answer.seal(heard)?;
            open.checkpoint = Bytes::from(note.clone());
            Ok(open.into())
        })
        .await;
    window.ask(&[]).await.unwrap();
    clock.advance(Duration::from_secs(16 * 60));
    window.consumer.publish_checkpoint().await.unwrap();
    assert_eq!(window.refused(&[]).await.reason, "LOG_UNWITNESSED");
    assert_eq!(window.refused(&[]).await.reason, "LOG_UNWITNESSED");
    assert_eq!(impostor.heard().len(), 2);
    clock.advance(Duration::from_secs(61));
    let brief = [("grpc-timeout", "1500m")];
    let told = tokio::join!(window.refused(&brief), window.refused(&brief));
    assert_eq!(impostor.heard().len(), 3, "{told:?}");
    window.close().await;
}

/// The policy asks for one of three witnesses. The servers' own ledgers have the registry's; the forger's
/// has one that is on no network, whose key this is.
async fn with_another_witness(world: &World) -> Ed25519Key {
    let (mine, theirs) = (
        Ed25519Key::from_seed(&[5; 32]).unwrap(),
        Ed25519Key::from_seed(&[6; 32]).unwrap(),
    );
    let line = |label: &str, key: &Ed25519Key| {
        let key = WitnessKey::new(&format!("{label}.example"), key.verifying_key().clone());
        format!("witness {label} {}\n", key.unwrap())
    };
    let registry = world.registry.as_ref().unwrap();
    let (address, key) = registry.witness().unwrap();
    let policy = line("mine", &mine)
        + &line("theirs", &theirs)
        + &format!("witness registry {key} http://{address}\n")
        + "group any-of-three any mine theirs registry\nquorum any-of-three\n";
    let policy = policy.parse().unwrap();
    let changed = world.change_policy(|held| held.witnesses = policy);
    changed.await.unwrap();
    theirs
}

/// With the cosignature of that witness.
fn cosigned(mut checkpoint: SignedCheckpoint, at: Timestamp, theirs: &Ed25519Key) -> String {
    let line = cosign(&checkpoint, at, "theirs.example", theirs).unwrap();
    checkpoint.add(line);
    checkpoint.note().to_string()
}
