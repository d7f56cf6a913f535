//! Signatures: every altered byte is refused, in both forms.

use bytes::Bytes;
use entente_evidence::admission::{AdmissionError, check_addressee, check_fresh};
use entente_evidence::proof::{
    ParseError, ProofError, RootCache, SignedStatement, VerifyError, sign_batch, sign_direct,
};
use entente_reason::Reason;
use entente_signing::cbor::Writer;
use entente_signing::cose::{self, Protected};
use entente_signing::{Digest, Ed25519Key, P256Key, Signer as _, VerifyingKey};

use crate::fixtures;

fn batch_of_five() -> Vec<SignedStatement> {
    let statements = fixtures::batch();
    let server = statements[0].sender_server.clone();
    sign_batch(
        &fixtures::provider_key(),
        &server,
        fixtures::drafts(statements),
    )
    .unwrap()
}

fn accepted(bytes: Vec<u8>, key: &VerifyingKey) -> bool {
    SignedStatement::parse(Bytes::from(bytes)).is_ok_and(|signed| signed.verify(key).is_ok())
}

fn refuses_every_alteration(signed: &SignedStatement, key: &VerifyingKey) {
    assert!(accepted(signed.bytes().to_vec(), key));
    for at in 0..signed.bytes().len() {
        for bit in 0..8 {
            let mut altered = signed.bytes().to_vec();
            altered[at] ^= 1 << bit;
            assert!(!accepted(altered, key), "bit {bit} of byte {at}");
        }
        assert!(!accepted(signed.bytes()[..at].to_vec(), key), "cut at {at}");
    }
    let longer = [signed.bytes().as_ref(), &[0]].concat();
    assert!(!accepted(longer, key));
}

#[test]
fn refuses_every_altered_bit_of_a_direct_proof() {
    let key = fixtures::verifying_key(&fixtures::consumer_key());
    refuses_every_alteration(&fixtures::signed_request(), &key);
}

#[test]
fn refuses_every_altered_bit_of_a_batch_proof() {
    let key = fixtures::verifying_key(&fixtures::provider_key());
    // The first has the longest path; the last hangs alone on the right of a tree of five, where a
    // path says least about size and index.
    let signed = batch_of_five();
    refuses_every_alteration(&signed[0], &key);
    refuses_every_alteration(&signed[4], &key);
}

#[test]
fn refuses_a_statement_under_another_proof() {
    let key = fixtures::verifying_key(&fixtures::provider_key());
    let signed = batch_of_five();
    let receipt = |at: usize| {
        let bytes = signed[at].bytes();
        let statement = signed[at].statement_bytes().len();
        bytes.slice(1 + 3 + statement..)
    };
    let mut swapped = Writer::new();
    swapped
        .array(2)
        .bytes(signed[0].statement_bytes())
        .raw(&receipt(1));
    assert!(!accepted(swapped.into_vec(), &key));
    let mut same = Writer::new();
    same.array(2)
        .bytes(signed[0].statement_bytes())
        .raw(&receipt(0));
    assert!(accepted(same.into_vec(), &key));
}

#[test]
fn refuses_another_key_even_of_the_same_server() {
    let other = Ed25519Key::from_seed(&[3; 32]).unwrap();
    for signed in [vec![fixtures::signed_request()], batch_of_five()].concat() {
        let error = signed.verify(other.verifying_key()).unwrap_err();
        assert!(matches!(error, VerifyError::Key { .. }));
        assert_eq!(error.reason(), Reason::SignatureInvalid);
    }
}

#[test]
fn a_root_verified_once_is_not_verified_again_and_proves_no_other() {
    let key = fixtures::verifying_key(&fixtures::provider_key());
    let roots = RootCache::new(2);
    let signed = batch_of_five();
    for signed in &signed {
        assert!(signed.verify_with(&key, &roots).is_ok());
    }
    // The same root with another signature is another thing.
    let mut forged = signed[0].bytes().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let forged = SignedStatement::parse(forged.into()).unwrap();
    assert!(forged.verify_with(&key, &roots).is_err());
    let other = Ed25519Key::from_seed(&[3; 32]).unwrap();
    assert!(
        signed[0]
            .verify_with(other.verifying_key(), &roots)
            .is_err()
    );
    // Direct proofs pass by the cache.
    let consumer = fixtures::verifying_key(&fixtures::consumer_key());
    assert!(
        fixtures::signed_request()
            .verify_with(&consumer, &roots)
            .is_ok()
    );
}

#[test]
fn the_message_id_is_found_without_reading_the_statement() {
    for signed in [vec![fixtures::signed_request()], batch_of_five()].concat() {
        let id = signed.statement().message_id;
        assert_eq!(SignedStatement::message_id_of(signed.bytes()), Some(id));
        for len in 0..signed.bytes().len() {
            let found = SignedStatement::message_id_of(&signed.bytes()[..len]);
            assert!(found.is_none_or(|found| found == id), "{len}");
        }
    }
    for no_statement in [&b""[..], &[0x00], &[0x82, 0x40], &[0xd2, 0x84], &[0xff; 40]] {
        assert_eq!(SignedStatement::message_id_of(no_statement), None);
    }
}

