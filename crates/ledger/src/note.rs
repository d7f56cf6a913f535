//! C2SP `signed-note`: a text and signatures over it, each by a named key.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use entente_signing::{Digest, SignError, Signer, VerifyingKey};

/// A text with the signatures below it. Parsing checks form alone; see [`SignedNote::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// First four bytes of the key's hash.
    pub key_id: [u8; 4],
    /// What follows the key id; 64 bytes for Ed25519.
    pub bytes: Vec<u8>,
}

/// An Ed25519 key with its name, for signatures of one kind: what a `vkey` says.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedKey<const KIND: u8> {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// The key of a log: signs a note's text.
pub type NoteKey = NamedKey<ED25519>;

/// The key of a witness: signs a checkpoint with the time at which it was seen.
pub type WitnessKey = NamedKey<COSIGNATURE_V1>;

/// Why a note or a key is not accepted. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not a signed note.
    #[error("not a signed note")]
    Form,
    /// Not an Ed25519 key with a usable name.
    #[error("not a key for signed notes")]
    Key,
    /// No signature of this key, or a wrong one.
    #[error("note is not signed by the expected key")]
    Unsigned,
}

// === impl SignedNote ===

impl SignedNote {
    /// Signs `text`, which ends with a newline.
    ///
    /// # Errors
    /// When the key is not Ed25519, the name or the text is not allowed, or signing failed.
    pub fn sign(name: &str, text: String, signer: &dyn Signer) -> Result<Self, SignNoteError> {
        let key = NoteKey::new(name, signer.verifying_key().clone())?;
        if !is_text(&text) {
            return Err(SignNoteError::Note(NoteError::Form));
        }
        let bytes = signer.sign(text.as_bytes())?;
        Ok(Self {
            text,
            signatures: vec![key.line(bytes.to_vec())],
        })
    }

    /// Reads a note.
    ///
    /// # Errors
    /// When it is not one: at most 1 MiB, 100 signatures, UTF-8 without control characters.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Form)?;
        // The last blank line ends the text; signature lines are never empty.
        let end = note.rfind("\n\n").ok_or(NoteError::Form)?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form)?;
        if note.len() > MAX_NOTE || !is_text(text) || lines.split('\n').count() > MAX_SIGNATURES {
            return Err(NoteError::Form);
        }
        let signatures = lines.split('\n').map(NoteSignature::from_str);
        Ok(Self {
            text: text.to_owned(),
            signatures: signatures.collect::<Result<_, _>>()?,
        })
    }

    /// Adds a signature line, such as a witness's, in place of an earlier one of the same key. Beyond
    /// 100 lines, which is as many as a note is read with, it is left out.
    pub fn add(&mut self, signature: NoteSignature) {
        let is_same =
            |held: &NoteSignature| held.name == signature.name && held.key_id == signature.key_id;
        match self.signatures.iter().position(is_same) {
            Some(at) => self.signatures[at] = signature,
            None if self.signatures.len() < MAX_SIGNATURES => self.signatures.push(signature),
            None => {}
        }
    }

    /// Leaves only the lines of this key.
    pub(crate) fn keep_only(&mut self, key: &NoteKey) {
        self.signatures.retain(|line| key.made(line));
    }

    /// The signed text, its last newline included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signatures, known and unknown.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Checks that `key` signed the text; lines of other keys are ignored.
    ///
    /// # Errors
    /// When no line is of this key, or one is and does not verify.
    pub fn verify(&self, key: &NoteKey) -> Result<(), NoteError> {
        let mut verified = false;
        for line in &self.signatures {
            if key.made(line) {
                let signature = line.bytes.as_slice().try_into();
                let signature = signature.map_err(|_| NoteError::Unsigned)?;
                key.key
                    .verify(self.text.as_bytes(), signature)
                    .map_err(|_| NoteError::Unsigned)?;
                verified = true;
            }
        }
        if verified {
            Ok(())
        } else {
            Err(NoteError::Unsigned)
        }
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            writeln!(f, "{signature}")?;
        }
        Ok(())
    }
}

