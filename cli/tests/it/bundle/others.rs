//! A bundle's files, in the hands of tools that others wrote.

use std::fs;
use std::path::PathBuf;

use entente_tests::verifiers::Verifier;

use super::{BUNDLE, PEER, demo, export, files_in, unpack};

#[test]
fn tools_of_others_verify_the_proofs_the_receipts_and_the_statements_in_a_bundle() {
    let (dir, id) = demo();
    let dir = dir.path();
    assert_eq!(export(dir, &id, &["--peer-ledger", PEER]).code, 0);
    let folder = dir.join("unpacked");
    unpack(&dir.join(BUNDLE), &folder);
    let key_of = |name: &str| {
        let side = folder.join(name).parent().unwrap().to_owned();
        let vkey = fs::read_to_string(side.join("ledger.vkey")).unwrap();
        (side, PathBuf::from(vkey.trim()))
    };
    let proofs = files_in(&folder, ".tlog-proof");
    assert!(proofs.len() > 8, "{proofs:?}");
    for verifier in [Verifier::Go, Verifier::AicsTlog, Verifier::Second] {
        let mut session = verifier.start().unwrap();
        for name in &proofs {
            let (_, vkey) = key_of(name);
            let entry = folder.join(name.replace(".tlog-proof", ".bin"));
            let words = [
                "proof".into(),
                folder.join(name),
                entry.clone(),
                vkey.clone(),
            ];
            session.accepts(&words).unwrap();
            let another = folder.join("ev/request.cose");
            let words = ["proof".into(), folder.join(name), another, vkey];
            session.refuses(&words).unwrap();
        }
    }

    let receipts = files_in(&folder, ".receipt.cose");
    assert_eq!(receipts.len(), 8, "of both ledgers, whose keys are at hand");
    let mut cose = Verifier::Cose.start().unwrap();
    let mut second = Verifier::Second.start().unwrap();
    for name in &receipts {
        let (side, vkey) = key_of(name);
        let (receipt, entry) = (
            folder.join(name),
            folder.join(name.replace(".receipt.cose", ".bin")),
        );
        let words = [
            "receipt".into(),
            receipt.clone(),
            entry.clone(),
            side.join("ledger-key.pem"),
        ];
        cose.accepts(&words).unwrap();
        let checkpoint = side.join("checkpoint");
        let words = ["receipt".into(), receipt, entry, vkey, checkpoint];
        second.accepts(&words).unwrap();
    }
    for (statement, side) in [("request", "consumer"), ("answer", "provider")] {
        let file = folder.join(format!("ev/{statement}.cose"));
        let key = folder.join(format!("ev/{side}/session-key.pem"));
        second
            .accepts(&["statement".into(), file.clone(), key.clone()])
            .unwrap();
        let forms = ["direct", "batch"].map(|form| {
            cose.accepts(&[PathBuf::from(form), file.clone(), key.clone()])
                .is_ok()
        });
        assert_eq!(
            forms.iter().filter(|holds| **holds).count(),
            1,
            "{statement}"
        );
    }
}
