//! Cosignatures, policies and the witness's rule, and a ledger that waits for a quorum.

mod demands;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use entente_clock::Timestamp;
use entente_ledger::cosignature::{cosign, verify};
use entente_ledger::disk::Disk;
use entente_ledger::note::{NoteKey, SignedNote, WitnessKey};
use entente_ledger::tree::{leaf_hash, root_of};
use entente_ledger::witness::{AddCheckpoint, Refused, Seen, WitnessPolicy};
use entente_ledger::{
    Checkpoint, Cosigner, CosignerFuture, Ledger, LedgerConfig, Runner, SignedCheckpoint,
    SignedTree, Witnessed,
};
use entente_signing::{Digest, Ed25519Key, Signer};
use entente_testkit::MemDisk;
use proptest::prelude::*;

use crate::support::{DIR, ORIGIN, RecordingSigner, append, config};

/// Written by other code, with two witnesses that must both have cosigned.
const POLICY: &str = "\
log ss1.health.fi.entente.example/access+ba5dc462+AV+7OMuHyeYzt8Nn6moJ4H/WOhzH0+8/VTZFDgq2Rc6N
witness reg w1.registry.entente.example+8875b09f+BPo1B0Opgr7GsgkxWeTGObMvt/urHXsqTZhtAuRB+NdU
witness dpa w1.dpa.fi.example+68ba0357+BIDAyFTPWM7X9qMPh0tQoJi9/lc7sad638wJaSbawvYD
group oversight all reg dpa
quorum oversight
";
const COSIGNED: &str = "\
ss1.health.fi.entente.example/access
5
577yzIEykcZyFA8re38vwUGnA6VD5kZ6NI5ri7PW6ng=

\u{2014} ss1.health.fi.entente.example/access ul3EYow64S51dd31R1HjvSJLGjxT4vYBaokbo/HRGZZDV6Tl9xEYolil8TFoNKA3clzgG1hl19DjrdKBrJP4FJh3KwU=
\u{2014} w1.registry.entente.example iHWwnwAAAABrAjC9WDTKjn/BXNen9FWVNO15OAQuPiLgzMDq1ovuFiZbTSK/Z0ZcSwoyORuPIxjcEUARx6a754epMHmmrjeyFyb0Ag==
\u{2014} w1.dpa.fi.example aLoDVwAAAABrAjC+RZ4hWqIN3A5OCJlqPdPs5nxuTSwAHpKd4PcCpHJqf3K0YN4S3sl+82QQoo/zptcwZUJvZ2JRUCwBPJ24Ww/pBA==
";
/// What the ledger's clock says.
const NOW: Timestamp = Timestamp::from_millis(1_795_305_600_000);
const COSIGNED_AT: u64 = 1_795_305_661_000;

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn key(seed: u8) -> Ed25519Key {
    Ed25519Key::from_seed(&[seed; 32]).unwrap()
}

fn named(name: &str, seed: u8) -> WitnessKey {
    WitnessKey::new(name, key(seed).verifying_key().clone()).unwrap()
}

fn tree(size: u64) -> Digest {
    let leaves: Vec<_> = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
    root_of(&leaves)
}

fn signed(size: u64, root: Digest) -> SignedCheckpoint {
    let checkpoint = Checkpoint {
        origin: ORIGIN.to_owned(),
        size,
        root,
    };
    SignedCheckpoint::sign(checkpoint, &key(1)).unwrap()
}

/// Witness `w<n>` has key `n`, and cosigned at second `at`.
fn cosigned(cosignatures: &[(u8, u64)]) -> Arc<SignedCheckpoint> {
    let mut checkpoint = signed(3, tree(3));
    for (witness, at) in cosignatures {
        let name = format!("w{witness}.example");
        let line = cosign(&checkpoint, seconds(*at), &name, &key(*witness)).unwrap();
        checkpoint.add(line);
    }
    Arc::new(checkpoint)
}

