//! An ASiC-S container (ETSI EN 319 162-1 §4.3) around a sealed bundle: the whole of it under one RFC 3161
//! time stamp, so that the seal is shown to have been there while its key was good.

use bytes::Bytes;

use crate::archive::{Archive, ArchiveError};

/// A bundle and the token over it; nothing of either is verified here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The ASiC-E container, as it was stamped.
    pub bundle: Bytes,
    /// The `TimeStampToken`, DER, over the SHA-256 of it.
    pub token: Bytes,
}

// === impl Stamped ===

impl Stamped {
    /// Packs both.
    ///
    /// # Errors
    /// When they are larger than an archive can be.
    pub fn write(&self) -> Result<Bytes, ArchiveError> {
        let mut archive = Archive::default();
        archive.add(MIMETYPE, Bytes::from_static(MEDIA_TYPE.as_bytes()))?;
        archive.add(BUNDLE, self.bundle.clone())?;
        archive.add(TOKEN, self.token.clone())?;
        Ok(archive.to_bytes())
    }

    /// Unpacks; none when the archive is another kind of container.
    ///
    /// # Errors
    /// When it is no archive as this version writes them.
    pub fn open(bytes: &Bytes) -> Result<Option<Self>, ArchiveError> {
        let archive = Archive::parse(bytes)?;
        let files: Vec<_> = archive.files().collect();
        let [(MIMETYPE, kind), (BUNDLE, bundle), (TOKEN, token)] = files[..] else {
            return Ok(None);
        };
        let is_stamped = *kind == MEDIA_TYPE.as_bytes();
        Ok(is_stamped.then(|| Self {
            bundle: bundle.clone(),
            token: token.clone(),
        }))
    }
}

const MIMETYPE: &str = "mimetype";
const MEDIA_TYPE: &str = "application/vnd.etsi.asic-s+zip";
const BUNDLE: &str = "evidence.asice";
const TOKEN: &str = "META-INF/timestamp.tst";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_packs_and_takes_no_other_container_for_it() {
        let stamped = Stamped {
            bundle: Bytes::from_static(b"bundle"),
            token: Bytes::from_static(b"token"),
        };
        let packed = stamped.write().unwrap();
        assert_eq!(Stamped::open(&packed).unwrap(), Some(stamped));
        let mut other = Archive::default();
        other
            .add(
                MIMETYPE,
                Bytes::from_static(b"application/vnd.etsi.asic-e+zip"),
            )
            .unwrap();
        assert_eq!(Stamped::open(&other.to_bytes()).unwrap(), None);
        for cut in 0..packed.len() {
            assert!(Stamped::open(&packed.slice(..cut)).is_err());
        }
    }
}
