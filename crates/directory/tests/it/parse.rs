//! Changes and entries are read in their one encoding only.

use entente_directory::{
    Author, Change, ChangeHeader, MAX_CHANGE, MalformedChange, Policy, RegistryEntry, SignedChange,
};
use entente_reason::Reason;
use entente_signing::cbor::Writer;
use entente_signing::cose::{self, Protected};
use entente_signing::{Algorithm, Ed25519Key, Signer};

use crate::world::{World, key};

fn header() -> ChangeHeader {
    ChangeHeader {
        registry: "registry.ca-demo/changes".into(),
        author: Author::Registrar,
        sequence: 1,
        previous: None,
        not_after: "2026-11-22T03:00:00Z".parse().unwrap(),
    }
}

/// A change signed properly over whatever payload, with whatever headers.
fn signed(
    payload: &[u8],
    change: impl FnOnce(&mut Protected),
) -> Result<SignedChange, MalformedChange> {
    let signer = key(1);
    let mut protected = Protected {
        algorithm: Algorithm::P256,
        key_id: signer.verifying_key().key_id(),
        claims: None,
        typ: Some("application/entente-change+cbor".into()),
        vds: None,
    };
    change(&mut protected);
    SignedChange::parse(cose::sign1(&signer, &protected, payload).unwrap().into())
}

fn payload(kind: u64, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::new();
    out.map(8)
        .uint(1)
        .uint(1)
        .uint(2)
        .text("registry.ca-demo/changes");
    out.uint(3)
        .text("registrar")
        .uint(4)
        .bytes(&key(1).verifying_key().key_id().0);
    out.uint(5)
        .uint(1)
        .uint(7)
        .uint(1_795_316_400_000)
        .uint(8)
        .uint(kind)
        .uint(9);
    body(&mut out);
    out.into_vec()
}

fn retire(out: &mut Writer) {
    out.map(1).uint(1).text("a.v1.B");
}

#[test]
fn reads_back_what_it_wrote() {
    let world = World::demo();
    for (at, change) in &world.log {
        let read = SignedChange::parse(change.bytes().clone()).unwrap();
        assert_eq!(&read, change);
        assert_eq!(read.change(), change.change());
        assert_eq!(read.header(), change.header());
        assert_eq!(read.hash(), change.hash());
        let entry = RegistryEntry {
            at: *at,
            change: read,
        };
        let bytes = entry.encode().into();
        let back = RegistryEntry::parse(&bytes).unwrap();
        assert_eq!((back.at, back.change), (*at, change.clone()));
    }
}

#[test]
fn refuses_other_headers_versions_kinds_and_keys() {
    let good = payload(13, retire);
    assert!(signed(&good, |_| {}).is_ok());
    assert!(
        signed(&good, |p| p.typ =
            Some("application/entente-stmt+cbor".into()))
        .is_err()
    );
    assert!(signed(&good, |p| p.typ = None).is_err());
    assert!(signed(&good, |p| p.vds = Some(1)).is_err());
    assert!(signed(&good, |p| p.key_id.0[0] ^= 1).is_err());
    assert_eq!(
        signed(&payload(99, retire), |_| {}),
        Err(MalformedChange::UnknownKind)
    );
    let version = good.iter().position(|b| *b == 1).unwrap() + 1;
    let mut newer = good.clone();
    newer[version] = 2;
    assert!(signed(&newer, |_| {}).is_err());
    let mut longer = good.clone();
    longer.push(0);
    assert!(signed(&longer, |_| {}).is_err());
    let cut = &good[..good.len() - 1];
    assert!(signed(cut, |_| {}).is_err());
}

#[test]
fn refuses_unknown_repeated_and_disordered_fields_in_a_body() {
    let bodies: [fn(&mut Writer); 6] = [
        |out| {
            out.map(2).uint(1).text("a.v1.B").uint(3).null();
        },
        |out| {
            out.map(2).uint(1).text("a.v1.B").uint(1).text("a.v1.B");
        },
        |out| {
            out.map(0);
        },
        |out| {
            out.map(1).uint(1).text("not a service");
        },
        |out| {
            out.map(1).uint(1).bytes(b"a.v1.B");
        },
        |out| {
            out.array(1).text("a.v1.B");
        },
    ];
    for (index, body) in bodies.into_iter().enumerate() {
        assert!(signed(&payload(13, body), |_| {}).is_err(), "body {index}");
    }
}

