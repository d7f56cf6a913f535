//! Golden bytes: what is written equals the published vectors, and what is read from them writes
//! the same bytes again. A vector that changes is a new version of the format.

use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use entente_evidence::answer::Answer;
use entente_evidence::commitment::{Field, Salt, Subject, commit};
use entente_evidence::opening::{KeepPayload, Kept, Opening, Openings, Value};
use entente_evidence::proof::{Form, SignedStatement, sign_batch, sign_direct};
use entente_evidence::seal::{
    ReceiveSession, SealKeyPair, SealParties, SealRandom, SendSession, SessionId, Suite,
};
use entente_evidence::statement::{LogOrigin, MessageId, Mode, Statement};
use entente_evidence::stream::{FrameChain, frame_commitment};
use entente_evidence::tag::TagKey;
use entente_signing::Digest;
use entente_signing::cbor::{Reader, Writer};

use crate::annotate::{annotate, strip};
use crate::fixtures;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/conformance/vectors/evidence")
        .join(format!("{name}.hex"))
}

/// The published bytes of a vector.
fn published(name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(path(name));
    strip(&text.unwrap_or_else(|_| panic!("no vector {name}")))
}

/// Compares with the published vector. With `ENTENTE_NEW_VECTORS` set, one that is not there yet is
/// written; one that is there is never touched.
fn assert_published(name: &str, bytes: &[u8]) {
    if std::env::var_os("ENTENTE_NEW_VECTORS").is_some() && !path(name).exists() {
        std::fs::write(path(name), annotate(bytes)).unwrap();
    }
    let expected = published(name);
    assert_eq!(hex::encode(bytes), hex::encode(expected), "vector {name}");
}

#[test]
fn statements_encode_to_the_published_bytes_and_back() {
    for (name, statement) in fixtures::statements() {
        let name = format!("statement-{name}");
        assert_published(&name, &statement.encode().unwrap());
        let read = Statement::decode(&published(&name)).unwrap();
        assert_eq!(read, statement);
        assert_eq!(read.encode().unwrap(), published(&name));
    }
}

#[test]
fn direct_proofs_are_the_published_bytes_and_verify() {
    for (name, statement) in fixtures::statements() {
        let name = format!("direct-{name}");
        let key = fixtures::signer_of(&statement);
        let signed = sign_direct(&key, statement.clone()).unwrap();
        assert_published(&name, signed.bytes());
        let read = SignedStatement::parse(published(&name).into()).unwrap();
        assert_eq!(read.form(), Form::Direct);
        assert_eq!(read.statement(), &statement);
        assert_eq!(read.statement_bytes(), &statement.encode().unwrap());
        assert_eq!(read.statement_bytes(), signed.statement_bytes());
        assert_eq!(read.hash(), statement.hash().unwrap());
        assert!(read.verify(&fixtures::verifying_key(&key)).is_ok());
    }
}

#[test]
fn batch_proofs_are_the_published_bytes_and_verify() {
    let key = fixtures::provider_key();
    let statements = fixtures::batch();
    let server = statements[0].sender_server.clone();
    let signed = sign_batch(&key, &server, fixtures::drafts(statements.clone())).unwrap();
    let names = ["request", "response", "fault", "close", "progress"];
    for ((name, statement), signed) in names.iter().zip(statements).zip(signed) {
        let name = format!("batch-{name}");
        assert_published(&name, signed.bytes());
        let read = SignedStatement::parse(published(&name).into()).unwrap();
        assert_eq!(read.form(), Form::Batch);
        assert_eq!(read.statement(), &statement);
        assert_eq!(read.statement_bytes(), signed.statement_bytes());
        assert_eq!(read.hash(), statement.hash().unwrap());
        assert!(read.verify(&fixtures::verifying_key(&key)).is_ok());
    }
}

