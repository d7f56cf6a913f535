//! A sealed frame opens in one place only.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use entente_evidence::seal::{
    FrameOpener, ReceiveSession, SealError, SealKeyPair, SealParties, SealPublicKey, SealRandom,
    SendSession, Suite,
};
use entente_evidence::statement::{MessageId, Mode};
use entente_reason::Reason;
use entente_signing::Digest;

use crate::fixtures;

const SUITES: [Suite; 2] = [Suite::XWing, Suite::X25519];

fn parties() -> SealParties {
    SealParties {
        sender: "ca-demo/pensions/@ss1".parse().unwrap(),
        receiver: "ca-demo/vital-events/@ss1".parse().unwrap(),
        mode: Mode::Live,
    }
}

struct Ends {
    pair: SealKeyPair,
    send: SendSession,
    receive: ReceiveSession,
}

fn ends(suite: Suite) -> Ends {
    let pair = SealKeyPair::generate(suite).unwrap();
    let send = SendSession::establish(&parties(), pair.public(), fixtures::now()).unwrap();
    let receive = ReceiveSession::accept(&parties(), &pair, send.enc(), fixtures::now()).unwrap();
    Ends {
        pair,
        send,
        receive,
    }
}

fn opening() -> Digest {
    Digest::of(b"opening")
}

/// Seals a request of one final frame; its random and the frame.
fn seal_request(send: &SendSession, text: &[u8]) -> (SealRandom, Bytes) {
    let random = SealRandom::generate().unwrap();
    let mut sealer = send.seal_request(&fixtures::message_id(), random, opening());
    let frame = sealer.seal(BytesMut::from(text), true).unwrap();
    (SealRandom::from_bytes(*sealer.random()), frame)
}

#[test]
fn both_directions_open_at_the_other_end() {
    for suite in SUITES {
        let Ends {
            pair,
            send,
            receive,
        } = ends(suite);
        assert_eq!(send.id(), receive.id());
        assert_eq!(send.recipient(), pair.public().key_id());
        assert_eq!((send.suite(), send.enc().len()), (suite, suite.enc_len()));
        let (random, frame) = seal_request(&send, b"request");
        assert_eq!(frame.len(), b"request".len() + FrameOpener::TAG_LEN);
        let mut opener = receive.open_request(&fixtures::message_id(), &random, opening());
        assert_eq!(opener.open(frame, true).unwrap(), &b"request"[..]);

        let random = SealRandom::generate().unwrap();
        let mut sealer = receive.seal_response(&fixtures::message_id(), random, opening());
        let frame = sealer.seal(BytesMut::from(&b"response"[..]), true).unwrap();
        let random = SealRandom::from_bytes(*sealer.random());
        let mut opener = send.open_response(&fixtures::message_id(), &random, opening());
        assert_eq!(opener.open(frame, true).unwrap(), &b"response"[..]);
    }
}

#[test]
fn refuses_a_frame_under_anything_it_was_not_sealed_under() {
    let Ends { send, receive, .. } = ends(Suite::XWing);
    let (random, frame) = seal_request(&send, b"request");
    let id = fixtures::message_id();
    let opens = |mut opener: FrameOpener, is_final: bool| opener.open(frame.clone(), is_final);
    assert!(opens(receive.open_request(&id, &random, opening()), true).is_ok());

    let other = MessageId::from_bytes([0; 16]);
    let mut wrong = vec![
        opens(receive.open_request(&other, &random, opening()), true),
        opens(
            receive.open_request(&id, &random, Digest::of(b"other")),
            true,
        ),
        opens(receive.open_request(&id, &random, opening()), false),
        // The other direction.
        opens(send.open_response(&id, &random, opening()), true),
    ];
    let mut bytes = *random.as_bytes();
    bytes[31] ^= 1;
    let other = SealRandom::from_bytes(bytes);
    wrong.push(opens(receive.open_request(&id, &other, opening()), true));
    // Another session with the same key.
    let session = ends(Suite::XWing).receive;
    wrong.push(opens(session.open_request(&id, &random, opening()), true));
    for result in wrong {
        assert!(matches!(result, Err(SealError::Frame)));
        assert_eq!(result.unwrap_err().reason(), Reason::SealInvalid);
    }
}

#[test]
fn refuses_a_session_in_another_name_mode_or_key() {
    for suite in SUITES {
        let Ends { pair, send, .. } = ends(suite);
        let (random, frame) = seal_request(&send, b"request");
        let opens = |parties: &SealParties, pair: &SealKeyPair| {
            let session =
                ReceiveSession::accept(parties, pair, send.enc(), fixtures::now()).unwrap();
            let mut opener = session.open_request(&fixtures::message_id(), &random, opening());
            opener.open(frame.clone(), true).is_ok()
        };
        assert!(opens(&parties(), &pair));
        let mut sender = parties();
        sender.sender = "ca-demo/transport/@ss1".parse().unwrap();
        let mut receiver = parties();
        receiver.receiver = "ca-demo/vital-events/@ss2".parse().unwrap();
        let mut mode = parties();
        mode.mode = Mode::Test;
        for parties in [sender, receiver, mode] {
            assert!(!opens(&parties, &pair));
        }
        assert!(!opens(&parties(), &SealKeyPair::generate(suite).unwrap()));
    }
}

