//! Keys and certificates of one run: P-256, self-signed, worth nothing afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entente_signing::{Digest, P256Key, Signer as _};
use entente_tls::{Identity, Pins};

/// Who holds a key: the folder of the run and a name in it.
///
/// `NAME.crt` and `NAME.key` are PEM, which nginx reads too; `NAME.spki` is the hexadecimal digest
/// that others pin.
#[derive(Clone, Debug)]
pub struct Holder {
    stem: PathBuf,
}

/// Makes the keys of each of `names` under `folder`.
///
/// # Errors
/// When a file cannot be written.
pub fn write_keys(folder: &Path, names: &[String]) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for name in names {
        let key = P256Key::generate().context("generating a key")?;
        let secret = key.to_pkcs8_der().context("encoding a key")?;
        let spki = key.verifying_key().spki_digest();
        let identity = Identity::self_signed(Arc::new(key), &[name])?;
        let write = |extension: &str, text: String| {
            let path = folder.join(name).with_extension(extension);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        write("crt", pem("CERTIFICATE", identity.certificate()))?;
        write("key", pem("PRIVATE KEY", &secret))?;
        write("spki", spki.to_string())?;
    }
    Ok(())
}

// === impl Holder ===

impl Holder {
    /// The holder `NAME` of `FOLDER/NAME`.
    pub fn new(stem: impl Into<PathBuf>) -> Self {
        Self { stem: stem.into() }
    }

    /// Its certificate and private key.
    ///
    /// # Errors
    /// When a file is missing or malformed.
    pub fn identity(&self) -> anyhow::Result<Identity> {
        let file = |extension| self.stem.with_extension(extension);
        Ok(Identity::from_files(&file("crt"), &file("key"))?)
    }

    /// Its public key, pinned.
    ///
    /// # Errors
    /// When the file is missing or malformed.
    pub fn pins(&self) -> anyhow::Result<Pins> {
        let path = self.stem.with_extension("spki");
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let digest: Digest = text.trim().parse()?;
        Ok(Pins::new([digest]))
    }
}

impl From<&str> for Holder {
    fn from(stem: &str) -> Self {
        Self::new(stem)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}