#[test]
fn openings_and_answers_are_the_published_bytes() {
    let answer = Answer {
        code: 5,
        reason: Some("NO_RECORD".parse().unwrap()),
        metadata: [("x-b", "2"), ("x-aa", "1")]
            .map(|(k, v)| (k.into(), v.into()))
            .into(),
        message: Bytes::from_static(b"\x0a\x02ok"),
    };
    let value = answer.to_value().unwrap();
    assert_published("answer", &value.to_bytes());
    assert_eq!(Answer::decode(&published("answer").into()), Ok(answer));

    let openings = openings(value);
    let plaintext = openings.seal_plaintext().freeze();
    assert_published("openings", &plaintext);
    let read = Openings::decode(&published("openings").into()).unwrap();
    assert_eq!(read.seal_plaintext(), plaintext);
    let opened = read.check(&openings.commitments()).unwrap();
    assert_eq!(
        opened.subjects(),
        [Subject::new("ca.sin", "046454286").unwrap()]
    );
    assert_eq!(opened.user(), Some("user@pensions"));
    assert_eq!(opened.case(), Some("2026-117"));

    for (name, keep) in [
        ("kept", KeepPayload::No),
        ("kept-payload", KeepPayload::Yes),
    ] {
        assert_published(name, &openings.encode_kept(keep));
        let kept = Kept::decode(&published(name).into()).unwrap();
        assert_eq!(kept.check(&openings.commitments()), Ok(()));
    }
}

fn openings(payload: Value) -> Openings {
    let mut subjects = Writer::new();
    subjects.array(1).bytes(b"ca.sin\x00046454286");
    let opening = |field: Field, value: Value| {
        Opening::new(field, Salt::from_bytes([0xa0 | field.number(); 32]), value)
    };
    Openings::from_openings(vec![
        opening(Field::PAYLOAD, payload),
        opening(Field::USER, Bytes::from_static(b"user@pensions").into()),
        opening(Field::CASE, Bytes::from_static(b"2026-117").into()),
        opening(Field::SUBJECTS, Bytes::from(subjects.into_vec()).into()),
    ])
}

#[test]
fn commitments_tags_and_stream_hashes_are_the_published_values() {
    let salt = Salt::from_bytes([9; 32]);
    let mut writer = Writer::new();
    let committed = commit(Field::CASE, &salt, &[b"2026-", b"117"]);
    writer
        .array(4)
        .uint(4)
        .bytes(salt.as_bytes())
        .bytes(b"2026-117");
    writer.bytes(committed.as_bytes());
    assert_published("commitment", writer.as_slice());

    let subject = Subject::new("ca.sin", "046454286").unwrap();
    let origin: LogOrigin = fixtures::consumer_log();
    let key = TagKey::new(&[8; 32]).subject_key(&subject);
    let mut writer = Writer::new();
    writer
        .array(6)
        .bytes(&[8; 32])
        .bytes(subject.as_bytes())
        .text(origin.as_str());
    writer
        .bytes(fixtures::message_id().as_bytes())
        .bytes(key.expose());
    writer.bytes(&key.tag(&origin, &fixtures::message_id()));
    assert_published("tag", writer.as_slice());

    let opening = Digest::of(b"opening");
    let commitment = frame_commitment(&salt, b"frame 1");
    let chain = FrameChain::open(opening).then(&commitment);
    let mut writer = Writer::new();
    writer
        .array(5)
        .bytes(opening.as_bytes())
        .bytes(salt.as_bytes())
        .bytes(b"frame 1");
    writer
        .bytes(commitment.as_bytes())
        .bytes(chain.hash().as_bytes());
    assert_published("stream", writer.as_slice());
}

/// What a seal vector holds, in its order.
struct Seal {
    parties: SealParties,
    pair: SealKeyPair,
    enc: Vec<u8>,
    message: MessageId,
    request: ([u8; 32], Digest, Vec<Vec<u8>>),
    response: ([u8; 32], Digest, Vec<Vec<u8>>),
}

const FRAMES: [&[u8]; 2] = [b"the opening frame", b"the final frame"];