/// Why a note could not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignNoteError {
    /// The name, the text or the kind of key is not allowed.
    #[error("failed to form a signed note")]
    Note(#[from] NoteError),
    /// The key could not sign.
    #[error("failed to sign a note")]
    Sign(#[from] SignError),
}

// === impl NoteSignature ===

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id[..], &self.bytes].concat();
        write!(f, "\u{2014} {} {}", self.name, BASE64.encode(bytes))
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        let rest = line.strip_prefix("\u{2014} ").ok_or(NoteError::Form)?;
        let (name, bytes) = rest.split_once(' ').ok_or(NoteError::Form)?;
        let bytes = BASE64.decode(bytes).map_err(|_| NoteError::Form)?;
        let (key_id, bytes) = bytes.split_first_chunk().ok_or(NoteError::Form)?;
        if !is_name(name) || bytes.is_empty() {
            return Err(NoteError::Form);
        }
        Ok(Self {
            name: name.to_owned(),
            key_id: *key_id,
            bytes: bytes.to_vec(),
        })
    }
}

// === impl NamedKey ===

impl<const KIND: u8> NamedKey<KIND> {
    /// Names an Ed25519 key. A log's key is named by the log's origin.
    ///
    /// # Errors
    /// When the key is another kind, or the name is empty or holds a space or a `+`.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        let raw = key.raw_ed25519().ok_or(NoteError::Key)?;
        if !is_name(name) {
            return Err(NoteError::Key);
        }
        let hash = Digest::of_parts(&[name.as_bytes(), b"\n", &[KIND], &raw]);
        let [a, b, c, d, ..] = *hash.as_bytes();
        Ok(Self {
            name: name.to_owned(),
            id: [a, b, c, d],
            key,
        })
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Whether a signature line says it is of this key.
    pub(crate) fn made(&self, line: &NoteSignature) -> bool {
        line.name == self.name && line.key_id == self.id
    }

    /// The line for a signature of this key.
    pub(crate) fn line(&self, bytes: Vec<u8>) -> NoteSignature {
        NoteSignature {
            name: self.name.clone(),
            key_id: self.id,
            bytes,
        }
    }
}

/// The `vkey` form: `name+hex(key id)+base64(type ‖ key)`.
impl<const KIND: u8> fmt::Display for NamedKey<KIND> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+", self.name)?;
        for byte in self.id {
            write!(f, "{byte:02x}")?;
        }
        let raw = self.key.raw_ed25519().unwrap_or_default();
        write!(f, "+{}", BASE64.encode([&[KIND][..], &raw].concat()))
    }
}

impl<const KIND: u8> fmt::Debug for NamedKey<KIND> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const KIND: u8> FromStr for NamedKey<KIND> {
    type Err = NoteError;

    fn from_str(vkey: &str) -> Result<Self, NoteError> {
        let mut parts = vkey.splitn(3, '+');
        let mut part = || parts.next().ok_or(NoteError::Key);
        let (name, _, key) = (part()?, part()?, part()?);
        let key = BASE64.decode(key).map_err(|_| NoteError::Key)?;
        let (kind, raw) = key.split_first().ok_or(NoteError::Key)?;
        let raw = raw.try_into().map_err(|_| NoteError::Key)?;
        if *kind != KIND {
            return Err(NoteError::Key);
        }
        let key = VerifyingKey::from_ed25519_bytes(raw).map_err(|_| NoteError::Key)?;
        let key = Self::new(name, key)?;
        // The middle part is the key id; printing again checks it, and the form of the rest.
        if key.to_string() != vkey {
            return Err(NoteError::Key);
        }
        Ok(key)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c == '+' || c.is_whitespace() || c.is_control())
}

fn is_text(text: &str) -> bool {
    text.ends_with('\n') && !text.chars().any(|c| c.is_ascii_control() && c != '\n')
}

/// Signature type of a log's Ed25519 key.
pub const ED25519: u8 = 0x01;
/// Signature type of a witness's Ed25519 key (C2SP `tlog-cosignature`).
pub const COSIGNATURE_V1: u8 = 0x04;
const MAX_NOTE: usize = 1024 * 1024;
const MAX_SIGNATURES: usize = 100;
