//! File custody: a folder only this user can enter, one file a key.

mod name;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_reason::Reason;
use entente_signing::{Algorithm, Ed25519Key, KeyId, P256Key, Signer};
use zeroize::Zeroizing;

use crate::durable;
use crate::key_use::KeyUse;
use crate::pem;
use crate::secret::Secret;
use name::{CERTIFICATES, PEM, SECRET, extension, file_name, parse_name};

/// A folder of keys: mode 0700, files `<use>.<label>.pem` (PKCS#8) and `<use>.<label>.secret` (raw
/// bytes) of mode 0600, `<use>.<label>.crt` (certificates, public), and `FORMAT`.
///
/// **Trusted:** whoever can read it can act as this member. **Its loss** costs the keys: other keys
/// of the member replace them through the registry. Back it up offline, except HPKE and KEK
/// secrets, whose point is that they can be destroyed.
///
/// A file that others may read is refused, not repaired. Labels are `[a-z0-9-]{1,63}`.
#[derive(Clone, Debug)]
pub struct KeyStore {
    folder: PathBuf,
}

/// A key of the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyEntry {
    /// What it is for.
    pub key_use: KeyUse,
    /// Which one.
    pub label: String,
    /// What kind of key it is.
    pub kind: KeyKind,
}

/// What a file of the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// Raw secret bytes.
    Secret,
    /// A signing key with this id.
    Signing(KeyId),
}

/// Why the store could not do something. Never says anything about a secret's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyStoreError {
    /// There is already a key of this use and label; keys are never replaced in place.
    #[error("key {name} exists already")]
    Exists {
        /// `<use>.<label>`.
        name: String,
    },
    /// The system refused.
    #[error("using {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder was written by a newer version, or is no key folder.
    #[error("key folder has format {found:?}, this version reads {FORMAT:?}")]
    Format {
        /// What its FORMAT file says.
        found: String,
    },
    /// A label that is not `[a-z0-9-]{1,63}`.
    #[error("key label is not [a-z0-9-]{{1,63}}")]
    Label,
    /// The file does not hold a key of the kind its use demands.
    #[error("{} does not hold a key for its use", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// There is no such key.
    #[error("no key {name}")]
    Missing {
        /// `<use>.<label>`.
        name: String,
    },
    /// Somebody else may read or write the file or folder.
    #[error("{} is open to others: make it private (0700 folder, 0600 file)", path.display())]
    NotPrivate {
        /// The file or folder.
        path: PathBuf,
    },
    /// The random source failed.
    #[error("generating a key")]
    Random,
    /// The same key is already here for another use: one key, one use.
    #[error("key is already in use as {name}")]
    Reused {
        /// `<use>.<label>`.
        name: String,
    },
    /// More keys than any server needs.
    #[error("key folder holds more than {MAX_KEYS} files")]
    TooMany,
    /// This use asks for a signing key and not a secret, or the other way round.
    #[error("a key for {0} is of another kind")]
    WrongKind(KeyUse),
}

// === impl KeyStore ===

impl KeyStore {
    /// The longest label, in bytes.
    pub const MAX_LABEL: usize = 63;