#[test]
fn a_service_ends_at_a_moment_of_the_calendar_or_never_and_nothing_else() {
    let at = |write: &dyn Fn(&mut Writer)| {
        payload(13, |out| {
            out.map(2).uint(1).text("a.v1.B").uint(2);
            write(out);
        })
    };
    let reads = |write: &dyn Fn(&mut Writer)| signed(&at(write), |_| {}).is_ok();
    assert!(reads(&|out| {
        out.null();
    }));
    assert!(reads(&|out| {
        out.uint(0);
    }));
    assert!(!reads(&|out| {
        out.uint(u64::MAX);
    }));
    assert!(!reads(&|out| {
        out.text("2027-01-01T00:00:00Z");
    }));
    assert!(!reads(&|out| {
        out.bool(false);
    }));
}

#[test]
fn a_mandate_has_an_end_at_most_five_years_on_and_says_what_may_be_read_and_by_what_law() {
    let day = 24 * 3_600_000;
    let most = 5 * 366 * day;
    let grant = |reads: &[u64], until: u64, en: &str| {
        payload(29, |out| {
            out.map(5).uint(1).text("ca/a").uint(3).array(reads.len());
            for reading in reads {
                out.uint(*reading);
            }
            out.uint(4).uint(day).uint(5).uint(until);
            out.uint(6).array(2).text(en).text("loi");
        })
    };
    let reads = |bytes: &[u8]| signed(bytes, |_| {}).is_ok();
    assert!(reads(&grant(&[1], 2 * day, "law")));
    assert!(reads(&grant(&[1], day + most, "law")));
    assert!(!reads(&grant(&[1], day + most + 1, "law")), "too long");
    assert!(!reads(&grant(&[1], day, "law")), "no time at all");
    assert!(!reads(&grant(&[], 2 * day, "law")), "nothing to read");
    assert!(!reads(&grant(&[2], 2 * day, "law")), "not known");
    assert!(!reads(&grant(&[1, 1], 2 * day, "law")), "twice");
    assert!(!reads(&grant(&[1], 2 * day, "")), "no law");
    assert!(!reads(&grant(&[1], 2 * day, &"l".repeat(513))), "too much");
    let end = |reason: &str| {
        payload(30, |out| {
            out.map(2).uint(1).text("ca/a").uint(3).text(reason);
        })
    };
    assert!(reads(&end("INQUIRY_CLOSED")));
    assert!(!reads(&end("because Jane asked")));
}

#[test]
fn refuses_lists_out_of_order_and_free_text_for_a_reason() {
    let publish = |systems: &[&str]| {
        payload(12, |out| {
            out.map(4)
                .uint(1)
                .text("a.v1.B")
                .uint(2)
                .array(systems.len());
            for system in systems {
                out.text(system);
            }
            out.uint(3).bytes(&[0; 32]).uint(4).uint(1);
        })
    };
    assert!(signed(&publish(&["ca/a/b", "ca/a/c"]), |_| {}).is_ok());
    assert!(signed(&publish(&["ca/a/c", "ca/a/b"]), |_| {}).is_err());
    assert!(signed(&publish(&["ca/a/b", "ca/a/b"]), |_| {}).is_err());
    assert!(signed(&publish(&[]), |_| {}).is_err());
    let suspend = |reason: &str| {
        payload(3, |out| {
            out.map(2).uint(1).text("ca/a").uint(2).text(reason);
        })
    };
    assert!(signed(&suspend("BREACH_2"), |_| {}).is_ok());
    for reason in ["", "Jane Doe asked", "breach", &"A".repeat(65)] {
        assert!(signed(&suspend(reason), |_| {}).is_err(), "{reason:?}");
    }
}

#[test]
fn refuses_another_algorithm_and_what_is_too_large() {
    let signer = Ed25519Key::from_seed(&[1; 32]).unwrap();
    let change = Change::Policy(Policy::usual());
    assert!(SignedChange::sign(&signer, &header(), &change).is_err());
    let large = SignedChange::parse(vec![0; MAX_CHANGE + 1].into()).unwrap_err();
    assert_eq!(large.reason(), Reason::ChangeTooLarge);
    let mut policy = Policy::usual();
    policy.purposes = (0..65).map(|n| format!("P{n}").parse().unwrap()).collect();
    assert!(SignedChange::sign(&key(1), &header(), &Change::Policy(policy)).is_err());
}

#[test]
fn refuses_entries_in_another_form() {
    let world = World::demo();
    let (at, change) = &world.log[0];
    let good = RegistryEntry {
        at: *at,
        change: change.clone(),
    }
    .encode();
    for cut in 0..good.len() {
        assert!(RegistryEntry::parse(&good[..cut].to_vec().into()).is_err());
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(RegistryEntry::parse(&longer.into()).is_err());
    let mut version = good;
    version[1] = 2;
    assert!(RegistryEntry::parse(&version.into()).is_err());
}
