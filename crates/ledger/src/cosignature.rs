//! C2SP `tlog-cosignature`: a witness's `cosignature/v1` over a checkpoint, with the time it gives.
//!
//! A cosignature says that its witness has seen this tree and that every earlier tree it cosigned for
//! this log is its beginning. It does not bind the witness's name, so a witness has a key of its own.

use entente_clock::Timestamp;
use entente_signing::Signer;

use crate::checkpoint::SignedCheckpoint;
use crate::note::{NoteError, NoteSignature, SignNoteError, WitnessKey};

/// Cosigns a checkpoint: the witness has checked that it may. Whole seconds of `at` are signed.
///
/// # Errors
/// When the key is not Ed25519, the name is not allowed, or signing failed.
pub fn cosign(
    checkpoint: &SignedCheckpoint,
    at: Timestamp,
    name: &str,
    signer: &dyn Signer,
) -> Result<NoteSignature, SignNoteError> {
    let key = WitnessKey::new(name, signer.verifying_key().clone())?;
    let seconds = at.as_millis() / 1000;
    let signature = signer.sign(message(seconds, checkpoint.note().text()).as_bytes())?;
    Ok(key.line([&seconds.to_be_bytes()[..], &signature].concat()))
}

/// When `key`'s witness cosigned, by the newest of its cosignatures below the note.
///
/// # Errors
/// When there is none of this key, or one that does not verify.
pub fn verify(checkpoint: &SignedCheckpoint, key: &WitnessKey) -> Result<Timestamp, NoteError> {
    let mut newest = None;
    for line in checkpoint.note().signatures() {
        if key.made(line) {
            newest = newest.max(Some(verify_line(checkpoint, line, key)?));
        }
    }
    newest.ok_or(NoteError::Unsigned)
}

/// When `key`'s witness made this one cosignature.
///
/// # Errors
/// When it is not of this key, or does not verify.
pub fn verify_line(
    checkpoint: &SignedCheckpoint,
    line: &NoteSignature,
    key: &WitnessKey,
) -> Result<Timestamp, NoteError> {
    let (seconds, signature) = line.bytes.split_first_chunk().ok_or(NoteError::Unsigned)?;
    let signature = signature.try_into().map_err(|_| NoteError::Unsigned)?;
    let seconds = u64::from_be_bytes(*seconds);
    let millis = seconds.checked_mul(1000).ok_or(NoteError::Unsigned)?;
    if !key.made(line) {
        return Err(NoteError::Unsigned);
    }
    let signed = message(seconds, checkpoint.note().text());
    let verified = key.key().verify(signed.as_bytes(), signature);
    verified.map_err(|_| NoteError::Unsigned)?;
    Ok(Timestamp::from_millis(millis))
}

fn message(seconds: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}
