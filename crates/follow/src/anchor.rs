//! The anchor: the one file a newcomer must get by a trusted way, and all it starts from.
//!
//! It names a registry, where to reach it, and what to believe about it: the keys of its TLS, its
//! ledger's key, the hash of its first change, and floors below which nothing the registry says later
//! is followed.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use entente_config::{ConfigError, DurationText};
use entente_directory::{ForeignAnchor, Genesis, RecognitionRecord};
use entente_identity::Jurisdiction;
use entente_ledger::note::NoteKey;
use entente_ledger::witness::{MAX_POLICY, WitnessPolicy};
use entente_signing::Digest;
use entente_tls::http::HttpUrl;
use entente_tls::net::Endpoint;
use serde::Deserialize;

/// What a follower of one registry starts from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "File")]
pub struct Anchor {
    /// Whose registry.
    pub jurisdiction: Jurisdiction,
    /// Where it is reached, best first; 1 to 8, or none where there are mirrors, which are followed alone
    /// then.
    pub addresses: Vec<Endpoint>,
    /// Where its ledger lies as static files, for when no address answers; at most 8. *Not trusted.*
    pub mirrors: Vec<HttpUrl>,
    /// SHA-256 of each SubjectPublicKeyInfo it may show in TLS; 1 to 8.
    pub tls_keys: BTreeSet<Digest>,
    /// The key of its ledger, named by the ledger's origin.
    pub ledger: NoteKey,
    /// The hash of its first change.
    pub genesis: Digest,
    /// What its policy may not weaken.
    pub floors: Floors,
    /// Which witnesses must have cosigned its checkpoints, whatever its policy says (C2SP `tlog-policy`,
    /// without logs). Default: none.
    pub witnesses: WitnessPolicy,
}

/// Bounds on what a registry's policy may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floors {
    /// The longest this follower goes on without the registry, whatever the policy says; at most
    /// 168 h. Default 24 h.
    pub validity: Duration,
    /// The fewest witnesses that must have cosigned a checkpoint. Default 0.
    pub witness_quorum: u32,
}

/// A text that is not an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct InvalidAnchor(&'static str);

/// The file, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    anchor: u32,
    jurisdiction: Jurisdiction,
    addresses: Vec<Endpoint>,
    #[serde(default)]
    mirrors: Vec<HttpUrl>,
    tls_keys: Vec<String>,
    ledger: String,
    genesis: String,
    #[serde(default)]
    floors: FloorsFile,
    #[serde(default)]
    witnesses: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FloorsFile {
    validity: Option<DurationText>,
    witness_quorum: Option<u32>,
}

// === impl Anchor ===

impl Anchor {
    /// Reads an anchor file.
    ///
    /// # Errors
    /// When it cannot be read, or is not an anchor.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        entente_config::load(path)
    }

    /// Reads an anchor; `name` is what errors call it.
    ///
    /// # Errors
    /// When it is not an anchor.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        entente_config::parse(text, name)
    }

    /// What to follow another jurisdiction's registry by, as the own registry recognises it. None when an
    /// address or a name in it is no use.
    pub fn abroad(recognition: &RecognitionRecord) -> Option<Self> {
        let RecognitionRecord {
            jurisdiction,
            anchor,
            ..
        } = recognition;
        let origin = Genesis::origin_of(jurisdiction);
        let addresses = anchor.addresses.iter();
        let addresses = addresses.map(|address| address.as_str().parse().ok());
        Some(Self {
            jurisdiction: jurisdiction.clone(),
            addresses: addresses.collect::<Option<_>>()?,
            mirrors: Vec::new(),
            tls_keys: anchor.tls_keys.clone(),
            ledger: NoteKey::new(&origin, anchor.ledger.clone()).ok()?,
            genesis: anchor.genesis,
            floors: Floors {
                validity: Duration::from_secs(u64::from(anchor.validity_hours) * 3600),
                witness_quorum: anchor.witness_quorum,
            },
            witnesses: anchor.witnesses.clone(),
        })
    }

    /// What a registry says of this one when it recognises it: the validity in whole hours, rounded down,
    /// at least one. None when an address is on one machine only.
    pub fn to_foreign(&self) -> Option<ForeignAnchor> {
        let hours = (self.floors.validity.as_secs() / 3600).max(1);
        let addresses = self.addresses.iter();
        let addresses = addresses.map(|address| address.to_string().parse().ok());
        Some(ForeignAnchor {
            addresses: addresses.collect::<Option<_>>()?,
            tls_keys: self.tls_keys.clone(),
            ledger: self.ledger.key().clone(),
            genesis: self.genesis,
            validity_hours: u32::try_from(hours).unwrap_or(u32::MAX),
            witnesses: self.witnesses.clone(),
            witness_quorum: self.floors.witness_quorum,
        })
    }

    /// The origin of the registry's ledger.
    pub fn origin(&self) -> &str {
        self.ledger.name()
    }
}

