use std::sync::Arc;

use entente_clock::{ManualClock, Timestamp};
use entente_directory::Keep;
use entente_ledger::disk::RealDisk;
use entente_ledger::note::NoteKey;
use entente_ledger::witness::WitnessPolicy;
use entente_signing::{Digest, Ed25519Key, P256Key, Signer as _};
use entente_tls::Identity;
use entente_tls::net::{Net, TokioNet};

use super::*;
use crate::anchor::{Anchor, Floors};
use crate::view::View;

fn anchor() -> Anchor {
    let key = Ed25519Key::from_seed(&[1; 32]).unwrap();
    let key = key.verifying_key().clone();
    Anchor {
        jurisdiction: "ca-demo".parse().unwrap(),
        addresses: vec!["127.0.0.1:1".parse().unwrap()],
        mirrors: Vec::new(),
        tls_keys: [Digest::of(b"tls")].into(),
        ledger: NoteKey::new("registry.ca-demo/changes", key).unwrap(),
        genesis: Digest::of(b"genesis"),
        floors: Floors::default(),
        witnesses: WitnessPolicy::default(),
    }
}

fn session(dir: &std::path::Path) -> Session {
    let anchor = anchor();
    let (replica, _) = Replica::open(Arc::new(RealDisk), dir).unwrap();
    let view = View::empty(&anchor, Keep::None, replica.blobs.clone());
    let ahead = Ahead::of(&view);
    let net: Arc<dyn Net> = Arc::new(TokioNet);
    let key = Arc::new(P256Key::generate().unwrap());
    let identity = Identity::self_signed(key, &[]).unwrap();
    let client = RegistryClient::new(&anchor, &net, identity).unwrap();
    let clock = ManualClock::at(Timestamp::from_millis(1));
    let shared = Arc::new(Shared::new(anchor, Arc::new(clock), view));
    Session::new(shared, replica, client, Vec::new(), Vec::new(), ahead)
}

#[tokio::test]
async fn a_registry_that_sends_without_end_and_signs_nothing_is_cut_at_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = session(dir.path());
    assert_eq!(session.max_unproven, 512 << 20);
    session.max_unproven = 20 << 20;
    let on_disk = || std::fs::metadata(dir.path().join("entries")).unwrap().len();
    let mut first_index = 0;
    let broken = loop {
        let entry = vec![Bytes::from(vec![7; 50_000]); 40];
        let entries = Entries { first_index, entry };
        first_index += 40;
        match session.receive(entries).await {
            Ok(()) => assert!(
                session.pending_bytes < MOST_PENDING_BYTES,
                "what is in memory"
            ),
            Err(broken) => break broken,
        }
        assert!(first_index * 50_000 <= 20 << 20, "no bound");
    };
    assert!(matches!(broken, Broken::Unproven(_)));
    assert!(on_disk() > 10 << 20, "worked off as it came");
    // None of it stays: the next stream begins where the view is.
    assert!(matches!(
        session.end(broken),
        End::Lost { was_of_use: false }
    ));
    assert_eq!((session.ahead.size(), on_disk()), (0, 0));
    assert_eq!(session.shared.view().size, 0);
}

#[tokio::test]
async fn a_lost_stream_leaves_what_was_worked_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = session(dir.path());
    let entry = vec![Bytes::from_static(b"no entry"); 256];
    for first_index in (0..1536).step_by(256) {
        let entry = entry.clone();
        let entries = Entries { first_index, entry };
        session.receive(entries).await.unwrap();
    }
    session.end(Broken::Silent);
    assert_eq!(session.ahead.size(), 1024);
}
