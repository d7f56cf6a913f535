//! Real exchanges: what both servers and the registry left behind, checked by others.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use entente_directory::Mode;
use entente_evidence::proof::{Form, SignedStatement};
use entente_follow::Anchor;
use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry};
use entente_ledger::note::NoteKey;
use entente_ledger::proof::TlogProof;
use entente_sidecar::{RecordOf, Sidecar};
use entente_signing::{KeyId, VerifyingKey};
use entente_tests::town::Town;
use entente_tests::verifiers::{Session, Verifier};
use entente_tests::world::{Site, World, lookup};

use crate::ledgers::unbase64;

/// Who looks at it.
struct Others {
    tlog: [Session; 3],
    cose: Session,
    second: Session,
}

// === impl Others ===

impl Others {
    fn new() -> Self {
        let start = |verifier: Verifier| verifier.start().unwrap();
        Self {
            tlog: [Verifier::Go, Verifier::AicsTlog, Verifier::Second].map(start),
            cose: start(Verifier::Cose),
            second: start(Verifier::Second),
        }
    }

    /// A ledger whole, and the proof of one of its entries.
    fn check_ledger(&mut self, dir: &Path, key: &NoteKey) {
        let (served, key) = (dir.join("log"), key.to_string());
        let mut reader = Reader::open(Arc::new(RealDisk), dir).unwrap();
        let size = reader.size();
        let note = std::fs::read_to_string(served.join("checkpoint")).unwrap();
        let inclusion = reader.inclusion(size / 2, size).unwrap().unwrap();
        let proof = TlogProof {
            extra: None,
            index: size / 2,
            path: inclusion.path,
            checkpoint: note,
        };
        let (file, of) = (
            dir.with_extension("tlog-proof"),
            dir.with_extension("entry"),
        );
        std::fs::write(&file, proof.to_string()).unwrap();
        std::fs::write(&of, reader.entry(size / 2).unwrap().unwrap()).unwrap();
        for session in &mut self.tlog {
            let words = ["ledger".into(), served.clone(), key.clone().into()];
            session.accepts(&words).unwrap();
            let words = ["proof".into(), file.clone(), of.clone(), key.clone().into()];
            session.accepts(&words).unwrap();
        }
    }

    /// A statement under the key of its session.
    fn check_statement(&mut self, signed: &SignedStatement, dir: &Path, pem: &Path) {
        let file = dir.join("statement");
        std::fs::write(&file, signed.bytes()).unwrap();
        let form = match signed.form() {
            Form::Batch => "batch",
            Form::Direct => "direct",
        };
        let words = [Path::new(form), &file, pem];
        self.cose.accepts(&words).unwrap();
        let words = [Path::new("statement"), &file, pem];
        self.second.accepts(&words).unwrap();
    }
}

/// The public key in a certificate, as openssl takes it out, in a file of its own.
fn key_of(certificate: &[u8], dir: &Path) -> (KeyId, PathBuf) {
    let der = dir.join("certificate.der");
    std::fs::write(&der, certificate).unwrap();
    let words = ["x509", "-inform", "DER", "-noout", "-pubkey", "-in"];
    let output = Command::new("openssl").args(words).arg(&der).output();
    let pem = String::from_utf8(output.unwrap().stdout).unwrap();
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let spki = unbase64(&lines.collect::<String>());
    let key = VerifyingKey::from_spki_der(&spki).unwrap();
    let file = dir.join(format!("{}.pem", key.key_id()));
    std::fs::write(&file, pem).unwrap();
    (key.key_id(), file)
}

