//! A witness that is not ours takes our checkpoints, and no fork of them.

use std::sync::Arc;

use entente_clock::{Clock as _, SystemClock};
use entente_directory::Mode;
use entente_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use entente_ledger::cosignature::verify_line;
use entente_ledger::note::{NoteKey, NoteSignature, WitnessKey};
use entente_ledger::witness::WitnessPolicy;
use entente_security_server::Deps;
use entente_signing::Digest;
use entente_testkit::backup::copy;
use entente_tests::verifiers::{Verifier, Witness};
use entente_tests::world::World;

use crate::ledgers::{ORIGIN, Written, base64};

#[tokio::test]
async fn a_witness_cosigns_our_checkpoints_and_refuses_a_fork_even_after_a_restart() {
    let written = Written::new(&[5, 300]);
    let folder = tempfile::tempdir().unwrap();
    let witness = Witness::create(folder.path(), "w1.oversight.ca-demo")
        .await
        .unwrap();
    let running = witness.start().await.unwrap();
    let first = std::fs::read_to_string(&written.older[0]).unwrap();
    let unknown = running.add_checkpoint(0, &[], &first).await.unwrap();
    assert_eq!(unknown.status, 404);
    running.stop().await.unwrap();

    let vkey = written.key.to_string();
    witness.trust(ORIGIN, &vkey).await.unwrap();
    let running = witness.start().await.unwrap();
    let cosigned = running.add_checkpoint(0, &[], &first).await.unwrap();
    assert_eq!(cosigned.status, 200, "{cosigned:?}");

    // Our proof of consistency is what it asks for.
    let mut newest = written.checkpoint();
    let note = newest.note().to_string();
    let proof = written.reader().consistency(5, 300).unwrap().unwrap();
    let proof: Vec<_> = proof
        .path
        .iter()
        .map(|hash| base64(hash.as_bytes()))
        .collect();
    let refused = running.add_checkpoint(5, &proof[1..], &note).await.unwrap();
    assert_eq!(refused.status, 422);
    let cosigned = running.add_checkpoint(5, &proof, &note).await.unwrap();
    assert_eq!(cosigned.status, 200, "{cosigned:?}");
    let late = running.add_checkpoint(5, &proof, &note).await.unwrap();
    assert_eq!(late.status, 409);
    assert_eq!(late.content_type.as_deref(), Some("text/x.tlog.size"));
    assert_eq!(late.body, "300\n");

    // Its line goes into our note, and is one that we and others count.
    let line: NoteSignature = cosigned.body.trim_end().parse().unwrap();
    let its: WitnessKey = witness.vkey.parse().unwrap();
    verify_line(&newest, &line, &its).unwrap();
    newest.add(line);
    std::fs::write(
        written.served().join("checkpoint"),
        newest.note().to_string(),
    )
    .unwrap();
    let served = written.served();
    let words = [
        "ledger",
        served.to_str().unwrap(),
        &vkey,
        "--witness",
        &witness.vkey,
    ];
    Verifier::AicsTlog.start().unwrap().accepts(&words).unwrap();
    Verifier::Go.start().unwrap().accepts(&words[..3]).unwrap();

    running.stop().await.unwrap();
    let running = witness.start().await.unwrap();
    let forked = Checkpoint {
        root: Digest::of(b"another"),
        ..newest.checkpoint().clone()
    };
    let forked = SignedCheckpoint::sign(forked, &*written.signer).unwrap();
    let forked = forked.note().to_string();
    let refused = running.add_checkpoint(300, &[], &forked).await.unwrap();
    assert_eq!(refused.status, 422);
    // What we signed twice, it keeps.
    let evidence = witness.evidence().await.unwrap();
    assert!(!evidence.as_array().unwrap().is_empty());
}

/// A server's own submissions go to a witness that shares no code with it, and an older copy of its ledger
/// does not get past it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_of_others_cosigns_a_servers_ledger_and_catches_an_older_copy() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let site = &world.provider;
    // The first start opens the shard, so that the witness can be told of it.
    let provider = world.start(site, Deps::real()).await.unwrap();
    provider.shutdown().await;
    let view = world.view();
    let shard = view.state.shard(&site.server, Mode::Live).unwrap();
    let vkey = NoteKey::new(&shard.origin, shard.key.clone())
        .unwrap()
        .to_string();
    let witness = Witness::create(&dir.path().join("witness"), "w1.oversight.ca-demo")
        .await
        .unwrap();
    witness.trust(&shard.origin, &vkey).await.unwrap();
    let running = witness.start().await.unwrap();
    let line = format!("witness w1 {} http://{}\n", witness.vkey, running.address);
    let policy: WitnessPolicy = (line + "quorum w1\n").parse().unwrap();
    let changed = world.change_policy(|held| held.witnesses = policy.clone());
    changed.await.unwrap();

    let provider = world.start(site, Deps::real()).await.unwrap();
    let served = site.ledger_dir().unwrap().join("log");
    let cosigned = || {
        let note = std::fs::read(served.join("checkpoint")).unwrap();
        let key: NoteKey = vkey.parse().unwrap();
        let checkpoint = SignedCheckpoint::verify(&note, &key).unwrap();
        let judged = policy.judge(&Arc::new(checkpoint), SystemClock.now());
        judged.map(|judged| judged.checkpoint().size())
    };
    let first = cosigned().unwrap();
    provider.shutdown().await;
    let (data, backup) = (site.dir.join("data"), site.dir.join("backup"));
    copy(&data, &backup).unwrap();
    // A start logs, and so the ledger grows; the witness sees how.
    let provider = world.start(site, Deps::real()).await.unwrap();
    let second = cosigned().unwrap();
    assert!(second > first);
    let words = [
        "ledger",
        served.to_str().unwrap(),
        &vkey,
        "--witness",
        &witness.vkey,
    ];
    Verifier::AicsTlog.start().unwrap().accepts(&words).unwrap();
    provider.shutdown().await;

    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data).unwrap();
    let provider = world.start(site, Deps::real()).await.unwrap();
    let (old, new) = (served.parent().unwrap(), site.ledger_dir().unwrap());
    assert!(new > *old, "{}", new.display());
    provider.shutdown().await;
    // No fork was ever signed.
    let evidence = witness.evidence().await.unwrap();
    assert!(evidence.as_array().unwrap().is_empty(), "{evidence}");
    running.stop().await.unwrap();
}
