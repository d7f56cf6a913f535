//! Entries, checkpoints, proofs and receipts with one thing changed.

use entente_ledger::CoseReceipt;
use entente_ledger::checkpoint::Checkpoint;
use entente_ledger::note::SignedNote;
use entente_ledger::tree::leaf_hash;
use entente_signing::cbor::Writer;

use super::Refused;
use crate::ledgers::{Written, entry};

pub(super) fn entries() -> Vec<Refused> {
    let write = |items: usize, kind: u64, rest: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::new();
        writer.array(items).uint(1).uint(kind).uint(NOW);
        rest(&mut writer);
        writer.into_vec()
    };
    let hash = [5; 32];
    let mut version = Writer::new();
    version.array(4).uint(2).uint(10).uint(NOW).bytes(b"note");
    let good = write(4, 10, &|w| {
        w.bytes(b"note");
    });
    let all = [
        ("version", "a version other than 1", version.into_vec()),
        (
            "kind-0",
            "kind 0",
            write(4, 0, &|w| {
                w.bytes(b"note");
            }),
        ),
        (
            "kind-15",
            "kind 15",
            write(4, 15, &|w| {
                w.bytes(b"note");
            }),
        ),
        ("item-more", "PEER-CHECKPOINT with an item more", {
            write(5, 10, &|w| {
                w.bytes(b"note").uint(0);
            })
        }),
        ("item-less", "VIEW with an item less", {
            write(5, 8, &|w| {
                w.text("registry.ca-demo/changes").uint(1);
            })
        }),
        (
            "trailing",
            "a byte after the entry",
            [&good[..], &[0]].concat(),
        ),
        ("tag-of-17", "IN: a tag of 17 bytes", {
            write(7, 1, &|w| {
                w.bytes(b"s").null().null().array(1).bytes(&[0; 17]);
            })
        }),
        ("sidecar-of-31", "OUT: a sidecar hash of 31 bytes", {
            write(6, 2, &|w| {
                w.bytes(b"s").bytes(&[0; 31]).null();
            })
        }),
        ("reason", "DENIED: a reason in small letters", {
            write(9, 3, &|w| {
                w.text("no_agreement")
                    .null()
                    .bytes(b"s")
                    .null()
                    .null()
                    .array(0);
            })
        }),
        ("attempt-of-5", "DENIED: an attempt of five items", {
            write(9, 3, &|w| {
                w.text("NO_AGREEMENT").null().array(5);
                w.null().null().null().null().null();
                w.null().null().array(0);
            })
        }),
        ("chain-empty", "SESSION: no certificate", {
            write(5, 4, &|w| {
                w.text("ca-demo/pensions/@ss1").array(0);
            })
        }),
        ("server", "SESSION: a system where a server must be", {
            write(5, 4, &|w| {
                w.text("ca-demo/pensions/benefits").array(1).bytes(b"c");
            })
        }),
        ("root-of-31", "TIMESTAMP: a root of 31 bytes", {
            write(5, 5, &|w| {
                w.array(2).uint(1).bytes(&[0; 31]).bytes(b"token");
            })
        }),
        ("query-text", "READ: a text where bytes must be", {
            write(4, 7, &|w| {
                w.text("query");
            })
        }),
        ("version-empty", "BOOT: an empty version", {
            write(6, 9, &|w| {
                w.text("").uint(0).null();
            })
        }),
        ("tag-of-15", "TAGS: a tag of 15 bytes", {
            write(5, 13, &|w| {
                w.bytes(&hash).array(1).bytes(&[0; 15]);
            })
        }),
        ("text-empty", "SHRED: an empty class", {
            write(7, 6, &|w| {
                w.text("").text("p").bytes(&hash).text("a");
            })
        }),
        ("counts-17", "RECONCILE: 17 counts", {
            write(8, 11, &|w| {
                w.text("ca-demo/pensions/@ss1").text("2026-11-22").array(17);
                for _ in 0..17 {
                    w.uint(0);
                }
                w.array(0).text("EQUAL");
            })
        }),
        ("outcome-5", "OUTCOME: a kind other than 1 to 4", {
            write(5, 12, &|w| {
                w.bytes(&hash).uint(5);
            })
        }),
        ("time", "SUMMARY: a time after the year 9999", {
            write(8, 14, &|w| {
                w.null()
                    .text("OVERLOADED")
                    .uint(1)
                    .uint(NOW)
                    .uint(253_402_300_800_000);
            })
        }),
    ];
    all.map(|(name, why, bytes)| ("entry", name, why, bytes))
        .into()
}

pub(super) fn receipt(written: &Written) -> Vec<u8> {
    let leaf = leaf_hash(&entry(15));
    let (checkpoint, proof) = (written.checkpoint(), written.inclusion(15));
    CoseReceipt::sign(&*written.signer, &checkpoint, &proof, &leaf).unwrap()
}

pub(super) fn checkpoints(written: &Written) -> Vec<Refused> {
    let checkpoint = written.checkpoint();
    let note = checkpoint.note().to_string();
    let text = checkpoint.note().text();
    let sign = |name: &str, text: String| {
        let note = SignedNote::sign(name, text, &*written.signer);
        note.unwrap().to_string().into_bytes()
    };
    let origin = written.key.name();
    let other = Checkpoint {
        origin: "ss2.vital-events.ca-demo/access/2026h2.1".to_owned(),
        ..checkpoint.checkpoint().clone()
    };
    let all = [
        (
            "extension",
            "a fourth line in the signed text",
            sign(origin, format!("{text}more\n")),
        ),
        (
            "leading-zero",
            "a size of 022",
            sign(origin, text.replace("\n22\n", "\n022\n")),
        ),
        (
            "no-root",
            "a root of no bytes",
            sign(origin, format!("{origin}\n22\n\n")),
        ),
        (
            "origin",
            "of another log, under a key of this name",
            sign(origin, other.to_string()),
        ),
        (
            "unsigned",
            "signed by another name alone",
            sign("w1.example", text.to_owned()),
        ),
        (
            "changed",
            "another size under the signature",
            note.replace("\n22\n", "\n21\n").into(),
        ),
        (
            "cut",
            "the last line end is missing",
            note.trim_end().into(),
        ),
    ];
    let all = all.map(|(name, why, bytes)| ("checkpoint", name, why, bytes));
    let proof = written.proof(15).to_string();
    let neighbour = written.proof(14).to_string();
    let line = |at: usize| proof.lines().nth(at).unwrap();
    let proofs: [Refused; 4] = [
        (
            "proof",
            "neighbour",
            "the proof of entry 14",
            neighbour.into(),
        ),
        (
            "proof",
            "index",
            "another index",
            proof.replace("index 15", "index 7").into(),
        ),
        (
            "proof",
            "header",
            "another version of the format",
            proof.replace("@v1", "@v2").into(),
        ),
        (
            "proof",
            "short",
            "a hash less",
            proof.replace(&format!("{}\n", line(2)), "").into(),
        ),
    ];
    let receipt = receipt(written);
    // The proof begins `[22, 15, …]`.
    let at = receipt
        .windows(3)
        .position(|w| w == [0x83, 22, 15])
        .unwrap();
    let mut size = receipt.clone();
    size[at + 1] = 23;
    let mut path = receipt.clone();
    path[at + 10] ^= 1;
    let receipts: [Refused; 2] = [
        (
            "receipt",
            "size",
            "another size, which leads to the same root",
            size,
        ),
        ("receipt", "path", "another path", path),
    ];
    all.into_iter().chain(proofs).chain(receipts).collect()
}

const NOW: u64 = 1_795_305_600_000;