/// The signature by openssl, which knows neither CBOR nor COSE, over the bytes we say it covers.
fn check_by_openssl(signed: &SignedStatement, dir: &Path, pem: &Path) {
    let [covered, signature] = ["sigstruct", "signature"].map(|name| dir.join(name));
    std::fs::write(&covered, signed.signed_bytes()).unwrap();
    let bytes = signed.bytes();
    std::fs::write(&signature, &bytes[bytes.len() - 64..]).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-verify", "-pubin", "-rawin", "-inkey"]);
    openssl.arg(pem).arg("-in").arg(&covered).arg("-sigfile");
    let verified = openssl.arg(&signature).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

/// Every entry of a site's ledger by the second verifier, every statement by all; answers with the
/// number of statements in each form.
fn check_site(others: &mut Others, world: &World, site: &Site) -> [usize; 2] {
    let shard = world
        .view()
        .state
        .shard(&site.server, Mode::Live)
        .unwrap()
        .clone();
    let dir = site.ledger_dir().unwrap();
    let key = NoteKey::new(&shard.origin, shard.key.clone()).unwrap();
    others.check_ledger(&dir, &key);
    let mut keys = HashMap::new();
    let mut forms = [0; 2];
    let sidecar = Sidecar::open(
        Arc::new(RealDisk),
        site.dir.join("data/sidecar"),
        site.dir.join("keys/kek"),
    )
    .unwrap();
    let mut reader = Reader::open(Arc::new(RealDisk), &dir).unwrap();
    let entries: Vec<_> = reader.entries(0).map(|read| read.unwrap().1).collect();
    for bytes in entries {
        let file = site.dir.join("entry");
        std::fs::write(&file, &bytes).unwrap();
        others.second.accepts(&[Path::new("entry"), &file]).unwrap();
        let (kind, statement, sidecar_hash) = match Entry::decode(&bytes).unwrap().body {
            Body::In(entry) => (1, entry.statement, entry.sidecar),
            Body::Out(entry) => (2, entry.statement, entry.sidecar),
            // A session is logged before anything it signed.
            Body::Session(entry) => {
                let (id, pem) = key_of(&entry.chain[0], &site.dir);
                keys.insert(id, pem);
                continue;
            }
            _ => continue,
        };
        let signed = SignedStatement::parse(statement).unwrap();
        let pem = &keys[&signed.key_id()];
        others.check_statement(&signed, &site.dir, pem);
        let form = &mut forms[usize::from(signed.form() == Form::Batch)];
        *form += 1;
        if *form < 4 {
            check_by_openssl(&signed, &site.dir, pem);
        }
        let Some(hash) = sidecar_hash else { continue };
        let of = RecordOf {
            origin: &shard.origin,
            message_id: signed.statement().message_id.as_bytes(),
            kind,
        };
        let opened = site.dir.join("openings");
        std::fs::write(&opened, sidecar.open_record(&hash, &of).unwrap()).unwrap();
        let words = ["openings".into(), opened, site.dir.join("statement")];
        others.second.accepts(&words).unwrap();
    }
    forms
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_verify_all_that_real_exchanges_leave_behind() {
    let town = Town::start().await.unwrap();
    // One alone; many at once, which are signed together; and one that is refused.
    town.ask().await.unwrap();
    let asking = (0..CALLS).map(|_| town.ask());
    for answered in futures_util::future::join_all(asking).await {
        answered.unwrap();
    }
    let curious = [("entente-purpose", "CURIOSITY")];
    let refused = town.system.ask(lookup("046454286"), &curious);
    assert!(refused.await.is_err());
    let (mut world, dir) = town.stop().await;

    let mut others = Others::new();
    for site in [&world.consumer, &world.provider] {
        let [alone, together] = check_site(&mut others, &world, site);
        eprintln!("{}: {alone} alone, {together} together", site.server);
        assert_eq!(alone + together, 2 * (CALLS + 1));
        assert!(alone > 0 && together > 0);
    }
    let anchor = Anchor::load(&dir.path().join("registry/anchor.yaml")).unwrap();
    world.registry.take().unwrap().shutdown().await.unwrap();
    let registry = dir.path().join("registry/data/ledger");
    others.check_ledger(&registry, &anchor.ledger);
}

/// Calls at once.
const CALLS: usize = 64;
