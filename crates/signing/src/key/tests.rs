use super::*;

#[test]
fn signs_and_verifies_with_either_algorithm() {
    let keys: [Box<dyn Signer>; 2] = [
        Box::new(Ed25519Key::generate().unwrap()),
        Box::new(P256Key::generate().unwrap()),
    ];
    for key in keys {
        let signature = key.sign(b"message").unwrap();
        let public = VerifyingKey::from_spki_der(key.verifying_key().spki_der()).unwrap();
        assert_eq!(&public, key.verifying_key());
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"massage", &signature).is_err());
        for bit in 0..512 {
            let mut altered = signature;
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(public.verify(b"message", &altered).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn private_keys_survive_being_written_and_read() {
    let key = Ed25519Key::generate().unwrap();
    let read = Ed25519Key::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
    assert_eq!(read.verifying_key(), key.verifying_key());
    let key = P256Key::generate().unwrap();
    let read = P256Key::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
    assert_eq!(read.verifying_key(), key.verifying_key());
    assert!(Ed25519Key::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).is_err());
    assert!(P256Key::from_pkcs8_der(b"").is_err());
}

#[test]
fn refuses_weak_and_misspelt_ed25519_keys() {
    // Points of small order: the identity, and one of order 2, 4.
    let mut identity = [0; 32];
    identity[0] = 1;
    assert_eq!(
        VerifyingKey::from_ed25519_bytes(&identity).err(),
        Some(InvalidKey::Weak)
    );
    assert_eq!(
        VerifyingKey::from_ed25519_bytes(&[0; 32]).err(),
        Some(InvalidKey::Weak)
    );
    // y = p + 1, the identity again but not reduced.
    let mut unreduced = [0xff; 32];
    unreduced[0] = 0xee;
    unreduced[31] = 0x7f;
    assert!(VerifyingKey::from_ed25519_bytes(&unreduced).is_err());
}

#[test]
fn refuses_a_signature_whose_scalar_is_not_reduced() {
    let key = Ed25519Key::from_seed(&[7; 32]).unwrap();
    let mut signature = key.sign(b"m").unwrap();
    // s + L, little endian.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert!(key.verifying_key().verify(b"m", &signature).is_err());
}

#[test]
fn a_p256_signature_has_one_spelling_and_its_mirror_is_refused() {
    let key = P256Key::generate().unwrap();
    // Half of all signatures come out high: 64 of them leave no doubt that they are lowered.
    for message in 0..64_u8 {
        let signature = key.sign(&[message]).unwrap();
        assert!(key.verifying_key().verify(&[message], &signature).is_ok());
        let mirror = low_s::mirrored(signature);
        // The mirror is no forgery: the bare algorithm accepts it.
        let bare = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.pair.public_key());
        assert!(bare.verify(&[message], &mirror).is_ok());
        assert!(key.verifying_key().verify(&[message], &mirror).is_err());
    }
}

#[test]
fn refuses_a_p256_signature_of_zeros() {
    let key = P256Key::generate().unwrap();
    let signature = key.sign(b"m").unwrap();
    for zeros in [0..64, 0..32, 32..64] {
        let mut zeroed = signature;
        zeroed[zeros].fill(0);
        assert!(key.verifying_key().verify(b"m", &zeroed).is_err());
    }
}

#[test]
fn refuses_a_public_key_that_is_not_exactly_its_der() {
    let spki = P256Key::generate()
        .unwrap()
        .verifying_key()
        .spki_der()
        .to_vec();
    for len in 0..spki.len() {
        assert!(VerifyingKey::from_spki_der(&spki[..len]).is_err());
    }
    let mut off_curve = spki.clone();
    off_curve[60] ^= 1;
    assert!(VerifyingKey::from_spki_der(&off_curve).is_err());
    let longer = [&spki[..], &[0]].concat();
    assert!(VerifyingKey::from_spki_der(&longer).is_err());
}