/// The file that [`Anchor::parse`] reads back.
impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# What this server believes about the registry before it has asked it anything."
        )?;
        writeln!(f, "# Get it, or compare it, by a way you trust.")?;
        writeln!(f, "anchor: {VERSION}")?;
        writeln!(f, "jurisdiction: {}", self.jurisdiction)?;
        if self.addresses.is_empty() {
            writeln!(f, "addresses: []")?;
        } else {
            writeln!(f, "addresses:")?;
        }
        for address in &self.addresses {
            writeln!(f, "  - \"{address}\"")?;
        }
        if !self.mirrors.is_empty() {
            writeln!(
                f,
                "# Its ledger as static files, for when it does not answer."
            )?;
            writeln!(f, "mirrors:")?;
        }
        for mirror in &self.mirrors {
            writeln!(f, "  - \"{mirror}\"")?;
        }
        writeln!(f, "# SHA-256 of the public keys it shows in TLS.")?;
        writeln!(f, "tls_keys:")?;
        for key in &self.tls_keys {
            writeln!(f, "  - \"{key}\"")?;
        }
        writeln!(
            f,
            "# The key that signs its checkpoints, and the hash of its first change."
        )?;
        writeln!(f, "ledger: \"{}\"", self.ledger)?;
        writeln!(f, "genesis: \"{}\"", self.genesis)?;
        writeln!(f, "# Its policy is not followed beyond these.")?;
        writeln!(f, "floors:")?;
        let validity = u64::try_from(self.floors.validity.as_millis()).unwrap_or(u64::MAX);
        writeln!(f, "  validity: {}", DurationText::from_millis(validity))?;
        writeln!(f, "  witness_quorum: {}", self.floors.witness_quorum)?;
        if self.witnesses == WitnessPolicy::default() {
            return Ok(());
        }
        writeln!(
            f,
            "# Who must have cosigned its checkpoints, whatever its policy says."
        )?;
        writeln!(f, "witnesses: |")?;
        let witnesses = self.witnesses.to_string();
        witnesses
            .lines()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl TryFrom<File> for Anchor {
    type Error = InvalidAnchor;

    fn try_from(file: File) -> Result<Self, InvalidAnchor> {
        let expect = |holds: bool, what| holds.then_some(()).ok_or(InvalidAnchor(what));
        expect(file.anchor == VERSION, "an anchor of version 1")?;
        let fewest = usize::from(file.mirrors.is_empty());
        expect(
            (fewest..=MAX_LIST).contains(&file.addresses.len()),
            "between 1 and 8 addresses, or none and a mirror",
        )?;
        expect(file.mirrors.len() <= MAX_LIST, "at most 8 mirrors")?;
        expect(
            (1..=MAX_LIST).contains(&file.tls_keys.len()),
            "between 1 and 8 TLS keys",
        )?;
        let digest = |text: &String| {
            text.parse()
                .map_err(|_| InvalidAnchor("a SHA-256 in 64 lower-case hexadecimal digits"))
        };
        let ledger: NoteKey = file
            .ledger
            .parse()
            .map_err(|_| InvalidAnchor("a ledger key of the form origin+hash+key"))?;
        expect(
            ledger.name() == Genesis::origin_of(&file.jurisdiction),
            "the ledger key of this jurisdiction's registry",
        )?;
        let floors = Floors::default();
        let floors = Floors {
            validity: file
                .floors
                .validity
                .map_or(floors.validity, DurationText::get),
            witness_quorum: file.floors.witness_quorum.unwrap_or(floors.witness_quorum),
        };
        expect(
            (MIN_VALIDITY..=MAX_VALIDITY).contains(&floors.validity),
            "a validity between 1m and 168h",
        )?;
        let witnesses: WitnessPolicy = match file.witnesses.trim() {
            "" => WitnessPolicy::default(),
            text if text.len() <= MAX_POLICY => text
                .parse()
                .map_err(|_| InvalidAnchor("witnesses as C2SP tlog-policy writes them"))?,
            _ => return Err(InvalidAnchor("at most 8 KiB about witnesses")),
        };
        expect(
            witnesses.logs().is_empty(),
            "witnesses without logs: the ledger is named above",
        )?;
        Ok(Self {
            jurisdiction: file.jurisdiction,
            addresses: file.addresses,
            mirrors: file.mirrors,
            tls_keys: file.tls_keys.iter().map(digest).collect::<Result<_, _>>()?,
            ledger,
            genesis: digest(&file.genesis)?,
            floors,
            witnesses,
        })
    }
}

