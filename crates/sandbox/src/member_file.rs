//! `member.yaml`: what the commands of a member start from.

use std::collections::BTreeMap;
use std::path::Path;

use entente_config::{ConfigError, Endpoint, FilePath, Pkcs11Uri, SecretFile};
use entente_directory::MemberClass;
use entente_identity::{MemberId, SystemId};
use serde::Deserialize;

/// A member's own file, read strictly. Relative paths are taken from its folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberFile {
    /// The member: `ca-demo/pensions`.
    pub member: MemberId,
    /// What kind of institution it is: `ministry`.
    pub class: ClassText,
    /// Its name in both languages.
    pub name: NameText,
    /// The registry's anchor file. *Trusted: it decides which registry is believed.*
    pub anchor: FilePath,
    /// The officer, member and recovery keys. *Secret.* Not on the security server.
    pub keys: FilePath,
    /// The member key, when it is in a PKCS#11 token; else it is in `keys` as well. *Secret.*
    #[serde(default)]
    pub member_key: Option<Pkcs11Uri>,
    /// This desk's own verified copy of the registry. Loss costs fetching it again.
    pub copy: FilePath,
    /// How each of its systems reaches its security server, for `entente call`.
    #[serde(default)]
    pub callers: BTreeMap<SystemId, CallerDoor>,
}

/// A member class, parsed.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct ClassText(pub MemberClass);

/// A name in both languages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameText {
    /// English.
    pub en: String,
    /// French.
    pub fr: String,
}

/// Where a system calls its own security server, and how it proves itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerDoor {
    /// A Unix socket of that system alone, or a loopback address.
    pub server: Endpoint,
    /// The token file, on loopback.
    #[serde(default)]
    pub token: Option<SecretFile>,
}

// === impl MemberFile ===

impl MemberFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or does not say exactly what it should, with the line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        entente_config::load(path)
    }
}

// === impl ClassText ===

impl TryFrom<String> for ClassText {
    type Error = entente_directory::InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}
