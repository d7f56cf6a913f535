//! Each fault is refused, and by its own name.

use entente_signing::Digest;
use entente_testkit::Authority;
use entente_testkit::authority::{Form, Keys, Signer};
use entente_timestamp::{Authorities, MAX_TOKEN, Query, ReplyError, TokenError, verify};
use proptest::prelude::*;
use tempfile::TempDir;

const NOTE: &[u8] = b"ss1.example/access/2026h2.1\n7\nAAAA\n";

/// A true token, its authority, and those who are believed.
struct Scene {
    authority: Authority,
    authorities: Authorities,
    token: Vec<u8>,
    _dir: TempDir,
}

// === impl Scene ===

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(dir.path(), Keys::P256);
        let authorities = Authorities::parse(&authority.root()).unwrap();
        let query = Query::new(Digest::of(NOTE), &authorities);
        let reply = authority.reply(&query.encode());
        let token = query.open(&reply, &authorities).unwrap().0.to_vec();
        Self {
            authority,
            authorities,
            token,
            _dir: dir,
        }
    }

    fn refusal(&self, token: &[u8]) -> TokenError {
        verify(token, Digest::of(NOTE), &self.authorities).unwrap_err()
    }

    /// The true token's content, signed anew.
    fn signed(&self, signer: Signer, form: Form) -> Vec<u8> {
        let info = self.authority.info_of(&self.token);
        self.authority.sign(&info, signer, form)
    }

    /// The true token's content with the year replaced, signed anew.
    fn in_year(&self, year: &[u8; 4]) -> Vec<u8> {
        let mut info = self.authority.info_of(&self.token);
        let at = info.windows(3).position(|w| w == [0x18, 15, b'2']).unwrap() + 2;
        info[at..at + 4].copy_from_slice(year);
        self.authority.sign(&info, Signer::Good, Form::Cades)
    }
}

#[test]
fn refuses_a_reply_to_another_question() {
    let scene = Scene::new();
    let ask = || Query::new(Digest::of(NOTE), &scene.authorities);
    let (asked, other) = (ask(), ask());
    let reply = scene.authority.reply(&other.encode());
    assert!(other.open(&reply, &scene.authorities).is_ok());
    let refused = asked.open(&reply, &scene.authorities).unwrap_err();
    assert_eq!(refused, ReplyError::Nonce);
}

#[test]
fn refuses_a_token_over_something_else() {
    let scene = Scene::new();
    let other = Digest::of(b"something else");
    let refused = verify(&scene.token, other, &scene.authorities);
    assert_eq!(refused, Err(TokenError::Imprint));
    let query = Query::new(other, &scene.authorities);
    let about_note = Query::new(Digest::of(NOTE), &scene.authorities);
    let reply = scene.authority.reply(&about_note.encode());
    let refused = query.open(&reply, &scene.authorities).unwrap_err();
    assert_eq!(refused, ReplyError::Token(TokenError::Imprint));
}

#[test]
fn refuses_a_time_at_which_the_certificate_was_not_valid() {
    let scene = Scene::new();
    for year in [b"2001", b"2090"] {
        let refused = scene.refusal(&scene.in_year(year));
        assert!(matches!(refused, TokenError::Expired(_)), "{refused:?}");
    }
}

#[test]
fn refuses_a_signer_whose_certificate_is_not_for_time_stamping_alone() {
    let scene = Scene::new();
    let good = scene.signed(Signer::Good, Form::Cades);
    assert!(verify(&good, Digest::of(NOTE), &scene.authorities).is_ok());
    for signer in [Signer::NoPurpose, Signer::NotCritical, Signer::Other] {
        let refused = scene.refusal(&scene.signed(signer, Form::Cades));
        assert_eq!(refused, TokenError::Purpose, "{signer:?}");
    }
}

#[test]
fn refuses_a_signature_without_attributes_that_name_its_signer() {
    let scene = Scene::new();
    let refused = scene.refusal(&scene.signed(Signer::Good, Form::NoAttributes));
    assert_eq!(refused, TokenError::Attributes("none"));
    let refused = scene.refusal(&scene.signed(Signer::Good, Form::Plain));
    assert_eq!(refused, TokenError::Attributes("missing"));
}

#[test]
fn refuses_an_authority_under_a_foreign_root() {
    let (scene, foreign) = (Scene::new(), Scene::new());
    let refused = scene.refusal(&foreign.token);
    assert!(matches!(refused, TokenError::Authority(_)), "{refused:?}");
}

#[test]
fn refuses_another_policy_than_the_one_demanded() {
    let scene = Scene::new();
    let other = Authority::OTHER_POLICY.parse().unwrap();
    let demanding = scene.authorities.clone().with_policy(Some(other));
    let refused = verify(&scene.token, Digest::of(NOTE), &demanding);
    assert_eq!(refused, Err(TokenError::Policy));
}

#[test]
fn refuses_a_token_with_any_byte_altered() {
    let scene = Scene::new();
    for bit in [0x01, 0x80] {
        for at in 0..scene.token.len() {
            let mut token = scene.token.clone();
            token[at] ^= bit;
            let verified = verify(&token, Digest::of(NOTE), &scene.authorities);
            assert!(verified.is_err(), "byte {at}");
        }
    }
}

#[test]
fn refuses_what_is_cut_short_too_long_or_no_token() {
    let scene = Scene::new();
    for length in 0..scene.token.len() {
        assert!(
            matches!(
                scene.refusal(&scene.token[..length]),
                TokenError::Malformed(_)
            ),
            "{length}"
        );
    }
    let long = [&scene.token[..], &[0]].concat();
    assert_eq!(scene.refusal(&long), TokenError::Malformed("CMS"));
    let huge = vec![0x30; MAX_TOKEN + 1];
    assert_eq!(scene.refusal(&huge), TokenError::Malformed("too long"));
    let query = Query::new(Digest::of(NOTE), &scene.authorities);
    let opened = |reply: &[u8]| query.open(reply, &scene.authorities).unwrap_err();
    assert_eq!(opened(b"<html>"), ReplyError::Malformed);
    assert_eq!(opened(&vec![0x30; 1 << 20]), ReplyError::Malformed);
    // An authority that refuses says so, with a token or without.
    let rejected = [0x30, 5, 0x30, 3, 2, 1, 2];
    assert_eq!(opened(&rejected), ReplyError::Refused { status: 2 });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics_whatever_the_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let pem = include_bytes!("root.pem");
        let authorities = Authorities::parse(pem).unwrap();
        prop_assert!(verify(&bytes, Digest::of(NOTE), &authorities).is_err());
        let query = Query::new(Digest::of(NOTE), &authorities);
        prop_assert!(query.open(&bytes, &authorities).is_err());
    }
}
