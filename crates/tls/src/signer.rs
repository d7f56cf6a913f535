//! Bridges from Entente's [`Signer`] to the signing traits of rustls and rcgen, so that a TLS key
//! can live wherever keys are kept and never has to be read out.

use std::fmt;
use std::sync::Arc;

use entente_signing::{Algorithm, Signer};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer as TlsSigner, SigningKey as TlsSigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

/// A TLS handshake key backed by a [`Signer`].
#[derive(Clone)]
pub(crate) struct HandshakeKey(pub(crate) Arc<dyn Signer>);

/// A certificate's own signature, made by a [`Signer`].
pub(crate) struct CarrierKey<'a>(pub(crate) &'a dyn Signer);

// === impl HandshakeKey ===

impl HandshakeKey {
    fn tls_scheme(&self) -> SignatureScheme {
        match self.0.verifying_key().algorithm() {
            Algorithm::Ed25519 => SignatureScheme::ED25519,
            Algorithm::P256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        }
    }
}

impl TlsSigningKey for HandshakeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn TlsSigner>> {
        offered
            .contains(&self.tls_scheme())
            .then(|| Box::new(self.clone()) as Box<dyn TlsSigner>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(
            self.0.verifying_key().spki_der(),
        ))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.verifying_key().algorithm() {
            Algorithm::Ed25519 => SignatureAlgorithm::ED25519,
            Algorithm::P256 => SignatureAlgorithm::ECDSA,
        }
    }
}

impl TlsSigner for HandshakeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let raw = self
            .0
            .sign(message)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(encode(self.0.verifying_key().algorithm(), &raw))
    }

    fn scheme(&self) -> SignatureScheme {
        self.tls_scheme()
    }
}

impl fmt::Debug for HandshakeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandshakeKey({})", self.0.verifying_key().key_id())
    }
}

// === impl CarrierKey ===

impl rcgen::PublicKeyData for CarrierKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        let key = self.0.verifying_key();
        // Entente admits exactly one encoding per algorithm, so the bare point is the known tail.
        let point = match key.algorithm() {
            Algorithm::Ed25519 => 32,
            Algorithm::P256 => 65,
        };
        let spki = key.spki_der();
        &spki[spki.len().saturating_sub(point)..]
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.0.verifying_key().algorithm() {
            Algorithm::Ed25519 => &rcgen::PKCS_ED25519,
            Algorithm::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl rcgen::SigningKey for CarrierKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let raw = self
            .0
            .sign(message)
            .map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(encode(self.0.verifying_key().algorithm(), &raw))
    }
}

/// A signature as X.509 and TLS write it: Ed25519 as it is, ECDSA as SEQUENCE { r, s } (RFC 3279).
fn encode(algorithm: Algorithm, raw: &[u8; 64]) -> Vec<u8> {
    match algorithm {
        Algorithm::Ed25519 => raw.to_vec(),
        Algorithm::P256 => {
            let (r, s) = raw.split_at(32);
            let (r, s) = (integer(r), integer(s));
            // At most 2 × 35 bytes: the short length form always suffices.
            let mut der = vec![0x30, (r.len() + s.len()) as u8];
            der.extend_from_slice(&r);
            der.extend_from_slice(&s);
            der
        }
    }
}

/// A DER INTEGER from 32 big-endian bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes
        .iter()
        .take(bytes.len() - 1)
        .take_while(|b| **b == 0)
        .count();
    let digits = &bytes[zeros..];
    let pad = digits[0] >= 0x80;
    let mut der = vec![0x02, digits.len() as u8 + u8::from(pad)];
    if pad {
        der.push(0);
    }
    der.extend_from_slice(digits);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_integers_in_their_shortest_form() {
        let mut bytes = [0; 32];
        assert_eq!(integer(&bytes), [0x02, 0x01, 0x00]);
        bytes[31] = 0x7f;
        assert_eq!(integer(&bytes), [0x02, 0x01, 0x7f]);
        bytes[31] = 0x80;
        assert_eq!(integer(&bytes), [0x02, 0x02, 0x00, 0x80]);
        let full = integer(&[0xff; 32]);
        assert_eq!((full.len(), full[1], full[2]), (35, 33, 0));
    }
}
