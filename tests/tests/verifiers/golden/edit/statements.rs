//! Statements and their proofs, signed well and wrong all the same.

use entente_ledger::tree::{leaf_hash, node_hash};
use entente_signing::cbor::{Reader, Writer};
use entente_signing::cose::{self, Claims, Protected};
use entente_signing::{Algorithm, Ed25519Key, Signer};
use entente_tests::verifiers::vector;

use super::Refused;

/// A statement's map, pair by pair, each value as it is encoded.
#[derive(Clone)]
struct Fields(Vec<(u64, Vec<u8>)>);

// === impl Fields ===

impl Fields {
    fn of(name: &str) -> Self {
        let bytes = vector(&format!("evidence/statement-{name}")).unwrap();
        let mut reader = Reader::new(&bytes);
        let pairs = reader.map().unwrap();
        let pair = |_| {
            let key = reader.uint().unwrap();
            (key, reader.raw_item().unwrap().to_vec())
        };
        Self((0..pairs).map(pair).collect())
    }

    /// With another value; the key is added in its place when it is not there.
    fn with(&self, key: u64, write: impl FnOnce(&mut Writer)) -> Self {
        let mut value = Writer::new();
        write(&mut value);
        let mut fields = self.without(key);
        let at = fields.0.iter().position(|(other, _)| *other > key);
        let at = at.unwrap_or(fields.0.len());
        fields.0.insert(at, (key, value.into_vec()));
        fields
    }

    fn without(&self, key: u64) -> Self {
        let others = self.0.iter().filter(|(other, _)| *other != key);
        Self(others.cloned().collect())
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(self.0.len());
        for (key, value) in &self.0 {
            writer.uint(*key).raw(value);
        }
        writer.into_vec()
    }
}

/// The key of `ca-demo/pensions/@ss1` in the vectors.
fn session() -> Ed25519Key {
    Ed25519Key::from_seed(&[1; 32]).unwrap()
}

fn headers(issuer: &str) -> Protected {
    let urn = format!("urn:entente:mid:{MESSAGE}");
    Protected::typed(&session(), issuer, &urn, "application/entente-stmt+cbor")
}

/// Signed well, whatever it says.
fn direct(payload: &[u8], headers: &Protected) -> Vec<u8> {
    cose::sign1(&session(), headers, payload).unwrap()
}

/// A batch of two in which `payload` is the first, its root signed well.
fn batch(payload: &[u8], size: u64, named: u64, path: usize) -> Vec<u8> {
    let mut proof = Writer::new();
    proof.array(3).uint(size).uint(0).array(path);
    let mut root = leaf_hash(payload);
    for _ in 0..path {
        let other = leaf_hash(b"another statement");
        proof.bytes(other.as_bytes());
        root = node_hash(&root, &other);
    }
    let protected = Protected {
        algorithm: Algorithm::Ed25519,
        key_id: session().verifying_key().key_id(),
        claims: Some(Claims {
            issuer: "ca-demo/pensions/@ss1".to_owned(),
            subject: format!("urn:entente:batch:{named}"),
        }),
        typ: None,
        vds: Some(1),
    };
    let signature = cose::sign_detached(&session(), &protected, root.as_bytes()).unwrap();
    let receipt = cose::receipt(&protected, proof.as_slice(), &signature);
    let mut writer = Writer::new();
    writer.array(2).bytes(payload).bytes(&receipt);
    writer.into_vec()
}

/// What the refused statements were made from.
pub(super) fn accepted() -> Vec<Vec<u8>> {
    let request = Fields::of("request");
    let free = request.with(64, |w| {
        w.text("what may be ignored");
    });
    let alone = [&request, &Fields::of("request-full"), &free];
    let alone = alone.map(|fields| direct(&fields.encode(), &headers(SENDER)));
    let together = batch(&request.encode(), 2, 2, 1);
    alone.into_iter().chain([together]).collect()
}