#[test]
fn a_batch_holds_one_servers_statements_and_a_batch_of_one_is_direct() {
    let key = fixtures::provider_key();
    let server = fixtures::response().sender_server;
    let mixed = vec![fixtures::request(), fixtures::response()];
    assert!(matches!(
        sign_batch(&key, &server, fixtures::drafts(mixed)),
        Err(ProofError::Batch)
    ));
    let single = sign_batch(&key, &server, fixtures::drafts([fixtures::response()])).unwrap();
    assert_eq!(single, [sign_direct(&key, fixtures::response()).unwrap()]);
    assert_eq!(sign_batch(&key, &server, Vec::new()).unwrap(), []);
}

#[test]
fn statements_are_not_signed_with_p256() {
    let key = P256Key::generate().unwrap();
    assert!(matches!(
        sign_direct(&key, fixtures::request()),
        Err(ProofError::Algorithm)
    ));
    let statement = fixtures::request();
    let protected = Protected::typed(
        &key,
        statement.sender.as_str(),
        &statement.message_id.urn(),
        "application/entente-stmt+cbor",
    );
    let bytes = cose::sign1(&key, &protected, &statement.encode().unwrap()).unwrap();
    assert_eq!(
        SignedStatement::parse(bytes.into()).unwrap_err(),
        ParseError::Algorithm
    );
}

#[test]
fn refuses_headers_that_do_not_match_the_statement() {
    let key = fixtures::consumer_key();
    let statement = fixtures::request();
    let payload = statement.encode().unwrap();
    let right = Protected::typed(
        &key,
        statement.sender.as_str(),
        &statement.message_id.urn(),
        "application/entente-stmt+cbor",
    );
    let with = |alter: fn(&mut Protected)| {
        let mut protected = right.clone();
        alter(&mut protected);
        let bytes = cose::sign1(&key, &protected, &payload).unwrap();
        SignedStatement::parse(bytes.into()).map(|_| ())
    };
    assert_eq!(with(|_| {}), Ok(()));
    let issuer = with(|p| p.claims.as_mut().unwrap().issuer = "ca-demo/transport/x".into());
    assert_eq!(issuer, Err(ParseError::Issuer));
    let subject = with(|p| p.claims.as_mut().unwrap().subject.truncate(40));
    assert_eq!(subject, Err(ParseError::Subject));
    assert_eq!(with(|p| p.claims = None), Err(ParseError::Header));
    assert_eq!(with(|p| p.typ = None), Err(ParseError::Header));
    assert_eq!(
        with(|p| p.typ = Some("application/entente-change+cbor".into())),
        Err(ParseError::Header)
    );
    assert_eq!(with(|p| p.vds = Some(1)), Err(ParseError::Header));
}

#[test]
fn refuses_weak_keys_and_signatures_that_are_not_canonical() {
    // The eight points of small order, in their canonical encodings: anybody could sign for them.
    let small_order = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];
    for point in small_order {
        let raw = hex::decode(point).unwrap();
        assert!(VerifyingKey::from_ed25519_bytes(&raw.try_into().unwrap()).is_err());
    }
    // S + L: the same scalar, spelt otherwise.
    let key = fixtures::verifying_key(&fixtures::consumer_key());
    let mut bytes = fixtures::signed_request().bytes().to_vec();
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order = hex::decode(order).unwrap();
    let at = bytes.len() - 32;
    let mut carry = 0;
    for (byte, add) in bytes[at..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let signed = SignedStatement::parse(bytes.into()).unwrap();
    assert!(matches!(
        signed.verify(&key),
        Err(VerifyError::Signature(_))
    ));
}

#[test]
fn a_parsed_statement_shares_the_bytes_it_was_read_from() {
    let bytes = fixtures::signed_request().bytes().clone();
    let signed = SignedStatement::parse(bytes.clone()).unwrap();
    assert_eq!(signed.bytes().as_ptr(), bytes.as_ptr());
    let range = bytes.as_ptr_range();
    assert!(range.contains(&signed.statement_bytes().as_ptr()));
    assert_eq!(signed.hash(), Digest::of(signed.statement_bytes()));
}

#[test]
fn admits_only_what_is_addressed_to_a_system_of_this_server() {
    let key = fixtures::verifying_key(&fixtures::consumer_key());
    let verified = fixtures::signed_request().verify(&key).unwrap();
    let me = fixtures::request().receiver_server;
    assert_eq!(check_addressee(&verified, &me, |_| true), Ok(()));
    let other = "ca-demo/vital-events/@ss2".parse().unwrap();
    let error = check_addressee(&verified, &other, |_| true).unwrap_err();
    assert_eq!(error.reason(), Reason::Misaddressed);
    let error = check_addressee(&verified, &me, |_| false).unwrap_err();
    assert!(matches!(error, AdmissionError::System { .. }));
}

#[test]
fn admits_only_what_was_written_within_the_window() {
    let statement = fixtures::request();
    let at = |offset: i64| {
        let millis = fixtures::NOON.checked_add_signed(offset).unwrap();
        check_fresh(&statement, entente_clock::Timestamp::from_millis(millis)).is_ok()
    };
    assert!(at(0) && at(120_000) && at(-60_000));
    assert!(!at(120_001) && !at(-60_001));
}