#[test]
fn the_policy_and_cosignatures_of_other_code_are_understood() {
    let policy: WitnessPolicy = POLICY.parse().unwrap();
    assert_eq!(policy.to_string(), POLICY);
    assert_eq!((policy.fewest(), policy.witnesses().len()), (2, 2));
    let log = &policy.logs()[0];
    let checkpoint = SignedCheckpoint::verify(COSIGNED.as_bytes(), log).unwrap();
    assert_eq!(checkpoint.note().to_string(), COSIGNED);
    let times: Vec<_> = policy
        .witnesses()
        .iter()
        .map(|witness| verify(&checkpoint, &witness.key).unwrap().as_millis())
        .collect();
    assert_eq!(times, [COSIGNED_AT, COSIGNED_AT + 1000]);
    let checkpoint = Arc::new(checkpoint);
    let now = Timestamp::from_millis(COSIGNED_AT + 5000);
    let judged = policy.judge(&checkpoint, now).unwrap();
    assert_eq!(judged.at(), Some(Timestamp::from_millis(COSIGNED_AT)));
    // Without either line there is no quorum, nor in a past before both.
    for gone in ["w1.registry", "w1.dpa"] {
        let lines = COSIGNED.lines().filter(|line| !line.contains(gone));
        let note = lines.fold(String::new(), |note, line| note + line + "\n");
        let checkpoint = SignedCheckpoint::verify(note.as_bytes(), log).unwrap();
        assert!(policy.judge(&Arc::new(checkpoint), now).is_none(), "{gone}");
    }
    let before = Timestamp::from_millis(COSIGNED_AT - 60_000);
    assert!(policy.judge(&checkpoint, before).is_none());
}

#[test]
fn a_cosignature_is_of_one_witness_one_checkpoint_and_one_time() {
    let checkpoint = cosigned(&[(7, 1_000)]);
    assert_eq!(
        verify(&checkpoint, &named("w7.example", 7)).unwrap(),
        seconds(1_000)
    );
    assert!(verify(&checkpoint, &named("w8.example", 7)).is_err());
    assert!(verify(&checkpoint, &named("w7.example", 8)).is_err());
    let line = checkpoint.note().signatures()[1].clone();
    for at in 0..line.bytes.len() {
        let mut altered = line.clone();
        altered.bytes[at] ^= 1;
        let mut note = signed(3, tree(3));
        note.add(altered);
        assert!(verify(&note, &named("w7.example", 7)).is_err(), "{at}");
    }
    let mut other = signed(4, tree(4));
    other.add(line.clone());
    assert!(verify(&other, &named("w7.example", 7)).is_err());
    // A newer cosignature takes the place of an older one.
    let mut again = (*checkpoint).clone();
    let newer = cosign(&again, seconds(2_000), "w7.example", &key(7)).unwrap();
    again.add(newer);
    assert_eq!(again.note().signatures().len(), 2);
    assert_eq!(
        verify(&again, &named("w7.example", 7)).unwrap(),
        seconds(2_000)
    );
}

#[test]
fn a_quorum_is_counted_as_its_groups_say() {
    let witness = |n: u8| format!("witness w{n} {}\n", named(&format!("w{n}.example"), n));
    let text = (2..=5).map(witness).collect::<String>()
        + "group boards 2 w3 w4 w5\ngroup both all w2 boards\nquorum both\n";
    let policy: WitnessPolicy = text.parse().unwrap();
    assert_eq!(policy.to_string(), text);
    assert_eq!(policy.fewest(), 3);
    let now = seconds(1_000);
    let at = |cosignatures: &[(u8, u64)]| {
        let judged = policy.judge(&cosigned(cosignatures), now);
        judged.map(|judged| judged.at().unwrap().as_millis() / 1000)
    };
    assert_eq!(at(&[(2, 10), (3, 20), (4, 30)]), Some(10));
    assert_eq!(at(&[(2, 90), (3, 20), (4, 30)]), Some(20));
    // The older of three that two suffice of does not hold it back.
    assert_eq!(at(&[(2, 90), (3, 20), (4, 30), (5, 40)]), Some(30));
    for short in [&[(3, 20), (4, 30), (5, 40)][..], &[(2, 10), (5, 9)], &[]] {
        assert_eq!(at(short), None);
    }
    // A witness whose clock is minutes ahead is not counted yet.
    assert_eq!(at(&[(2, 10), (3, 20), (4, 1_300)]), None);
    let none: WitnessPolicy = "quorum none\n".parse().unwrap();
    assert_eq!(none, WitnessPolicy::default());
    assert_eq!(none.judge(&cosigned(&[]), now).unwrap().at(), None);
}