pub(super) fn statements() -> Vec<Refused> {
    let request = Fields::of("request");
    let uint = |key: u64, value: u64| {
        request.with(key, |w| {
            w.uint(value);
        })
    };
    let text = |key: u64, value: &str| {
        request.with(key, |w| {
            w.text(value);
        })
    };
    let tags = |count: usize| {
        request.with(9, |w| {
            w.array(count);
            for _ in 0..count {
                w.bytes(&[7; 16]);
            }
        })
    };
    let elements = |names: &[&str]| {
        request.with(17, |w| {
            w.array(names.len());
            for name in names {
                w.text(name);
            }
        })
    };
    let mut swapped = request.clone();
    swapped.0.swap(4, 5);
    let mut twice = request.clone();
    twice.0.insert(1, request.0[0].clone());
    // 2 in two bytes: `18 02` for `02`.
    let mut long = request.clone();
    long.0[1].1 = vec![0x18, 1];
    let all = [
        ("version", "key 1: a version other than 1", uint(1, 2)),
        ("kind", "key 2: a kind other than 1 to 5", uint(2, 6)),
        (
            "long-integer",
            "a number that is longer than it need be",
            long,
        ),
        ("keys-out-of-order", "keys 5 and 6 change places", swapped),
        ("key-twice", "key 1 twice", twice),
        ("no-purpose", "key 10 is missing", request.without(10)),
        (
            "no-commitments",
            "key 8 must be there even when empty",
            request.without(8),
        ),
        (
            "critical-key",
            "key 26: critical, and not known",
            uint(26, 1),
        ),
        (
            "last-critical-key",
            "key 63: critical, and not known",
            uint(63, 1),
        ),
        ("key-of-another-kind", "key 25 has no place in a request", {
            request.with(25, |w| {
                w.array(3).uint(0).uint(0).bytes(&[0; 32]);
            })
        }),
        (
            "message-id",
            "key 3: 15 bytes",
            request.with(3, |w| {
                w.bytes(&[1; 15]);
            }),
        ),
        (
            "server-as-receiver",
            "key 5: a server's name",
            text(5, "ca-demo/pensions/@ss1"),
        ),
        (
            "method",
            "key 6: no method after the service",
            text(6, "ca.demo.vital.v1.Register"),
        ),
        (
            "time",
            "key 7: after the year 9999",
            uint(7, 253_402_300_800_000),
        ),
        ("commitment-0", "key 8: field 0", {
            request.with(8, |w| {
                w.map(1).uint(0).bytes(&[0; 32]);
            })
        }),
        (
            "tags-0",
            "key 9: an empty list, which must be absent",
            tags(0),
        ),
        ("tags-2", "key 9: 2 tags, where 1, 4 or 16 may be", tags(2)),
        (
            "purpose",
            "key 10: a purpose in small letters",
            text(10, "program"),
        ),
        (
            "no-view",
            "key 13: no view at all",
            request.with(13, |w| {
                w.map(0);
            }),
        ),
        ("mode", "key 16: a mode other than 1 and 2", uint(16, 3)),
        (
            "elements-unsorted",
            "key 17: elements out of order",
            elements(&["b", "a"]),
        ),
        (
            "element-twice",
            "key 17: an element twice",
            elements(&["a", "a"]),
        ),
        (
            "system-as-server",
            "key 20: a system's name",
            text(20, SENDER),
        ),
        (
            "origin",
            "key 21: an origin with a plus sign",
            text(21, "a+b"),
        ),
        ("links-empty", "key 23: no link, which must be absent", {
            request.with(23, |w| {
                w.map(0);
            })
        }),
        ("assurance", "key 24: an assurance of 5", {
            request.with(24, |w| {
                w.array(2).uint(5).bool(true);
            })
        }),
    ];
    let sign = |(name, why, fields): (_, _, Fields)| {
        let signed = direct(&fields.encode(), &headers(SENDER));
        ("statement", name, why, signed)
    };
    all.into_iter().map(sign).collect()
}

pub(super) fn proofs() -> Vec<Refused> {
    let payload = Fields::of("request").encode();
    let good = direct(&payload, &headers(SENDER));
    let edit = |edit: &dyn Fn(&mut Protected)| {
        let mut headers = headers(SENDER);
        edit(&mut headers);
        direct(&payload, &headers)
    };
    let claims = |issuer: &str, subject: &str| {
        edit(&|headers| {
            headers.claims = Some(Claims {
                issuer: issuer.to_owned(),
                subject: subject.to_owned(),
            });
        })
    };
    let urn = format!("urn:entente:mid:{MESSAGE}");
    let mut signature = good.clone();
    *signature.last_mut().unwrap() ^= 1;
    // The unprotected header is the empty map after the protected one: `a0` becomes `{4: h''}`.
    let at = good.windows(2).position(|two| two == [0xa0, 0x59]).unwrap();
    let unprotected = [&good[..at], &[0xa1, 0x04, 0x40], &good[at + 1..]].concat();
    let all = [
        (
            "signature",
            "the last byte of the signature is another",
            signature,
        ),
        (
            "issuer",
            "header 15: the issuer is not the sender",
            claims("ca-demo/pensions/x", &urn),
        ),
        (
            "subject",
            "header 15: of another message",
            claims(SENDER, "urn:entente:mid:00"),
        ),
        (
            "typ",
            "header 16: another type",
            edit(&|h| h.typ = Some("application/cbor".into())),
        ),
        ("no-typ", "header 16 is missing", edit(&|h| h.typ = None)),
        (
            "vds",
            "header 395 in a statement signed alone",
            edit(&|h| h.vds = Some(1)),
        ),
        (
            "key-id",
            "header 4: another key",
            edit(&|h| h.key_id.0 = [0; 8]),
        ),
        ("unprotected", "an unprotected header", unprotected),
        (
            "trailing",
            "a byte after the object",
            [&good[..], &[0]].concat(),
        ),
        ("untagged", "no tag 18", good[1..].to_vec()),
        (
            "batch-of-one",
            "a batch of one is signed directly",
            batch(&payload, 1, 1, 0),
        ),
        (
            "batch-size",
            "a batch's subject names its size",
            batch(&payload, 2, 3, 1),
        ),
        (
            "batch-path-long",
            "a path longer than the tree is deep",
            batch(&payload, 2, 2, 2),
        ),
        (
            "batch-path-short",
            "a path shorter than the tree is deep",
            batch(&payload, 4, 4, 1),
        ),
        (
            "batch-too-large",
            "a batch of more than 4096",
            batch(&payload, 8192, 8192, 13),
        ),
    ];
    all.map(|(name, why, bytes)| ("statement", name, why, bytes))
        .into()
}

const SENDER: &str = "ca-demo/pensions/benefits";
const MESSAGE: &str = "90ac16783fbc54c3689c63b3ab89b39c";