    /// Opens the key folder, creating it (not its parents) if absent.
    ///
    /// # Errors
    /// When the folder is open to others, of a newer format, or cannot be used.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, KeyStoreError> {
        let folder = folder.into();
        durable::create_folder(&folder).map_err(|source| file_error(&folder, source))?;
        refuse_open_to_others(&folder)?;
        durable::sweep(&folder).map_err(|source| file_error(&folder, source))?;
        let format = folder.join("FORMAT");
        match check_format(&format) {
            Err(KeyStoreError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                // If we crash here, the folder is empty and the next start writes FORMAT again.
                match durable::create(&folder, "FORMAT", FORMAT.as_bytes()) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    created => created.map_err(|source| file_error(&format, source))?,
                }
            }
            checked => checked?,
        }
        Ok(Self { folder })
    }

    /// A key folder that is there, for whoever only looks: nothing of it is made or tidied up.
    ///
    /// # Errors
    /// When the folder is missing, open to others, of a newer format, or cannot be read.
    pub fn existing(folder: impl Into<PathBuf>) -> Result<Self, KeyStoreError> {
        let folder = folder.into();
        refuse_open_to_others(&folder)?;
        check_format(&folder.join("FORMAT"))?;
        Ok(Self { folder })
    }

    /// Where the keys are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a folder of keys is that others keep in this one. It need not be there yet.
    ///
    /// # Errors
    /// When it is open to others.
    pub fn within(&self, name: &str) -> Result<PathBuf, KeyStoreError> {
        let folder = self.folder.join(name);
        match refuse_open_to_others(&folder) {
            Err(KeyStoreError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(folder)
            }
            looked => looked.map(|()| folder),
        }
    }

    /// Makes a new signing key and keeps it.
    ///
    /// # Errors
    /// When one of this use and label exists, or it cannot be kept.
    pub fn generate(&self, key_use: KeyUse, label: &str) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let (signer, pkcs8): (Arc<dyn Signer>, _) = match key_use.algorithm() {
            None => return Err(KeyStoreError::WrongKind(key_use)),
            Some(Algorithm::Ed25519) => {
                let key = Ed25519Key::generate().map_err(|_| KeyStoreError::Random)?;
                let pkcs8 = key.to_pkcs8_der();
                (Arc::new(key), pkcs8)
            }
            Some(Algorithm::P256) => {
                let key = P256Key::generate().map_err(|_| KeyStoreError::Random)?;
                let pkcs8 = key.to_pkcs8_der();
                (Arc::new(key), pkcs8)
            }
        };
        let pkcs8 = pkcs8.map_err(|_| KeyStoreError::Random)?;
        self.keep(key_use, label, PEM, pem::encode_key(&pkcs8).as_bytes())?;
        Ok(signer)
    }

    /// Keeps a signing key made elsewhere (PKCS#8 DER).
    ///
    /// # Errors
    /// When it is not of the algorithm its use demands, is here already for any use, or cannot be
    /// kept.
    pub fn import(
        &self,
        key_use: KeyUse,
        label: &str,
        pkcs8: &[u8],
    ) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let algorithm = key_use
            .algorithm()
            .ok_or(KeyStoreError::WrongKind(key_use))?;
        let signer = parse(algorithm, pkcs8).ok_or(KeyStoreError::WrongKind(key_use))?;
        let kind = KeyKind::Signing(signer.verifying_key().key_id());
        if let Some(other) = self.list()?.into_iter().find(|entry| entry.kind == kind) {
            return Err(KeyStoreError::Reused { name: other.name() });
        }
        self.keep(key_use, label, PEM, pem::encode_key(pkcs8).as_bytes())?;
        Ok(signer)
    }

    /// Loads a signing key.
    ///
    /// # Errors
    /// When it is missing, open to others, or not of the algorithm its use demands.
    pub fn load(&self, key_use: KeyUse, label: &str) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let algorithm = key_use
            .algorithm()
            .ok_or(KeyStoreError::WrongKind(key_use))?;
        let (path, content) = self.fetch(key_use, label, PEM)?;
        pem::decode_key(&content)
            .and_then(|pkcs8| parse(algorithm, &pkcs8))
            .ok_or(KeyStoreError::Malformed { path })
    }

    /// Loads a signing key, or makes it at first use.
    ///
    /// # Errors
    /// As [`Self::load`] and [`Self::generate`].
    pub fn load_or_generate(
        &self,
        key_use: KeyUse,
        label: &str,
    ) -> Result<Arc<dyn Signer>, KeyStoreError> {
        match self.load(key_use, label) {
            Err(KeyStoreError::Missing { .. }) => match self.generate(key_use, label) {
                // Another process made it in between.
                Err(KeyStoreError::Exists { .. }) => self.load(key_use, label),
                generated => generated,
            },
            loaded => loaded,
        }
    }

    /// Makes a new raw secret of 32 random bytes and keeps it.
    ///
    /// # Errors
    /// When one of this use and label exists, or it cannot be kept.
    pub fn generate_secret(&self, key_use: KeyUse, label: &str) -> Result<Secret, KeyStoreError> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        getrandom::fill(&mut bytes).map_err(|_| KeyStoreError::Random)?;
        self.import_secret(key_use, label, Secret::new(bytes))
    }

    /// Keeps a raw secret made elsewhere: 16 to 4,096 bytes.
    ///
    /// # Errors
    /// When one of this use and label exists, or it cannot be kept.
    pub fn import_secret(
        &self,
        key_use: KeyUse,
        label: &str,
        secret: Secret,
    ) -> Result<Secret, KeyStoreError> {
        if key_use.algorithm().is_some() || !SECRET_BYTES.contains(&secret.expose().len()) {
            return Err(KeyStoreError::WrongKind(key_use));
        }
        self.keep(key_use, label, SECRET, secret.expose())?;
        Ok(secret)
    }

    /// Loads a raw secret.
    ///
    /// # Errors
    /// When it is missing or open to others.
    pub fn load_secret(&self, key_use: KeyUse, label: &str) -> Result<Secret, KeyStoreError> {
        if key_use.algorithm().is_some() {
            return Err(KeyStoreError::WrongKind(key_use));
        }
        let (path, content) = self.fetch(key_use, label, SECRET)?;
        // Zeros are what an interrupted destruction leaves.
        if !SECRET_BYTES.contains(&content.len()) || content.iter().all(|byte| *byte == 0) {
            return Err(KeyStoreError::Malformed { path });
        }
        Ok(Secret::new(content))
    }

    /// Overwrites and removes a key. Copies already loaded live until dropped. On a file system
    /// that does not write in place, the old blocks may survive on the disk.
    ///
    /// # Errors
    /// When it is missing, or the file cannot be overwritten or removed.
    pub fn destroy(&self, key_use: KeyUse, label: &str) -> Result<(), KeyStoreError> {
        let name = file_name(key_use, label, extension(key_use))?;
        match durable::destroy(&self.folder, &name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(KeyStoreError::Missing {
                name: format!("{key_use}.{label}"),
            }),
            destroyed => destroyed.map_err(|source| file_error(&self.folder.join(name), source)),
        }
    }

    /// The labels of the keys of one use, sorted; none of them is opened.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds more than 4,096 files.
    pub fn labels(&self, key_use: KeyUse) -> Result<Vec<String>, KeyStoreError> {
        let failed = |source| file_error(&self.folder, source);
        let mut labels = Vec::new();
        for (count, file) in fs::read_dir(&self.folder).map_err(failed)?.enumerate() {
            if count >= MAX_KEYS {
                return Err(KeyStoreError::TooMany);
            }
            let name = file.map_err(failed)?.file_name();
            match name.to_str().and_then(parse_name) {
                Some((found, label)) if found == key_use => labels.push(label.to_owned()),
                _ => {}
            }
        }
        labels.sort_unstable();
        Ok(labels)
    }

    /// The keys of the store, sorted. Files it does not know are passed over.
    ///
    /// # Errors
    /// When the folder cannot be read, holds more than 4,096 files, or one of its keys is malformed
    /// or open to others.
    pub fn list(&self) -> Result<Vec<KeyEntry>, KeyStoreError> {
        let failed = |source| file_error(&self.folder, source);
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.folder).map_err(failed)? {
            let name = file.map_err(failed)?.file_name();
            let Some((key_use, label)) = name.to_str().and_then(parse_name) else {
                continue;
            };
            if entries.len() >= MAX_KEYS {
                return Err(KeyStoreError::TooMany);
            }
            let kind = match key_use.algorithm() {
                None => KeyKind::Secret,
                Some(_) => KeyKind::Signing(self.load(key_use, label)?.verifying_key().key_id()),
            };
            entries.push(KeyEntry {
                key_use,
                label: label.to_owned(),
                kind,
            });
        }
        entries.sort();
        Ok(entries)
    }

    /// Keeps the certificates of a signing key, in PEM, in the place of those that were there.
    ///
    /// # Errors
    /// When they cannot be kept.
    pub fn keep_certificates(
        &self,
        key_use: KeyUse,
        label: &str,
        pem: &str,
    ) -> Result<(), KeyStoreError> {
        let name = file_name(key_use, label, CERTIFICATES)?;
        durable::replace(&self.folder, &name, pem.as_bytes())
            .map_err(|source| file_error(&self.folder.join(name), source))
    }

    /// The certificates of a signing key, in PEM; `None` when there are none.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn certificates(
        &self,
        key_use: KeyUse,
        label: &str,
    ) -> Result<Option<String>, KeyStoreError> {
        let path = self.folder.join(file_name(key_use, label, CERTIFICATES)?);
        match durable::read(&path) {
            Ok(content) => match str::from_utf8(&content) {
                Ok(pem) => Ok(Some(pem.to_owned())),
                Err(_) => Err(KeyStoreError::Malformed { path }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(file_error(&path, source)),
        }
    }

    fn keep(
        &self,
        key_use: KeyUse,
        label: &str,
        extension: &str,
        content: &[u8],
    ) -> Result<(), KeyStoreError> {
        let name = file_name(key_use, label, extension)?;
        match durable::create(&self.folder, &name, content) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(KeyStoreError::Exists {
                    name: format!("{key_use}.{label}"),
                })
            }
            created => created.map_err(|source| file_error(&self.folder.join(name), source)),
        }
    }

    fn fetch(
        &self,
        key_use: KeyUse,
        label: &str,
        extension: &str,
    ) -> Result<(PathBuf, Zeroizing<Vec<u8>>), KeyStoreError> {
        let path = self.folder.join(file_name(key_use, label, extension)?);
        match durable::read(&path) {
            Ok(content) => {
                refuse_open_to_others(&path)?;
                Ok((path, content))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(KeyStoreError::Missing {
                name: format!("{key_use}.{label}"),
            }),
            Err(source) => Err(file_error(&path, source)),
        }
    }
}

