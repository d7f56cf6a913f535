//! The ZIP a bundle is: files stored one after the other, and nothing that could be read in two ways.
//!
//! Readers of ZIP differ about files that are in one list and not in the other, about names that occur
//! twice, about what lies between files. Evidence must be the same for everybody, so an archive has one
//! encoding here: stored, in the order given, without dates, comments and extra fields. Reading accepts
//! exactly the bytes that writing makes. Any tool can unpack it.

use std::collections::BTreeSet;

use bytes::Bytes;
use entente_reason::Reason;

/// Files in their order, each name once. Cheap to clone: what was read is shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive(Vec<(String, Bytes)>);

/// Why bytes are not an archive, or files do not make one. Variants are alphabetical.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A file's content is not the one its checksum is of.
    #[error("the file {name} of the archive is damaged")]
    Checksum {
        /// Which.
        name: String,
    },
    /// A file is compressed, and bundles hold none.
    #[error("the archive holds a compressed file")]
    Compressed,
    /// A name occurs twice.
    #[error("the archive holds {name} twice")]
    Duplicate {
        /// Which.
        name: String,
    },
    /// Cut short, or not an archive as this version writes them.
    #[error("not an archive of a bundle: {0}")]
    Form(&'static str),
    /// A name outside the folder, or with characters that bundles do not use.
    #[error("the archive holds a file of a name that is not allowed")]
    Name,
    /// More files, or more bytes, than a bundle has.
    #[error("the archive is larger than a bundle can be")]
    TooLarge,
}

/// What stands before a file's content.
struct Head<'a> {
    name: &'a str,
    checksum: u32,
    len: u32,
}

// === impl Archive ===

impl Archive {
    /// The most bytes, of all together: two payloads, and everything beside them.
    pub const MAX_LEN: usize = 48 * 1024 * 1024;
    /// The most files.
    pub const MAX_FILES: usize = 1024;
    /// The longest name.
    pub const MAX_NAME: usize = 128;

    /// Adds a file.
    ///
    /// # Errors
    /// When the name is not allowed or there already, or a bound is exceeded.
    pub fn add(&mut self, name: &str, content: Bytes) -> Result<(), ArchiveError> {
        if !is_name(name) {
            return Err(ArchiveError::Name);
        }
        if self.file(name).is_some() {
            return Err(ArchiveError::Duplicate { name: name.into() });
        }
        if self.0.len() >= Self::MAX_FILES || content.len() > Self::MAX_LEN - self.len() {
            return Err(ArchiveError::TooLarge);
        }
        self.0.push((name.to_owned(), content));
        Ok(())
    }

    /// Bytes of all contents.
    fn len(&self) -> usize {
        self.0.iter().map(|(_, content)| content.len()).sum()
    }

    /// One file.
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        let found = self.0.iter().find(|(held, _)| held == name);
        found.map(|(_, content)| content)
    }

    /// All files, in order.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> {
        self.0
            .iter()
            .map(|(name, content)| (name.as_str(), content))
    }

    /// Whether bytes begin like an archive; says nothing about the rest.
    pub fn is_like(bytes: &[u8]) -> bool {
        bytes.starts_with(&LOCAL.to_le_bytes())
    }

    /// Reads an archive; contents are slices of `bytes`.
    ///
    /// # Errors
    /// When it is not byte for byte what [`Archive::to_bytes`] writes.
    pub fn parse(bytes: &Bytes) -> Result<Self, ArchiveError> {
        if bytes.len() > Self::MAX_LEN + Self::MAX_FILES * (3 * Self::MAX_NAME) {
            return Err(ArchiveError::TooLarge);
        }
        let mut files = Vec::new();
        let mut names = BTreeSet::new();
        let mut rest: &[u8] = bytes;
        while Self::is_like(rest) {
            let (head, after) = Head::read(rest)?;
            let len = head.len as usize;
            let (content, after) = after.split_at_checked(len).ok_or(CUT)?;
            if files.len() >= Self::MAX_FILES {
                return Err(ArchiveError::TooLarge);
            }
            let name = head.name.to_owned();
            if !names.insert(name.clone()) {
                return Err(ArchiveError::Duplicate { name });
            }
            if crc32fast::hash(content) != head.checksum {
                return Err(ArchiveError::Checksum { name });
            }
            files.push((name, bytes.slice_ref(content)));
            rest = after;
        }
        let archive = Self(files);
        if archive.len() > Self::MAX_LEN {
            return Err(ArchiveError::TooLarge);
        }
        // The list at the end, and every field passed over above, can be nothing else than this.
        if archive.index() != rest || archive.to_bytes() != *bytes {
            return Err(ArchiveError::Form("its list of files is not of its files"));
        }
        Ok(archive)
    }

    /// The archive's bytes: the same for the same files in the same order.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.len() + self.0.len() * 3 * Self::MAX_NAME);
        for (name, content) in &self.0 {
            out.extend(LOCAL.to_le_bytes());
            out.extend(common(name, content));
            out.extend(name.as_bytes());
            out.extend_from_slice(content);
        }
        out.extend(self.index());
        out.into()
    }

    /// The central directory and the record that ends an archive.
    fn index(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at: u32 = 0;
        for (name, content) in &self.0 {
            out.extend(CENTRAL.to_le_bytes());
            out.extend(VERSION.to_le_bytes());
            out.extend(common(name, content));
            // No comment; on the first disk; attributes of none.
            out.extend([0; 2 + 2 + 2 + 4]);
            out.extend(at.to_le_bytes());
            out.extend(name.as_bytes());
            at += size(LOCAL_LEN + name.len() + content.len());
        }
        let count = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        let len = size(out.len());
        out.extend(END.to_le_bytes());
        out.extend([0; 4]);
        out.extend(count.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(len.to_le_bytes());
        out.extend(at.to_le_bytes());
        out.extend([0; 2]);
        out
    }
}

