//! Secrets: named in configuration by their file only, read late, never shown.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::path::FilePath;

/// Where a secret is kept, written `{file: ./ledger-password}`. There is no way to write the
/// secret itself into a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    /// The file that holds the secret; one line break at its end is not part of it.
    pub file: FilePath,
}

/// A secret that was read. Wiped when dropped; shows as `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Anyone on the machine could replace it.
    #[error("secret file {} can be written by anyone; chmod 600 it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file is missing or unreadable.
    #[error("failed to read secret file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Empty, or longer than [`MAX_SECRET_BYTES`], or not UTF-8 where text was due.
    #[error("secret file {} is {fault}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// `empty`, `too long` or `not text`.
        fault: &'static str,
    },
}

// === impl SecretFile ===

impl SecretFile {
    /// The secret in `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            file: FilePath::from(path.into()),
        }
    }

    /// Reads the secret.
    ///
    /// # Errors
    /// When the file is missing, empty, longer than [`MAX_SECRET_BYTES`], or writable by anyone.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let path = self.file.as_path();
        let failed = |source| SecretError::Read {
            path: path.to_path_buf(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o002 != 0 {
            return Err(SecretError::Exposed {
                path: path.to_path_buf(),
            });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 1));
        file.take(MAX_SECRET_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() > MAX_SECRET_BYTES {
            return Err(unusable(path, "too long"));
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err(unusable(path, "empty"));
        }
        Ok(Secret(bytes))
    }

    /// Reads the secret and checks that it is text.
    ///
    /// # Errors
    /// As [`SecretFile::read`], and when the bytes are not UTF-8.
    pub fn read_text(&self) -> Result<Secret, SecretError> {
        let secret = self.read()?;
        if std::str::from_utf8(&secret.0).is_err() {
            return Err(unusable(self.file.as_path(), "not text"));
        }
        Ok(secret)
    }

    /// A sentence to warn with when everyone on the machine can read the secret. Not refused,
    /// because orchestrators mount secrets that way into folders only one service can enter.
    pub fn warning(&self) -> Option<String> {
        let mode = std::fs::metadata(self.file.as_path())
            .ok()?
            .permissions()
            .mode();
        (mode & 0o004 != 0).then(|| {
            format!(
                "secret file {} can be read by anyone; chmod 600 it",
                self.file
            )
        })
    }
}

// === impl Secret ===

impl Secret {
    /// A secret made in the program, for instance a fresh token.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The secret itself, where it is text.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn unusable(path: &Path, fault: &'static str) -> SecretError {
    SecretError::Unusable {
        path: path.to_path_buf(),
        fault,
    }
}

/// The longest secret: 64 KiB, enough for any private key.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    #[test]
    fn reads_a_secret_without_its_line_break_and_never_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        write(&path, "hunter2\r\n").unwrap();
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let file = SecretFile::at(&path);
        let secret = file.read_text().unwrap();
        assert_eq!(secret.expose(), b"hunter2");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(file.warning(), None);
    }

    #[test]
    fn refuses_a_secret_anyone_can_replace_and_warns_of_one_anyone_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        write(&path, "x").unwrap();
        let file = SecretFile::at(&path);
        set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(file.read(), Err(SecretError::Exposed { .. })));
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(file.read().is_ok());
        assert!(file.warning().unwrap().contains("chmod 600"));
    }

    #[test]
    fn refuses_an_empty_or_endless_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        write(&path, "\n").unwrap();
        assert!(SecretFile::at(&path).read().is_err());
        write(&path, vec![b'x'; MAX_SECRET_BYTES + 1]).unwrap();
        assert!(SecretFile::at(&path).read().is_err());
        assert!(SecretFile::at(folder.path().join("none")).read().is_err());
    }
}
