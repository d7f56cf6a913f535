//! What a peer tells of its own ledger, held against it.

use std::time::Duration;

use bytes::Bytes;
use entente_clock::{Clock as _, ManualClock, SystemClock};
use entente_directory::{Author, Change, Mode};
use entente_evidence::statement::LogOrigin;
use entente_follow::author::next_shard;
use entente_ledger::cosignature::cosign;
use entente_ledger::note::WitnessKey;
use entente_ledger::{Checkpoint, SignedCheckpoint};
use entente_signing::{Digest, Ed25519Key, Signer as _};
use entente_tests::hostile::Envelope;

use super::support::{Gate, at};

/// Opens the shard of the forger's ledger in the registry.
async fn open_shard(gate: &Gate) -> LogOrigin {
    let (keys, server) = (&gate.forger.keys, &gate.world.consumer.server);
    let view = gate.world.view();
    let key = keys.ledger.verifying_key().clone();
    let now = gate.world.now();
    let shard = next_shard(&view.state, server, Mode::Live, key, None, now);
    let origin = shard.origin.parse().unwrap();
    let author = Author::Server(server.clone());
    let change = Change::ShardOpen(shard);
    let opened = gate
        .world
        .submit(author, &*keys.server, &change, Vec::new());
    opened.await.unwrap();
    origin
}

/// A checkpoint of the forger's ledger.
fn checkpoint(gate: &Gate, origin: &LogOrigin, size: u64, root: &[u8]) -> SignedCheckpoint {
    let checkpoint = Checkpoint {
        origin: origin.to_string(),
        size,
        root: Digest::of(root),
    };
    SignedCheckpoint::sign(checkpoint, &*gate.forger.keys.ledger).unwrap()
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
    let origin = open_shard(&gate).await;
    let note = |size, root: &[u8]| checkpoint(&gate, &origin, size, root).note().to_string();
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
    let origin = open_shard(&gate).await;
    let (mine, theirs) = (
        Ed25519Key::from_seed(&[5; 32]).unwrap(),
        Ed25519Key::from_seed(&[6; 32]).unwrap(),
    );
    let line = |label: &str, key: &Ed25519Key| {
        let key = WitnessKey::new(&format!("{label}.example"), key.verifying_key().clone());
        format!("witness {label} {}\n", key.unwrap())
    };
    // The provider's own ledger has the registry's witness; the consumer's has nobody we can ask.
    let registry = gate.world.registry.as_ref().unwrap();
    let (address, key) = registry.witness().unwrap();
    let policy = line("mine", &mine)
        + &line("theirs", &theirs)
        + &format!("witness registry {key} http://{address}\n")
        + "group any-of-three any mine theirs registry\nquorum any-of-three\n";
    let policy = policy.parse().unwrap();
    let changed = gate.world.change_policy(|held| held.witnesses = policy);
    changed.await.unwrap();
    let cosigned = |size| {
        let mut checkpoint = checkpoint(&gate, &origin, size, b"root");
        let line = cosign(&checkpoint, clock.now(), "theirs.example", &theirs).unwrap();
        checkpoint.add(line);
        checkpoint.note().to_string()
    };
    gate.answered(&telling(&gate, &origin, &cosigned(3))).await;
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
    let bare = checkpoint(&gate, &origin, 4, b"root").note().to_string();
    assert_eq!(
        gate.denied(&telling(&gate, &origin, &bare)).await,
        "LOG_UNWITNESSED"
    );
    gate.answered(&telling(&gate, &origin, &cosigned(5))).await;
    let log = gate.close().await;
    assert_eq!(log.asked, 3);
}
