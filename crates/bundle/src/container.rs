//! An ASiC-E container (ETSI EN 319 162-1): files, a manifest over them, and a member's seal over that.

use std::collections::BTreeMap;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_keys::MemberCertificate;
use entente_reason::Reason;
use entente_signing::Signer;

use crate::archive::{Archive, ArchiveError};
use crate::manifest::{MANIFEST, SEAL, manifest};
use crate::seal::{SealError, SealInvalid, Sealed, seal, verify};

/// Files by name, as they are in a container.
pub type Files = BTreeMap<String, Bytes>;

/// Why a container was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The files do not make an archive.
    #[error("packing the bundle")]
    Archive(#[from] ArchiveError),
    /// It was not sealed.
    #[error("sealing the bundle")]
    Seal(#[from] SealError),
}

/// Why bytes are not a sealed container. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not an archive.
    #[error("unpacking the bundle")]
    Archive(#[from] ArchiveError),
    /// The manifest is not of these files.
    #[error("the manifest is not of the bundle's files")]
    Manifest,
    /// Not the files an ASiC-E container has, in their order.
    #[error("not an ASiC-E container")]
    Form,
    /// The seal does not hold.
    #[error("verifying the seal")]
    Seal(#[from] SealInvalid),
}

/// Packs and seals files. The same arguments give the same bytes, but for the signature.
///
/// # Errors
/// When a name or a size is not allowed, or the key cannot seal.
pub fn write(
    files: &Files,
    key: &dyn Signer,
    certificate: &MemberCertificate,
    at: Timestamp,
) -> Result<Bytes, WriteError> {
    let manifest = manifest(over(files));
    let sealed = seal(manifest.as_bytes(), key, certificate, at)?;
    let mut archive = Archive::default();
    archive.add(MIMETYPE, Bytes::from_static(MEDIA_TYPE.as_bytes()))?;
    for (name, content) in files {
        archive.add(name, content.clone())?;
    }
    archive.add(MANIFEST, manifest.into())?;
    archive.add(SEAL, sealed.into())?;
    Ok(archive.to_bytes())
}

/// Opens a container, and verifies its seal. Whose key it is, is not asked here.
///
/// # Errors
/// When it is anything but what [`write()`] makes.
pub fn open(bytes: &Bytes) -> Result<(Files, Sealed), OpenError> {
    let archive = Archive::parse(bytes)?;
    let all: Vec<_> = archive.files().collect();
    let [
        (MIMETYPE, kind),
        files @ ..,
        (MANIFEST, held),
        (SEAL, sealed),
    ] = &all[..]
    else {
        return Err(OpenError::Form);
    };
    let is_sorted = files.is_sorted_by(|one, next| one.0 < next.0);
    let is_under = files.iter().all(|(name, _)| name.starts_with(FOLDER));
    if *kind != MEDIA_TYPE.as_bytes() || !is_sorted || !is_under {
        return Err(OpenError::Form);
    }
    let owned = files.iter();
    let owned: Files = owned
        .map(|(name, content)| ((*name).to_owned(), (*content).clone()))
        .collect();
    if *held != manifest(over(&owned)).as_bytes() {
        return Err(OpenError::Manifest);
    }
    let sealed = verify(sealed, held)?;
    Ok((owned, sealed))
}

fn over(files: &Files) -> impl Iterator<Item = (&str, &[u8])> {
    files
        .iter()
        .map(|(name, content)| (name.as_str(), &content[..]))
}

// === impl WriteError ===

impl WriteError {
    /// The refusal this amounts to.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Archive(error) => error.reason(),
            Self::Seal(error) => error.reason(),
        }
    }
}

// === impl OpenError ===

impl OpenError {
    /// The refusal this amounts to.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Archive(error) => error.reason(),
            Self::Form | Self::Manifest => Reason::BadRecord,
            Self::Seal(error) => error.reason(),
        }
    }
}

/// Where everything is that the manifest is over.
pub(crate) const FOLDER: &str = "ev/";
const MIMETYPE: &str = "mimetype";
const MEDIA_TYPE: &str = "application/vnd.etsi.asic-e+zip";
