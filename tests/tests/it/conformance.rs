//! Golden bytes of what crosses between servers and of what they log, checked both ways: what the
//! code writes equals the file, and what it reads from the file writes the same bytes.
//!
//! A vector is never edited; another format is another version, with vectors of its own. New ones are
//! written by running this with `ENTENTE_NEW_VECTORS=1`, which touches no file that is there.

mod frames;
mod ledger;
mod text;

use std::path::PathBuf;

/// The bytes of a vector. With `ENTENTE_NEW_VECTORS` set, one that is not there yet is written first.
fn published(name: &str, write: impl FnOnce() -> String) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("conformance/vectors")
        .join(format!("{name}.hex"));
    if std::env::var_os("ENTENTE_NEW_VECTORS").is_some() && !path.exists() {
        std::fs::write(&path, write()).unwrap();
    }
    let text = std::fs::read_to_string(path);
    text::strip(&text.unwrap_or_else(|_| panic!("no vector {name}")))
}

/// The bytes of a vector that must be there.
fn existing(name: &str) -> Vec<u8> {
    published(name, || panic!("no vector {name}"))
}
