//! One record: its key, its ciphertext, and the form in which both travel with a ledger entry.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use bytes::Bytes;
use entente_clock::Day;
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader, Writer};
use zeroize::Zeroizing;

use crate::keys::{Kek, random};
use crate::retention::Retention;
use crate::{RecordOf, SidecarError};

/// The key of one record. Random, and used once: so its nonce may be zero.
pub(crate) struct RecordKey(Zeroizing<[u8; 32]>);

/// What waits in the write-ahead log: CBOR `[1, retention, day, hash, wrapped key, ciphertext]`.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) retention: Retention,
    pub(crate) day: Day,
    pub(crate) hash: Digest,
    pub(crate) wrapped: [u8; 40],
    pub(crate) ciphertext: Bytes,
}

// === impl RecordKey ===

impl RecordKey {
    pub(crate) fn generate() -> Result<Self, SidecarError> {
        random().map(Self)
    }

    /// AES-256-GCM, the nonce zero, the record's place as additional data.
    pub(crate) fn seal(
        &self,
        of: &RecordOf<'_>,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SidecarError> {
        let mut bytes = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
        bytes.extend_from_slice(plaintext);
        self.key()?
            .seal_in_place_append_tag(zero(), Aad::from(place(of)), &mut bytes)
            .map_err(|_| SidecarError::Seal)?;
        Ok(bytes)
    }

    pub(crate) fn open(
        &self,
        of: &RecordOf<'_>,
        ciphertext: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, SidecarError> {
        let mut bytes = Zeroizing::new(ciphertext);
        let len = self
            .key()?
            .open_in_place(zero(), Aad::from(place(of)), &mut bytes)
            .map_err(|_| SidecarError::Seal)?
            .len();
        bytes.truncate(len);
        Ok(bytes)
    }

    /// AES-KW (RFC 3394): 40 bytes.
    pub(crate) fn wrap(&self, kek: &Kek) -> Result<[u8; 40], SidecarError> {
        let mut wrapped = [0; 40];
        let kek = AesKek::new(&AES_256, &***kek).map_err(|_| SidecarError::Seal)?;
        kek.wrap(&*self.0, &mut wrapped)
            .map_err(|_| SidecarError::Seal)?;
        Ok(wrapped)
    }

    pub(crate) fn unwrap(kek: &Kek, wrapped: &[u8; 40]) -> Result<Self, SidecarError> {
        let mut key = Zeroizing::new([0; 32]);
        let kek = AesKek::new(&AES_256, &***kek).map_err(|_| SidecarError::Seal)?;
        kek.unwrap(wrapped, &mut *key)
            .map_err(|_| SidecarError::Seal)?;
        Ok(Self(key))
    }

    fn key(&self) -> Result<LessSafeKey, SidecarError> {
        let key = UnboundKey::new(&AES_256_GCM, &*self.0).map_err(|_| SidecarError::Seal)?;
        Ok(LessSafeKey::new(key))
    }
}

// === impl Attachment ===

impl Attachment {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::with_capacity(self.ciphertext.len() + 160);
        out.array(6)
            .uint(1)
            .text(&self.retention.to_string())
            .text(&self.day.to_string());
        out.bytes(self.hash.as_bytes())
            .bytes(&self.wrapped)
            .bytes(&self.ciphertext);
        out.into_vec().into()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != 6 || reader.uint()? != 1 {
            return Err(CborError::Unexpected);
        }
        let attachment = Self {
            retention: reader.text()?.parse().map_err(|_| CborError::Range)?,
            day: reader.text()?.parse().map_err(|_| CborError::Range)?,
            hash: Digest::from_bytes(reader.bytes_exact()?),
            wrapped: reader.bytes_exact()?,
            ciphertext: bytes.slice_ref(reader.bytes()?),
        };
        reader.finish()?;
        Ok(attachment)
    }
}

/// A record's key, wrapped under one of the keys of its period.
pub(crate) fn unwrap_any(keks: &[Kek], wrapped: &[u8; 40]) -> Result<RecordKey, SidecarError> {
    let mut opened = keks
        .iter()
        .filter_map(|kek| RecordKey::unwrap(kek, wrapped).ok());
    opened.next().ok_or(SidecarError::Seal)
}

/// `"entente/sidecar/v1" ‖ 00 ‖ origin ‖ 00 ‖ message id ‖ kind`.
fn place(of: &RecordOf<'_>) -> Vec<u8> {
    const LABEL: &[u8] = b"entente/sidecar/v1\0";
    let mut place = Vec::with_capacity(LABEL.len() + of.origin.len() + of.message_id.len() + 2);
    place.extend_from_slice(LABEL);
    place.extend_from_slice(of.origin.as_bytes());
    place.push(0);
    place.extend_from_slice(of.message_id);
    place.push(of.kind);
    place
}

fn zero() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