// === impl Floors ===

impl Default for Floors {
    fn default() -> Self {
        Self {
            validity: Duration::from_secs(24 * 3600),
            witness_quorum: 0,
        }
    }
}

const VERSION: u32 = 1;
const MAX_LIST: usize = 8;
const MIN_VALIDITY: Duration = Duration::from_secs(60);
const MAX_VALIDITY: Duration = Duration::from_secs(168 * 3600);

#[cfg(test)]
mod tests {
    use entente_ledger::note::WitnessKey;
    use entente_signing::{Ed25519Key, Signer as _};

    use super::*;

    fn anchor() -> Anchor {
        let key = Ed25519Key::from_seed(&[1; 32]).unwrap();
        let key = key.verifying_key().clone();
        Anchor {
            jurisdiction: "ca-demo".parse().unwrap(),
            addresses: vec![
                "127.0.0.1:7100".parse().unwrap(),
                "[::1]:7100".parse().unwrap(),
            ],
            mirrors: Vec::new(),
            tls_keys: BTreeSet::from([Digest::of(b"a"), Digest::of(b"b")]),
            ledger: NoteKey::new("registry.ca-demo/changes", key).unwrap(),
            genesis: Digest::of(b"genesis"),
            floors: Floors {
                validity: Duration::from_secs(12 * 3600),
                witness_quorum: 2,
            },
            witnesses: WitnessPolicy::default(),
        }
    }

    fn witnessed() -> Anchor {
        let key = Ed25519Key::from_seed(&[2; 32]).unwrap();
        let key = WitnessKey::new("witness.example", key.verifying_key().clone()).unwrap();
        let policy = format!("witness one {key} http://witness.example:7200\nquorum one\n");
        Anchor {
            witnesses: policy.parse().unwrap(),
            ..anchor()
        }
    }

    #[test]
    fn reads_back_what_it_prints() {
        let mirrors = vec![
            "http://mirror.example/ca-demo".parse().unwrap(),
            "http://[::1]:81/".parse().unwrap(),
        ];
        let mirrored = Anchor {
            mirrors: mirrors.clone(),
            ..anchor()
        };
        let mirrors_alone = Anchor {
            addresses: Vec::new(),
            mirrors,
            ..anchor()
        };
        for anchor in [anchor(), witnessed(), mirrored, mirrors_alone] {
            assert_eq!(
                Anchor::parse(&anchor.to_string(), "anchor").unwrap(),
                anchor
            );
        }
    }

    #[test]
    fn refuses_what_is_not_whole_or_not_consistent() {
        let text = witnessed().to_string();
        for (from, to) in [
            ("anchor: 1", "anchor: 2"),
            ("jurisdiction: ca-demo", "jurisdiction: ca-on"),
            ("validity: 12h", "validity: 200h"),
            ("addresses:", "addresses: []\nothers:"),
            ("genesis: \"", "genesis: \"0"),
            ("ledger: \"registry", "ledger: \"register"),
            ("floors:", "floor:"),
            ("quorum one", "quorum two"),
            ("  quorum one", "  log {ledger}\n  quorum one"),
        ] {
            let to = to.replace("{ledger}", &witnessed().ledger.to_string());
            let altered = text.replace(from, &to);
            assert_ne!(altered, text, "{from}");
            assert!(Anchor::parse(&altered, "anchor").is_err(), "{to}");
        }
    }
}