#[test]
fn what_is_not_a_policy_is_refused_with_its_line() {
    let a = named("a.example", 1);
    let b = named("b.example", 2);
    let head = format!("witness a {a}\nwitness b {b} https://b.example/w\n");
    for (rest, line) in [
        ("", 2),
        ("quorum c\n", 3),
        ("quorum a\nquorum b\n", 4),
        ("group g 3 a b\nquorum g\n", 3),
        ("group g 0 a b\nquorum g\n", 3),
        ("group g any\nquorum g\n", 3),
        ("group g any a a\nquorum g\n", 3),
        ("group g any g\nquorum g\n", 3),
        ("group a any a b\nquorum a\n", 3),
        ("group g all a\ngroup h all a\nquorum h\n", 4),
        ("group none all a\nquorum none\n", 3),
        ("witness c nonsense\nquorum c\n", 3),
        ("witness c a.example+00000000+AAAA\nquorum c\n", 3),
        ("log nonsense\nquorum a\n", 3),
        ("anything\nquorum a\n", 3),
    ] {
        let refused = (head.clone() + rest).parse::<WitnessPolicy>().unwrap_err();
        assert_eq!(refused.line, line, "{rest}");
    }
    let twice = format!("witness a {a}\nwitness c {a}\nquorum a\n");
    assert!(twice.parse::<WitnessPolicy>().is_err());
    let elsewhere = format!("witness a {a} ftp://a.example\nquorum a\n");
    assert!(elsewhere.parse::<WitnessPolicy>().is_err());
    assert!("quorum none\n# a".parse::<WitnessPolicy>().is_ok());
    assert!("\n".repeat(600).parse::<WitnessPolicy>().is_err());
}

#[test]
fn a_witness_cosigns_only_what_continues_what_it_has_seen() {
    use entente_ledger::proof::ConsistencyProof;
    let log = NoteKey::new(ORIGIN, key(1).verifying_key().clone()).unwrap();
    let request = |old: u64, size: u64, root: Digest, proof: Vec<Digest>| AddCheckpoint {
        old_size: old,
        proof,
        note: signed(size, root).note().clone(),
    };
    let prove = |old: u64, new: u64| {
        let mut nodes = Leaves;
        let proof = ConsistencyProof::build(&mut nodes, old, new).unwrap();
        proof.map_or_else(Vec::new, |proof| proof.path)
    };
    let keys = [log.clone()];
    let seen = |size| {
        Some(Seen {
            size,
            root: tree(size),
        })
    };
    let admit = |request: &AddCheckpoint, seen| {
        let parsed = AddCheckpoint::parse(request.to_string().as_bytes()).unwrap();
        assert_eq!(parsed, *request);
        let admitted = parsed.admit(&keys, seen);
        admitted.map(|checkpoint| checkpoint.size())
    };
    let first = request(0, 5, tree(5), Vec::new());
    assert_eq!(admit(&first, None), Ok(5));
    assert_eq!(admit(&first, seen(5)), Err(Refused::Conflict(5)));
    let next = request(5, 9, tree(9), prove(5, 9));
    assert_eq!(admit(&next, seen(5)), Ok(9));
    assert_eq!(admit(&next, None), Err(Refused::Conflict(0)));
    assert_eq!(admit(&next, seen(7)), Err(Refused::Conflict(7)));
    // The same size again is cosigned anew.
    assert_eq!(admit(&request(9, 9, tree(9), vec![]), seen(9)), Ok(9));
    let fork = admit(&request(9, 9, tree(8), vec![]), seen(9));
    assert_eq!(fork, Err(Refused::OtherRoot));
    for forged in [
        request(9, 9, tree(8), vec![tree(1)]),
        request(9, 9, tree(9), vec![tree(1)]),
        request(9, 12, tree(11), prove(9, 12)),
        request(9, 12, tree(12), prove(8, 12)),
        request(9, 12, tree(12), vec![]),
    ] {
        assert_eq!(admit(&forged, seen(9)), Err(Refused::Inconsistent));
    }
    for forged in [
        request(0, 5, tree(5), vec![tree(1)]),
        request(0, 0, tree(5), vec![]),
    ] {
        assert_eq!(admit(&forged, None), Err(Refused::Inconsistent));
    }
    assert_eq!(admit(&request(0, 0, tree(0), vec![]), None), Ok(0));
    // A tree that shrank.
    let shrunk = request(9, 5, tree(5), vec![]);
    assert_eq!(admit(&shrunk, seen(9)), Err(Refused::Malformed));
    // Another log, and another key of this one.
    assert_eq!(first.admit(&[], None).unwrap_err(), Refused::UnknownLog);
    let other = [NoteKey::new(ORIGIN, key(2).verifying_key().clone()).unwrap()];
    assert_eq!(first.admit(&other, None).unwrap_err(), Refused::Unsigned);
}

