//! Frames of the peer protocol.

use bytes::Bytes;
use entente_evidence::proof::SignedStatement;
use entente_proto::exchange::v1 as wire;
use entente_signing::Digest;
use prost::Message;

use super::{existing, published, text};

#[test]
fn request_frames_are_the_published_bytes_and_back() {
    use wire::exchange_request::Frame;
    let short = wire::Open {
        session_chain: Vec::new(),
        seal: Some(wire::Seal {
            enc: Bytes::new(),
            ..seal()
        }),
        checkpoint: Bytes::new(),
        ..open("direct-request-full", b"the openings")
    };
    for (name, frame) in [
        (
            "open",
            Frame::Open(open("direct-request-full", b"the openings")),
        ),
        (
            "open-batch",
            Frame::Open(open("batch-request", b"the openings")),
        ),
        ("open-short", Frame::Open(short)),
        ("progress", Frame::Progress(progress())),
        ("part", Frame::Part(part())),
        ("close", Frame::Close(close("direct-close"))),
        ("close-aborted", Frame::Close(close("direct-close-aborted"))),
    ] {
        let frame = wire::ExchangeRequest { frame: Some(frame) };
        assert_published(&format!("exchange/request-{name}"), REQUEST, &frame);
    }
}

#[test]
fn response_frames_are_the_published_bytes_and_back() {
    use wire::exchange_response::Frame;
    let answer = wire::Open {
        seal: Some(wire::Seal {
            enc: Bytes::new(),
            ..seal()
        }),
        ..open("direct-response", b"the answer's openings")
    };
    let fault = wire::Open {
        statement: statement("direct-fault-refused"),
        session_chain: chain(),
        ..wire::Open::default()
    };
    for (name, frame) in [
        ("open", Frame::Open(answer)),
        ("fault", Frame::Open(fault)),
        ("progress", Frame::Progress(progress())),
        ("part", Frame::Part(part())),
        ("close", Frame::Close(close("direct-close"))),
    ] {
        let frame = wire::ExchangeResponse { frame: Some(frame) };
        assert_published(&format!("exchange/response-{name}"), RESPONSE, &frame);
    }
}

#[test]
fn a_seal_is_the_published_bytes_and_back() {
    assert_published("exchange/seal", "entente.exchange.v1.Seal", &seal());
}

fn assert_published<M>(name: &str, kind: &str, message: &M)
where
    M: Message + Default + PartialEq + std::fmt::Debug,
{
    let bytes = message.encode_to_vec();
    let expected = published(name, || text::of_message(kind, &bytes));
    assert_eq!(hex::encode(&bytes), hex::encode(&expected), "vector {name}");
    let read = M::decode(Bytes::from(expected.clone())).unwrap();
    assert_eq!(&read, message, "vector {name}");
    assert_eq!(read.encode_to_vec(), expected, "vector {name}");
}

/// The bytes of a signed statement among the vectors of evidence; they are what travels.
fn statement(name: &str) -> Bytes {
    let bytes = Bytes::from(existing(&format!("evidence/{name}")));
    SignedStatement::parse(bytes.clone()).unwrap();
    bytes
}

fn open(name: &str, sealed: &'static [u8]) -> wire::Open {
    wire::Open {
        statement: statement(name),
        session_chain: chain(),
        seal: Some(seal()),
        sealed: Bytes::from_static(sealed),
        checkpoint: Bytes::from_static(CHECKPOINT.as_bytes()),
    }
}

/// Shorter than an X-Wing encapsulation: what is in it is no matter of the frame.
fn seal() -> wire::Seal {
    let enc = Bytes::from_static(b"an encapsulation");
    wire::Seal {
        suite: "xwing-sha256-aes256gcm".to_owned(),
        hpke_key_id: Bytes::from_static(&[1, 2, 3, 4, 5, 6, 7, 8]),
        session: Bytes::copy_from_slice(Digest::of(&enc).as_bytes()),
        enc,
        r: Bytes::from_static(&[9; 32]),
    }
}

fn chain() -> Vec<Bytes> {
    [&b"the leaf certificate"[..], b"its issuer"]
        .map(Bytes::from_static)
        .into()
}

fn progress() -> wire::Progress {
    wire::Progress {
        statement: statement("direct-progress"),
    }
}

fn part() -> wire::Part {
    wire::Part {
        sealed: Bytes::from_static(b"one sealed message"),
    }
}

fn close(name: &str) -> wire::Close {
    wire::Close {
        statement: statement(name),
        sealed: Bytes::from_static(b"the last openings"),
    }
}

const REQUEST: &str = "entente.exchange.v1.ExchangeRequest";
const RESPONSE: &str = "entente.exchange.v1.ExchangeResponse";
const CHECKPOINT: &str = "ss1.pensions.ca-demo/access/2026h2.1\n4\n";
