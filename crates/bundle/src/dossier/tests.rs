use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use entente_clock::Timestamp;
use entente_evidence::commitment::{Field, Salt};
use entente_evidence::proof::{Draft, Form, sign_batch, sign_direct};
use entente_evidence::statement::{Body, MessageId, Mode, Statement};
use entente_keys::{SessionCertificate, SessionOrder, Validity};
use entente_ledger::tree::{leaf_hash, node_hash};
use entente_ledger::{Checkpoint, SignedCheckpoint, entry};
use entente_signing::{Ed25519Key, P256Key, Signer as _};

use super::*;
use crate::container;
use crate::seal::{seal, verify};

fn at() -> Timestamp {
    "2026-11-22T15:00:00Z".parse().unwrap()
}

/// A request with one commitment, to `opening`.
fn request(number: u8, opening: &Opening) -> Statement {
    Statement {
        message_id: MessageId::from_bytes([number; 16]),
        sender: "ca-demo/pensions/benefits".parse().unwrap(),
        receiver: "ca-demo/vital-events/register".parse().unwrap(),
        method: "ca.demo.vital.v1.Register/GetDeath".parse().unwrap(),
        issued_at: at(),
        commitments: [(opening.field(), opening.commitment())].into(),
        tags: entente_evidence::tag::Tags::none(),
        purpose: "PROGRAM_ADMINISTRATION".parse().unwrap(),
        views: [(
            "registry.ca-demo/changes".parse().unwrap(),
            entente_evidence::statement::View {
                size: 7,
                root: Digest::of(b"root"),
            },
        )]
        .into(),
        agreement: Digest::of(b"agreement"),
        clause: 2,
        mode: Mode::Live,
        receiver_server: "ca-demo/vital-events/@ss1".parse().unwrap(),
        sender_server: "ca-demo/pensions/@ss1".parse().unwrap(),
        log: "ss1.pensions.ca-demo/access/2026h2.1".parse().unwrap(),
        body: Body::Request {
            asked: ["death.date".parse().unwrap()].into(),
            mandate: Vec::new(),
            links: Default::default(),
            actor: None,
        },
        extensions: Default::default(),
    }
}

fn opening() -> Opening {
    let salt = Salt::from_bytes([0x11; 32]);
    Opening::new(
        Field::PAYLOAD,
        salt,
        Bytes::from_static(b"what was asked").into(),
    )
}

struct Made {
    dossier: Dossier,
    member: P256Key,
}

/// A dossier of a request alone: one of `others` + 1 that were signed together.
fn made(others: u8) -> Made {
    let (member, server) = (P256Key::generate().unwrap(), P256Key::generate().unwrap());
    let session = Ed25519Key::generate().unwrap();
    let (id, name) = ("ca-demo/pensions", "ca-demo/pensions/@ss1");
    let begins = at().saturating_sub(Duration::from_secs(3600));
    let validity = Validity::lasting(begins, Validity::USUAL).unwrap();
    let sealer = MemberCertificate::issue(&member, &id.parse().unwrap(), validity).unwrap();
    let server_name = name.parse().unwrap();
    let key = server.verifying_key();
    let chain = sealer
        .certify(&member, &server_name, key, validity)
        .unwrap();
    let order = SessionOrder {
        server: &server_name,
        mode: entente_keys::Mode::Live,
        key: session.verifying_key(),
        not_before: begins,
        not_after: at().saturating_add(Duration::from_secs(3600)),
    };
    let certificate = SessionCertificate::issue(&server, &order).unwrap();
    let mut all = (0..=others).map(|number| request(number, &opening()));
    let request = if others == 0 {
        sign_direct(&session, all.next().unwrap()).unwrap()
    } else {
        let drafts = all.map(|one| Draft::new(one).unwrap()).collect();
        let mut signed = sign_batch(&session, &server_name, drafts).unwrap();
        signed.pop().unwrap()
    };
    let dossier = Dossier {
        sealer,
        request,
        answer: None,
        consumer: Party {
            session: Some(Session {
                certificate: certificate.into(),
                server_key: key.clone(),
                chain: Some(chain),
            }),
            ledger: None,
        },
        provider: Party::default(),
        registry: None,
        abroad: None,
        openings: vec![Disclosed {
            is_of_answer: false,
            opening: opening(),
        }],
    };
    Made { dossier, member }
}