/// The complete subtrees over the leaves that [`tree`] is made of.
struct Leaves;

impl entente_ledger::proof::Nodes for Leaves {
    type Error = std::convert::Infallible;

    fn node(&mut self, level: u8, index: u64) -> Result<Digest, Self::Error> {
        let leaves: Vec<_> = (index << level..(index + 1) << level)
            .map(|i| leaf_hash(&i.to_be_bytes()))
            .collect();
        Ok(root_of(&leaves))
    }
}

#[test]
fn what_is_not_a_request_is_refused() {
    let note = signed(1, tree(1)).note().to_string();
    let hash = "577yzIEykcZyFA8re38vwUGnA6VD5kZ6NI5ri7PW6ng=\n";
    let whole = format!("old 1\n{hash}\n{note}");
    assert!(AddCheckpoint::parse(whole.as_bytes()).is_ok());
    for bad in [
        String::new(),
        note.clone(),
        format!("old 1\n{note}"),
        format!("old -1\n\n{note}"),
        format!("old 01\n\n{note}"),
        format!("new 1\n\n{note}"),
        format!("old 1\nAAAA\n\n{note}"),
        format!("old 1\n{}\n{note}", hash.repeat(64)),
        format!("old 1\n\n{}", note.replace('\u{2014}', "-")),
        format!("old 1\n\n{}", "x".repeat(70_000)),
    ] {
        let parsed = AddCheckpoint::parse(bad.as_bytes());
        assert_eq!(parsed, Err(Refused::Malformed), "{bad:.40}");
    }
    let sixty_three = format!("old 1\n{}\n{note}", hash.repeat(63));
    assert!(AddCheckpoint::parse(sixty_three.as_bytes()).is_ok());
    let no_checkpoint = SignedNote::sign("a", "text\n".to_owned(), &key(1)).unwrap();
    let request = AddCheckpoint {
        old_size: 0,
        proof: vec![],
        note: no_checkpoint,
    };
    assert_eq!(request.admit(&[], None), Err(Refused::Malformed));
}

proptest! {
    #[test]
    fn no_bytes_make_a_policy_or_a_request_panic(text in "(log|witness|group|quorum|old| |\n|any|2|a|[a-z0-9+/=]{0,9}){0,60}") {
        if let Ok(policy) = text.parse::<WitnessPolicy>() {
            prop_assert_eq!(policy.to_string().parse::<WitnessPolicy>().unwrap(), policy);
        }
        let _ = AddCheckpoint::parse(text.as_bytes());
    }
}

/// Answers as it was told to, one answer a time; with witness 7's cosignature where it is told to be final.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<VecDeque<bool>>,
    asked: Mutex<Vec<u64>>,
    waiting: tokio::sync::Notify,
}