#[test]
fn refuses_frames_out_of_order_and_after_the_final_one() {
    let Ends { send, receive, .. } = ends(Suite::XWing);
    let id = fixtures::message_id();
    let random = SealRandom::generate().unwrap();
    let mut sealer = send.seal_request(&id, random, opening());
    let frames: Vec<Bytes> = (0..3)
        .map(|n| sealer.seal(BytesMut::from(&[n; 8][..]), n == 2).unwrap())
        .collect();
    assert!(matches!(
        sealer.seal(BytesMut::new(), true),
        Err(SealError::Finished)
    ));
    let random = SealRandom::from_bytes(*sealer.random());
    let opener = || receive.open_request(&id, &random, opening());

    let mut in_order = opener();
    for (n, frame) in frames.iter().enumerate() {
        assert!(in_order.open(frame.clone(), n == 2).is_ok());
    }
    assert!(matches!(
        in_order.open(frames[2].clone(), true),
        Err(SealError::Finished)
    ));

    let mut skipping = opener();
    assert!(skipping.open(frames[0].clone(), false).is_ok());
    assert!(matches!(
        skipping.open(frames[2].clone(), true),
        Err(SealError::Frame)
    ));
    // After a failure nothing more opens, not even the right frame.
    assert!(matches!(
        skipping.open(frames[1].clone(), false),
        Err(SealError::Finished)
    ));

    let mut repeating = opener();
    assert!(repeating.open(frames[0].clone(), false).is_ok());
    assert!(repeating.open(frames[0].clone(), false).is_err());
    assert!(opener().open(frames[1].clone(), false).is_err());
    assert!(opener().open(frames[0].clone(), true).is_err());
}

#[test]
fn refuses_every_altered_bit_of_a_frame() {
    let Ends { send, receive, .. } = ends(Suite::X25519);
    let (random, frame) = seal_request(&send, b"request");
    let open = |bytes: Vec<u8>| {
        let mut opener = receive.open_request(&fixtures::message_id(), &random, opening());
        opener.open(bytes.into(), true).is_ok()
    };
    for at in 0..frame.len() * 8 {
        let mut altered = frame.to_vec();
        altered[at / 8] ^= 1 << (at % 8);
        assert!(!open(altered));
    }
    for len in 0..frame.len() {
        assert!(!open(frame[..len].to_vec()));
    }
    assert!(open(frame.to_vec()));
}

#[test]
fn a_frame_nobody_else_holds_is_opened_where_it_lies() {
    let Ends { send, receive, .. } = ends(Suite::X25519);
    let (random, frame) = seal_request(&send, &[9; 4096]);
    let at = frame.as_ptr();
    let mut opener = receive.open_request(&fixtures::message_id(), &random, opening());
    assert_eq!(opener.open(frame, true).unwrap().as_ptr(), at);
}

#[test]
fn a_session_ends_by_time_and_by_count() {
    let Ends { send, receive, .. } = ends(Suite::X25519);
    let after = |seconds: u64| fixtures::now().saturating_add(Duration::from_secs(seconds));
    assert!(send.admit(after(900)).is_ok());
    let ended = send.clone().admit(after(901)).unwrap_err();
    assert!(matches!(ended, SealError::Ended));
    assert_eq!(ended.reason(), Reason::SessionUnknown);
    // The receiver keeps it a minute longer.
    assert!(receive.admit(after(960)).is_ok());
    assert!(receive.admit(after(961)).is_err());
    for _ in 1..SendSession::MAX_MESSAGES {
        assert!(send.admit(after(0)).is_ok());
    }
    assert!(send.admit(after(0)).is_err());
}

#[test]
fn refuses_keys_and_encapsulations_that_are_none_of_their_suite() {
    for suite in SUITES {
        let pair = SealKeyPair::generate(suite).unwrap();
        let public = pair.public().as_bytes();
        assert_eq!(SealPublicKey::parse(suite, public).unwrap(), *pair.public());
        assert!(SealPublicKey::parse(suite, &public[1..]).is_err());
        assert!(SealKeyPair::from_bytes(suite, &[0; 31]).is_err());
        let same = SealKeyPair::from_bytes(suite, &pair.to_bytes()).unwrap();
        assert_eq!(same.public(), pair.public());
        for len in [0, suite.enc_len() - 1, suite.enc_len() + 1] {
            let accepted =
                ReceiveSession::accept(&parties(), &pair, &vec![1; len], fixtures::now());
            assert!(matches!(accepted, Err(SealError::Key { .. })));
        }
        assert_eq!(suite.name().parse::<Suite>().unwrap(), suite);
    }
    // X25519 with a point of small order gives a shared secret anybody knows.
    let low = SealPublicKey::parse(Suite::X25519, &[0; 32]).unwrap();
    assert!(SendSession::establish(&parties(), &low, fixtures::now()).is_err());
    let pair = SealKeyPair::generate(Suite::X25519).unwrap();
    assert!(ReceiveSession::accept(&parties(), &pair, &[0; 32], fixtures::now()).is_err());
    let xwing = SealKeyPair::generate(Suite::XWing).unwrap();
    assert!(SealPublicKey::parse(Suite::X25519, xwing.public().as_bytes()).is_err());
    // An ML-KEM key whose coefficients are not reduced.
    assert!(SealPublicKey::parse(Suite::XWing, &[0xff; 1216]).is_err());
    let unknown = "rot13".parse::<Suite>().unwrap_err();
    assert_eq!(unknown.reason(), Reason::PeerVersion);
}

#[test]
fn sessions_are_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<SendSession>();
    shared::<ReceiveSession>();
}