// === impl KeyEntry ===

impl KeyEntry {
    fn name(&self) -> String {
        format!("{}.{}", self.key_use, self.label)
    }
}

// === impl KeyStoreError ===

impl KeyStoreError {
    /// The refusal this amounts to.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Missing { .. } => Reason::KeyUnknown,
            Self::Reused { .. } => Reason::KeyReused,
            _ => Reason::InternalFault,
        }
    }
}

fn parse(algorithm: Algorithm, pkcs8: &[u8]) -> Option<Arc<dyn Signer>> {
    match algorithm {
        Algorithm::Ed25519 => Some(Arc::new(Ed25519Key::from_pkcs8_der(pkcs8).ok()?)),
        Algorithm::P256 => Some(Arc::new(P256Key::from_pkcs8_der(pkcs8).ok()?)),
    }
}

fn check_format(format: &Path) -> Result<(), KeyStoreError> {
    match durable::read(format) {
        Ok(found) if *found == FORMAT.as_bytes() => Ok(()),
        Ok(found) => Err(KeyStoreError::Format {
            found: String::from_utf8_lossy(&found).chars().take(40).collect(),
        }),
        Err(source) => Err(file_error(format, source)),
    }
}

fn refuse_open_to_others(path: &Path) -> Result<(), KeyStoreError> {
    match durable::is_private(path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(KeyStoreError::NotPrivate {
            path: path.to_owned(),
        }),
        Err(source) => Err(file_error(path, source)),
    }
}

fn file_error(path: &Path, source: io::Error) -> KeyStoreError {
    KeyStoreError::File {
        path: path.to_owned(),
        source,
    }
}

/// What the FORMAT file says.
const FORMAT: &str = "entente-keys 1\n";
/// The most keys one folder holds.
const MAX_KEYS: usize = 4096;
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=4096;
