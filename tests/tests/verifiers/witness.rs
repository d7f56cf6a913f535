//! A witness that is not ours takes our checkpoints, and no fork of them.

use entente_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use entente_ledger::cosignature::verify_line;
use entente_ledger::note::{NoteSignature, WitnessKey};
use entente_signing::Digest;
use entente_tests::verifiers::{Verifier, Witness};

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