impl Cosigner for Scripted {
    fn cosign(&self, signed: SignedTree) -> CosignerFuture<'_> {
        Box::pin(async move {
            let size = signed.checkpoint().size();
            if size > 1 {
                assert_eq!(signed.consistency(1).await.unwrap().new_size, size);
            }
            self.asked.lock().unwrap().push(size);
            let answer = self.answers.lock().unwrap().pop_front();
            let Some(is_final) = answer else {
                self.waiting.notified().await;
                return Witnessed::Short(Arc::clone(signed.checkpoint()));
            };
            if !is_final {
                return Witnessed::Short(Arc::clone(signed.checkpoint()));
            }
            let mut checkpoint = (**signed.checkpoint()).clone();
            let line = cosign(&checkpoint, NOW, "w7.example", &key(7)).unwrap();
            checkpoint.add(line);
            let policy = format!("witness w7 {}\nquorum w7\n", named("w7.example", 7));
            let policy: WitnessPolicy = policy.parse().unwrap();
            let judged = policy.judge(&Arc::new(checkpoint), NOW);
            Witnessed::Final(judged.unwrap())
        })
    }

    fn is_settled(&self, _: &Arc<SignedCheckpoint>) -> bool {
        true
    }
}

fn witnessed(
    disk: &MemDisk,
    signer: &RecordingSigner,
    answers: &[bool],
) -> (LedgerConfig, Arc<Scripted>) {
    let scripted = Arc::new(Scripted::default());
    scripted.answers.lock().unwrap().extend(answers);
    let cosigner: Arc<dyn Cosigner> = Arc::clone(&scripted) as _;
    let config = LedgerConfig {
        cosigner: Some(cosigner),
        ..config(disk, signer)
    };
    (config, scripted)
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_is_final_only_with_a_quorum_and_asked_for_until_it_is() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    let (config, scripted) = witnessed(&disk, &signer, &[true, false, false, true]);
    let ledger = Ledger::open(config, Runner::Task).await.unwrap();
    ledger.append(append(0)).await.unwrap();
    let first = ledger.publish_now().await.unwrap();
    assert_eq!(first.note().signatures().len(), 2);
    let mut finality = ledger.finality();
    assert_eq!(finality.borrow_and_update().as_ref().unwrap().size(), 1);

    ledger.append(append(1)).await.unwrap();
    let second = ledger.publish_now().await.unwrap();
    assert_eq!((second.size(), second.note().signatures().len()), (2, 1));
    assert_eq!(finality.borrow_and_update().as_ref().unwrap().size(), 1);
    // Nothing grew, and yet it is asked for again until the quorum answers.
    finality.changed().await.unwrap();
    assert_eq!(finality.borrow_and_update().as_ref().unwrap().size(), 2);
    assert_eq!(*scripted.asked.lock().unwrap(), [1, 2, 2, 2]);
    let published = disk.read(&std::path::Path::new(DIR).join("log/checkpoint"));
    let published = SignedNote::parse(&published.unwrap()).unwrap();
    assert_eq!(published.signatures().len(), 2);
    // Then it is final, and nobody is asked while nothing grows.
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(scripted.asked.lock().unwrap().len(), 4);
    ledger.shutdown().await.unwrap();

    // What was final is known again; what was not is asked for again.
    let (config, _) = witnessed(&disk, &signer, &[]);
    let ledger = Ledger::open(config, Runner::Task).await.unwrap();
    assert_eq!(ledger.finality().borrow().as_ref().unwrap().size(), 2);
    signer.check();
}

#[tokio::test(start_paused = true)]
async fn entries_go_on_and_closing_does_not_wait_while_witnesses_are_silent() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    let (config, scripted) = witnessed(&disk, &signer, &[]);
    let ledger = Ledger::open(config, Runner::Task).await.unwrap();
    ledger.append(append(0)).await.unwrap();
    let waits = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.publish_now().await }
    });
    while scripted.asked.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    for index in 1..600 {
        ledger.append(append(index)).await.unwrap();
    }
    // Who asks meanwhile gets the next one, which covers everything.
    let next = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.publish_now().await }
    });
    tokio::task::yield_now().await;
    scripted.waiting.notify_one();
    assert_eq!(waits.await.unwrap().unwrap().size(), 1);
    while scripted.asked.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    scripted.waiting.notify_one();
    assert_eq!(next.await.unwrap().unwrap().size(), 600);

    ledger.append(append(600)).await.unwrap();
    ledger.shutdown().await.unwrap();
    let (config, _) = witnessed(&disk, &signer, &[]);
    let ledger = Ledger::open(config, Runner::Task).await.unwrap();
    assert_eq!(ledger.checkpoint().borrow().as_ref().unwrap().size(), 601);
    assert!(ledger.finality().borrow().is_none());
    signer.check();
}