/// What the commands of VERIFY.txt print, and what they must.
fn run(folder: &std::path::Path) -> (String, String) {
    let text = std::fs::read_to_string(folder.join("ev/VERIFY.txt")).unwrap();
    let lines = |mark| {
        let lines = text.lines().filter_map(move |line| line.strip_prefix(mark));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let (script, prints) = (lines("$ "), lines("= "));
    let mut shell = Command::new("sh")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = shell.stdin.take().unwrap();
    to.write_all(script.as_bytes()).unwrap();
    drop(to);
    let output = shell.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), prints)
}

#[test]
fn a_statement_of_either_form_is_verified_by_openssl_and_by_us() {
    for others in [0, 1, 4, 6] {
        let Made { dossier, member } = made(others);
        let files = dossier.files(at());
        let bytes = container::write(&files, &member, &dossier.sealer, at()).unwrap();
        let (read, sealed) = container::open(&bytes).unwrap();
        assert_eq!(read, files);
        let again = Dossier::read(&read).unwrap();
        let report = again.verify(&read, &sealed, &Trust::default());
        assert_eq!(report.faults, []);
        let form = if others == 0 {
            Form::Direct
        } else {
            Form::Batch
        };
        let signed =
            |proven: &Proven| matches!(proven, Proven::Signed { form: f, .. } if *f == form);
        assert!(report.proven.iter().any(signed), "{:?}", report.proven);
        let disclosed = |proven: &Proven| matches!(proven, Proven::Disclosed { .. });
        assert!(report.proven.iter().any(disclosed));
        assert!(report.gaps.contains(&Gap::Answer));

        let folder = tempfile::tempdir().unwrap();
        let archive = crate::archive::Archive::parse(&bytes).unwrap();
        for (name, content) in archive.files() {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let (printed, must) = run(folder.path());
        assert_eq!(printed, must);
        // Anybody could have made it, and it says so itself.
        let text = std::fs::read_to_string(folder.path().join("ev/VERIFY.txt")).unwrap();
        for gap in [
            "whose the keys of ca-demo/pensions/@ss1 are: no registry entry in it says so",
            "that a certificate is that of ca-demo/pensions: no registry entry in it binds its key",
            "how it ended: there is no answer in it",
        ] {
            assert!(text.contains(gap), "{gap}: {text}");
        }
        let about_keys = report.gaps.iter().filter(|gap| gap.is_about_keys());
        assert_eq!(about_keys.count(), 2);
    }
}

/// By a session of another server, with everything else as it should be.
#[test]
fn a_session_that_names_another_server_is_found_by_the_commands_too() {
    let Made { dossier, .. } = made(0);
    let mut statement = dossier.request.statement().clone();
    statement.sender_server = "ca-demo/pensions/@ss2".parse().unwrap();
    let session = Ed25519Key::generate().unwrap();
    let server = P256Key::generate().unwrap();
    let order = SessionOrder {
        server: &"ca-demo/pensions/@ss1".parse().unwrap(),
        mode: entente_keys::Mode::Live,
        key: session.verifying_key(),
        not_before: at().saturating_sub(Duration::from_secs(60)),
        not_after: at().saturating_add(Duration::from_secs(60)),
    };
    let certificate = SessionCertificate::issue(&server, &order).unwrap();
    let dossier = Dossier {
        request: sign_direct(&session, statement).unwrap(),
        consumer: Party {
            session: Some(Session {
                certificate: certificate.into(),
                server_key: server.verifying_key().clone(),
                chain: None,
            }),
            ledger: None,
        },
        ..dossier
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in dossier.files(at()) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let (printed, must) = run(folder.path());
    let names = |text: &str| text.lines().any(|line| line.contains("@ss2, URI"));
    assert!(names(&must) && !names(&printed), "{printed}");
}

/// Whoever adds a token that is over nothing hides no missing time.
#[test]
fn a_time_stamp_over_no_entry_is_a_fault_and_no_time() {
    let Made { dossier, .. } = made(0);
    let key = Ed25519Key::generate().unwrap();
    let name = "ss1.pensions.ca-demo/access/2026h2.1";
    let checkpoint = Checkpoint {
        origin: name.to_owned(),
        size: 1,
        root: Digest::of(b"root"),
    };
    let checkpoint = SignedCheckpoint::sign(checkpoint, &key).unwrap();
    let stamp = Stamped {
        root: Digest::of(b"root"),
        token: Bytes::from_static(b"token"),
        paths: BTreeMap::new(),
    };
    let tree = Tree {
        key: NoteKey::new(name, key.verifying_key().clone()).unwrap(),
        checkpoint: checkpoint.note().to_string(),
        entries: BTreeMap::new(),
        stamps: [(1, stamp)].into(),
    };
    let consumer = Party {
        ledger: Some(tree),
        ..dossier.consumer.clone()
    };
    let dossier = Dossier {
        consumer,
        ..dossier
    };
    let sealed = crate::seal::Sealed {
        certificate: dossier.sealer.clone(),
        at: at(),
    };
    let report = dossier.verify(&dossier.files(at()), &sealed, &Trust::default());
    assert_eq!(report.faults[0].part, "consumer/stamp-1");
}

#[test]
fn nothing_is_proven_by_parts_of_different_exchanges() {
    let (one, other) = (made(0).dossier, made(3).dossier);
    let faults = |dossier: &Dossier| {
        let files = dossier.files(at());
        // The seal is looked at apart.
        let sealed = crate::seal::Sealed {
            certificate: dossier.sealer.clone(),
            at: at(),
        };
        let read = Dossier::read(&files).unwrap();
        let report = read.verify(&files, &sealed, &Trust::default());
        report.faults
    };
    assert_eq!(faults(&one), []);
    let session = Dossier {
        consumer: other.consumer.clone(),
        ..one.clone()
    };
    assert_eq!(faults(&session)[0].part, "request");
    let mut chain = one.clone();
    let above = other.consumer.session.clone().unwrap().chain;
    chain.consumer.session.as_mut().unwrap().chain = above;
    assert_eq!(faults(&chain)[0].part, "request");
    let mut value = one.clone();
    let salt = Salt::from_bytes([0x12; 32]);
    let opening = Opening::new(Field::PAYLOAD, salt, Bytes::from_static(b"else").into());
    value.openings[0].opening = opening;
    assert_eq!(faults(&value)[0].part, "request-1");
    let mut no_session = one.clone();
    no_session.consumer.session = None;
    assert_eq!(faults(&no_session)[0].part, "request");
    let answer = Dossier {
        answer: Some(other.request.clone()),
        provider: other.consumer.clone(),
        ..one
    };
    assert_eq!(faults(&answer)[0].part, "answer");
}

#[test]
fn a_seal_by_another_members_key_than_the_bundles_certificate_is_a_fault() {
    let (one, other) = (made(0), made(0));
    let files = one.dossier.files(at());
    let made = seal(b"x", &other.member, &other.dossier.sealer, at()).unwrap();
    let sealed = verify(&made, b"x").unwrap();
    let report = one.dossier.verify(&files, &sealed, &Trust::default());
    assert_eq!(report.faults[0].part, "seal.pem");
}

/// A ledger of two entries.
fn tree(name: &str, bodies: [entry::Body; 2]) -> Tree {
    let entries = bodies.map(|body| entry::Entry { at: at(), body }.encode().unwrap());
    let [one, two] = [0, 1].map(|place: usize| leaf_hash(&entries[place]));
    let key = Ed25519Key::generate().unwrap();
    let checkpoint = Checkpoint {
        origin: name.to_owned(),
        size: 2,
        root: node_hash(&one, &two),
    };
    let checkpoint = SignedCheckpoint::sign(checkpoint, &key).unwrap();
    let proved = entries
        .into_iter()
        .zip([two, one])
        .map(|(bytes, beside)| Proved {
            bytes,
            path: vec![beside],
            receipt: None,
        });
    Tree {
        key: NoteKey::new(name, key.verifying_key().clone()).unwrap(),
        checkpoint: checkpoint.note().to_string(),
        entries: (0..).zip(proved).collect(),
        stamps: BTreeMap::new(),
    }
}

/// What came to nothing is told by who asked alone, and of this request alone.
#[test]
fn an_outcome_is_the_consumers_word_on_its_own_request() {
    let dossier = made(0).dossier;
    let request = &dossier.request;
    let outcome = |request| {
        let kind = entry::OutcomeKind::Timeout;
        entry::Body::Outcome(entry::Outcome { request, kind })
    };
    let out = || {
        entry::Body::Out(entry::Out {
            statement: request.bytes().clone(),
            sidecar: None,
            view: None,
        })
    };
    let looked_at = |name: &str, bodies| {
        let mut dossier = dossier.clone();
        let ledger = Some(tree(name, bodies));
        match name.contains("pensions") {
            true => dossier.consumer.ledger = ledger,
            false => dossier.provider.ledger = ledger,
        }
        let sealed = crate::seal::Sealed {
            certificate: dossier.sealer.clone(),
            at: at(),
        };
        let files = dossier.files(at());
        let read = Dossier::read(&files).unwrap();
        read.verify(&files, &sealed, &Trust::default())
    };
    let ours = "ss1.pensions.ca-demo/access/2026h2.1";
    let theirs = "ss1.vital-events.ca-demo/access/2026h2.1";
    let report = looked_at(ours, [out(), outcome(request.hash())]);
    assert_eq!(report.faults, []);
    let logged = |kind: &str| {
        let mut proven = report.proven.iter();
        proven.any(|proven| matches!(proven, Proven::Logged { kind: held, .. } if *held == kind))
    };
    assert!(logged("OUT") && logged("OUTCOME"), "{:?}", report.proven);
    let time = Gap::Time {
        origin: ours.to_owned(),
        entries: vec![0, 1],
    };
    assert!(report.gaps.contains(&time), "{:?}", report.gaps);

    let of_another = looked_at(ours, [out(), outcome(Digest::of(b"another"))]);
    assert_eq!(of_another.faults[0].part, "consumer/entry-1");
    let by_another = looked_at(theirs, [out(), outcome(request.hash())]);
    assert_eq!(by_another.faults[0].part, "provider/entry-1");
}

/// Whoever makes a bundle names its ledgers, and the names stand in commands.
#[test]
fn a_ledgers_name_cannot_be_a_command() {
    let key = Ed25519Key::generate().unwrap();
    let with = |name: &str| {
        let tree = Tree {
            key: NoteKey::new(name, key.verifying_key().clone()).unwrap(),
            checkpoint: format!("{name}\n1\nroot\n\n\u{2014} {name} AAAAAAAA\n"),
            entries: BTreeMap::new(),
            stamps: BTreeMap::new(),
        };
        let registry = Some(tree);
        let dossier = Dossier {
            registry,
            ..made(0).dossier
        };
        Dossier::read(&dossier.files(at())).map(|_| ())
    };
    assert_eq!(with("registry.ca-demo/changes"), Ok(()));
    for name in ["x';id;'", "$(id)", "x`id`", "x|id", "x&id", "x>y", "x\\"] {
        let name_of_file = "ev/registry/ledger.vkey".to_owned();
        let refused = DossierError::File { name: name_of_file };
        assert_eq!(with(name), Err(refused), "{name}");
    }
}