// === impl Head ===

impl<'a> Head<'a> {
    fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ArchiveError> {
        let (head, after) = bytes.split_at_checked(LOCAL_LEN).ok_or(CUT)?;
        let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let word = |at| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
        if half(8) != STORED {
            return Err(ArchiveError::Compressed);
        }
        let (name, after) = after.split_at_checked(half(26).into()).ok_or(CUT)?;
        let name = std::str::from_utf8(name).map_err(|_| ArchiveError::Name)?;
        if !is_name(name) {
            return Err(ArchiveError::Name);
        }
        let head = Self {
            name,
            checksum: word(14),
            len: word(22),
        };
        Ok((head, after))
    }
}

// === impl ArchiveError ===

impl ArchiveError {
    /// Always `BAD_RECORD`.
    pub const fn reason(&self) -> Reason {
        Reason::BadRecord
    }
}

/// What the head before a file and its line in the list at the end have in common.
fn common(name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(26);
    out.extend(VERSION.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out.extend(STORED.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out.extend(FIRST_DAY.to_le_bytes());
    out.extend(crc32fast::hash(content).to_le_bytes());
    out.extend(size(content.len()).to_le_bytes());
    out.extend(size(content.len()).to_le_bytes());
    out.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}

/// A length as ZIP counts it; the bounds keep all of them far below.
fn size(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Relative, of letters, digits, `.`, `_`, `-` and `/`, each part something and not only dots.
fn is_name(name: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-/".contains(&c);
    let is_part = |part: &str| !part.bytes().all(|c| c == b'.');
    name.len() <= Archive::MAX_NAME && name.bytes().all(fits) && name.split('/').all(is_part)
}

const CUT: ArchiveError = ArchiveError::Form("it is cut short");
/// Signatures of the records (APPNOTE 4.3.7, 4.3.12, 4.3.16).
const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// 1.0: stored files in one folder.
const VERSION: u16 = 10;
const STORED: u16 = 0;
/// 1980-01-01, the first day ZIP knows.
const FIRST_DAY: u16 = 0x21;
/// Bytes before a local name.
const LOCAL_LEN: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Archive {
        let mut archive = Archive::default();
        for (name, content) in [("mimetype", "a"), ("ev/x.bin", ""), ("META-INF/y", "bc")] {
            archive
                .add(name, Bytes::from_static(content.as_bytes()))
                .unwrap();
        }
        archive
    }

    #[test]
    fn reads_what_it_wrote_and_nothing_that_differs_in_a_byte() {
        let bytes = sample().to_bytes();
        assert_eq!(Archive::parse(&bytes).unwrap(), sample());
        for at in 0..bytes.len() {
            for flip in [1, 0x80] {
                let mut altered = bytes.to_vec();
                altered[at] ^= flip;
                // A name that stays allowed, in the file's head alone, is found by the list.
                assert!(Archive::parse(&altered.into()).is_err(), "byte {at}");
            }
            assert!(Archive::parse(&bytes.slice(..at)).is_err(), "cut at {at}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert!(Archive::parse(&longer.into()).is_err());
    }

    #[test]
    fn refuses_names_outside_the_folder_and_files_twice() {
        for name in [
            "", "/x", "../x", "a/../x", "a//x", "a/", ".", "a/.", "a\\x", "a b", "C:x", "é", "a\0",
        ] {
            let refused = Archive::default().add(name, Bytes::new());
            assert_eq!(refused, Err(ArchiveError::Name), "{name:?}");
        }
        let mut archive = sample();
        let twice = archive.add("ev/x.bin", Bytes::new());
        assert!(matches!(twice, Err(ArchiveError::Duplicate { .. })));
        // Written by somebody else, they are not read either.
        let forged = Archive(vec![("../x".into(), Bytes::new())]);
        assert_eq!(Archive::parse(&forged.to_bytes()), Err(ArchiveError::Name));
        let same = ("x".to_owned(), Bytes::new());
        let forged = Archive(vec![same.clone(), same]);
        let refused = Archive::parse(&forged.to_bytes());
        assert!(matches!(refused, Err(ArchiveError::Duplicate { .. })));
    }

    #[test]
    fn refuses_more_files_and_bytes_than_a_bundle_has() {
        let name = |number: usize| (format!("f{number}"), Bytes::new());
        let many = Archive((0..=Archive::MAX_FILES).map(name).collect());
        assert_eq!(
            Archive::parse(&many.to_bytes()),
            Err(ArchiveError::TooLarge)
        );
        let large = Bytes::from(vec![0; Archive::MAX_LEN + 1]);
        let refused = Archive::default().add("x", large);
        assert_eq!(refused, Err(ArchiveError::TooLarge));
        // A length that promises what is not there takes no memory.
        let mut bytes = sample().to_bytes().to_vec();
        bytes[22..26].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Archive::parse(&bytes.into()), Err(CUT));
    }

    #[test]
    fn refuses_a_compressed_file_before_anything_of_it_is_read() {
        let mut bytes = sample().to_bytes().to_vec();
        bytes[8] = 8;
        assert_eq!(Archive::parse(&bytes.into()), Err(ArchiveError::Compressed));
    }
}
