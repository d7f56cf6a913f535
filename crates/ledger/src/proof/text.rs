//! `c2sp.org/tlog-proof@v1`: an inclusion proof with its checkpoint, as one text file.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use entente_signing::Digest;

use super::InclusionProof;

/// An inclusion proof with its checkpoint; the extension of its file is `.tlog-proof`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Bytes the log's user adds; at most 64 KiB.
    pub extra: Option<Vec<u8>>,
    /// Position of the entry.
    pub index: u64,
    /// Hashes, leaf to root; at most 63.
    pub path: Vec<Digest>,
    /// The checkpoint, a signed note with all its signatures.
    pub checkpoint: String,
}

/// A text that is not a `tlog-proof`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tlog-proof")]
pub struct TlogProofError;

// === impl TlogProof ===

impl TlogProof {
    /// The proof in it, for a tree of the size its checkpoint names. Verify the checkpoint first.
    pub fn inclusion(&self, size: u64) -> InclusionProof {
        InclusionProof {
            index: self.index,
            size,
            path: self.path.clone(),
        }
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", BASE64.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = TlogProofError;

    fn from_str(text: &str) -> Result<Self, TlogProofError> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(TlogProofError)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(TlogProofError);
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(extra) if extra.len() <= MAX_EXTRA => {
                lines.next();
                Some(BASE64.decode(extra).map_err(|_| TlogProofError)?)
            }
            Some(_) => return Err(TlogProofError),
            None => None,
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(decimal).ok_or(TlogProofError)?;
        let mut path = Vec::new();
        for line in lines {
            let hash = BASE64.decode(line).map_err(|_| TlogProofError)?;
            path.push(Digest::from_slice(&hash).map_err(|_| TlogProofError)?);
            if path.len() > 63 {
                return Err(TlogProofError);
            }
        }
        Ok(Self {
            extra,
            index,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }
}

/// A decimal number without sign or leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    if !canonical || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

const HEADER: &str = "c2sp.org/tlog-proof@v1";
const MAX_EXTRA: usize = 88 * 1024;