#[test]
fn sealed_frames_open_to_what_the_vectors_say() {
    for (suite, name) in [(Suite::XWing, "seal-xwing"), (Suite::X25519, "seal-x25519")] {
        if !path(name).exists() {
            // An encapsulation is random, so only the first writer of a vector makes one.
            assert_published(name, &new_seal(suite).encode());
        }
        let seal = Seal::decode(&published(name));
        assert_eq!(seal.encode(), published(name));
        assert_eq!(seal.pair.public().suite(), suite);

        let session =
            ReceiveSession::accept(&seal.parties, &seal.pair, &seal.enc, fixtures::now()).unwrap();
        assert_eq!(session.id(), SessionId::of(&seal.enc));
        let (random, opening, frames) = &seal.request;
        let mut opener =
            session.open_request(&seal.message, &SealRandom::from_bytes(*random), *opening);
        for (at, (sealed, plain)) in frames.iter().zip(FRAMES).enumerate() {
            assert_eq!(opener.open(sealed.clone().into(), at == 1).unwrap(), plain);
        }
        // A response's frames are sealed by the side whose key the vector holds: both ways.
        let (random, opening, frames) = &seal.response;
        let random = SealRandom::from_bytes(*random);
        let mut sealer = session.seal_response(&seal.message, random, *opening);
        for (at, (sealed, plain)) in frames.iter().zip(FRAMES).enumerate() {
            assert_eq!(sealer.seal(BytesMut::from(plain), at == 1).unwrap(), sealed);
        }
    }
}

fn new_seal(suite: Suite) -> Seal {
    let request = fixtures::request();
    let parties = SealParties {
        sender: request.sender_server.clone(),
        receiver: request.receiver_server,
        mode: Mode::Test,
    };
    let pair = SealKeyPair::from_bytes(suite, &[7; 32]).unwrap();
    let send = SendSession::establish(&parties, pair.public(), fixtures::now()).unwrap();
    let receive = ReceiveSession::accept(&parties, &pair, send.enc(), fixtures::now()).unwrap();
    let message = fixtures::message_id();
    let seal = |random: [u8; 32], opening: Digest, is_request: bool| {
        let r = SealRandom::from_bytes(random);
        let mut sealer = if is_request {
            send.seal_request(&message, r, opening)
        } else {
            receive.seal_response(&message, r, opening)
        };
        let frames = [false, true].map(|last| {
            let frame = BytesMut::from(FRAMES[usize::from(last)]);
            sealer.seal(frame, last).unwrap().to_vec()
        });
        (random, opening, frames.to_vec())
    };
    Seal {
        request: seal([0x31; 32], Digest::of(b"request"), true),
        response: seal([0x32; 32], Digest::of(b"response"), false),
        enc: send.enc().to_vec(),
        parties,
        pair,
        message,
    }
}

impl Seal {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(10).text(self.pair.public().suite().name());
        writer
            .bytes(&self.pair.to_bytes())
            .bytes(&self.pair.public().key_id().0);
        writer
            .text(self.parties.sender.as_str())
            .text(self.parties.receiver.as_str());
        writer
            .text(self.parties.mode.as_str())
            .bytes(&self.enc)
            .bytes(self.message.as_bytes());
        for (random, opening, frames) in [&self.request, &self.response] {
            writer.array(4).bytes(random).bytes(opening.as_bytes());
            for frame in frames {
                writer.bytes(frame);
            }
        }
        writer.into_vec()
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut reader = Reader::new(bytes);
        assert_eq!(reader.array(), Ok(10));
        let suite: Suite = reader.text().unwrap().parse().unwrap();
        let pair = SealKeyPair::from_bytes(suite, reader.bytes().unwrap()).unwrap();
        assert_eq!(reader.bytes().unwrap(), pair.public().key_id().0);
        let parties = SealParties {
            sender: reader.text().unwrap().parse().unwrap(),
            receiver: reader.text().unwrap().parse().unwrap(),
            mode: reader.text().unwrap().parse().unwrap(),
        };
        let enc = reader.bytes().unwrap().to_vec();
        let message = MessageId::from_slice(reader.bytes().unwrap()).unwrap();
        let mut direction = || {
            assert_eq!(reader.array(), Ok(4));
            let random = reader.bytes_exact().unwrap();
            let opening = Digest::from_bytes(reader.bytes_exact().unwrap());
            let frames = (0..2).map(|_| reader.bytes().unwrap().to_vec()).collect();
            (random, opening, frames)
        };
        let (request, response) = (direction(), direction());
        reader.finish().unwrap();
        Self {
            parties,
            pair,
            enc,
            message,
            request,
            response,
        }
    }
}
