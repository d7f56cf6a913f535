//! What the files of a key folder are called: `<use>.<label>.<kind>`.

use super::{KeyStore, KeyStoreError};
use crate::KeyUse;

pub(super) fn file_name(
    key_use: KeyUse,
    label: &str,
    extension: &str,
) -> Result<String, KeyStoreError> {
    if is_label(label) {
        Ok(format!("{key_use}.{label}.{extension}"))
    } else {
        Err(KeyStoreError::Label)
    }
}

pub(super) fn parse_name(name: &str) -> Option<(KeyUse, &str)> {
    let (key_use, rest) = name.split_once('.')?;
    let (label, suffix) = rest.split_once('.')?;
    let key_use = key_use.parse().ok()?;
    (is_label(label) && suffix == extension(key_use)).then_some((key_use, label))
}

pub(super) const fn extension(key_use: KeyUse) -> &'static str {
    match key_use.algorithm() {
        Some(_) => PEM,
        None => SECRET,
    }
}

fn is_label(label: &str) -> bool {
    (1..=KeyStore::MAX_LABEL).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A signing key.
pub(super) const PEM: &str = "pem";
/// The certificates of a signing key.
pub(super) const CERTIFICATES: &str = "crt";
/// A raw secret.
pub(super) const SECRET: &str = "secret";
