//! Tokens of local systems: one file, given to one system, that proves a caller on loopback.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use entente_reason::Reason;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::durable;

/// A 256-bit token, written `entente_` and 64 hexadecimal digits. Compared in constant time, wiped
/// when dropped, never printed.
#[derive(Clone)]
pub struct LocalToken(Zeroizing<String>);

/// Why a token file could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The system refused.
    #[error("using the token file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Not a token.
    #[error("{} does not hold a token", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Others may read the file.
    #[error("{} may be read by others: set its mode to 0600", path.display())]
    NotPrivate {
        /// The file.
        path: PathBuf,
    },
}

// === impl LocalToken ===

impl LocalToken {
    /// Makes a token and writes it to the new file `path`, mode 0600. Fails if the file exists.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::File {
            path: path.to_owned(),
            source,
        };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        };
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|error| failed(io::Error::other(error)))?;
        let digits = Zeroizing::new(hex::encode(*bytes));
        let token = Zeroizing::new([PREFIX, digits.as_str()].concat());
        let line = Zeroizing::new([token.as_str(), "\n"].concat());
        durable::create(folder, &name.to_string_lossy(), line.as_bytes()).map_err(failed)?;
        Ok(Self(token))
    }

    /// Reads a token from its file, which nobody but its owner may read.
    ///
    /// # Errors
    /// When the file cannot be read, is open to others, or holds no token.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::File {
            path: path.to_owned(),
            source,
        };
        let content = durable::read(path).map_err(failed)?;
        if !durable::is_private(path).map_err(failed)? {
            return Err(TokenError::NotPrivate {
                path: path.to_owned(),
            });
        }
        str::from_utf8(&content)
            .ok()
            .map(str::trim_ascii_end)
            .filter(|text| is_token(text))
            .map(|text| Self(Zeroizing::new(text.to_owned())))
            .ok_or_else(|| TokenError::Malformed {
                path: path.to_owned(),
            })
    }

    /// Whether `presented` is this token. Takes the same time wherever they differ.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// The token, to be put into an `authorization: Bearer` header.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LocalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalToken(..)")
    }
}

// === impl TokenError ===

impl TokenError {
    /// The refusal this amounts to: always a matter of our own configuration.
    pub const fn reason(&self) -> Reason {
        Reason::InternalFault
    }
}

fn is_token(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

const PREFIX: &str = "entente_";
