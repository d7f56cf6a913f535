//! What is said about servers: who they are, where, with which keys, and their ledger shards.

use std::collections::BTreeSet;

use entente_clock::Timestamp;
use entente_identity::{ServerId, SystemId};
use entente_signing::cbor::{CborError, Reader, Writer};
use entente_signing::{Digest, SignError, SignatureInvalid, SignatureValid, Signer, VerifyingKey};

use super::Mode;
use crate::Address;
use crate::codec::{BodyError, Fields, Map, ascending, key, list, parsed, u32};

/// A sealing suite (DESIGN.md §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// KEM X-Wing, HKDF-SHA256, export only; AES-256-GCM (1).
    XWing,
}

/// A key that seals are opened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HpkeKey {
    /// The suite it is for.
    pub suite: Suite,
    /// The public key: 1,216 bytes for X-Wing.
    pub public: Vec<u8>,
}

/// A member registers one of its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRegister {
    /// The server.
    pub server: ServerId,
    /// The systems it may sign for; all of the server's member.
    pub systems: BTreeSet<SystemId>,
    /// Where peers reach it, best first.
    pub addresses: Vec<Address>,
    /// The P-256 key that certifies its sessions and rotates its other keys.
    pub key: VerifyingKey,
    /// The keys it may show in TLS.
    pub tls: Vec<VerifyingKey>,
    /// The keys seals are opened to, newest last.
    pub hpke: Vec<HpkeKey>,
    /// The Ed25519 key of its ledgers.
    pub ledger: VerifyingKey,
    /// Protocol versions it speaks.
    pub protocols: BTreeSet<u32>,
    /// Signature by `key` over [`ServerRegister::proof_message`]: whoever registers a key holds it.
    pub proof: [u8; 64],
}

/// A server, or its member, changes what was registered. Absent stays as it is; a list replaces the
/// whole list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUpdate {
    /// The server.
    pub server: ServerId,
    /// The systems it may sign for. By the member only.
    pub systems: Option<BTreeSet<SystemId>>,
    /// Where peers reach it.
    pub addresses: Option<Vec<Address>>,
    /// A new server key. By the member only.
    pub key: Option<VerifyingKey>,
    /// The keys it may show in TLS.
    pub tls: Option<Vec<VerifyingKey>>,
    /// The keys seals are opened to, newest last.
    pub hpke: Option<Vec<HpkeKey>>,
    /// The key of ledgers it opens from now on.
    pub ledger: Option<VerifyingKey>,
    /// Protocol versions it speaks.
    pub protocols: Option<BTreeSet<u32>>,
}

/// A server opens the next shard of its access ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardOpen {
    /// The server.
    pub server: ServerId,
    /// For which mode.
    pub mode: Mode,
    /// `<server>.<member>.<jurisdiction>/access/<half-year>.<n>`.
    pub origin: String,
    /// The key that signs its checkpoints.
    pub key: VerifyingKey,
    /// SHA-256 of the last cosigned checkpoint of the shard before; absent for the first.
    pub previous: Option<Digest>,
}

/// A server or its member ends every session certificate issued before a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRevoke {
    /// The server.
    pub server: ServerId,
    /// Sessions issued before this are refused.
    pub issued_before: Timestamp,
}

// === impl Suite ===

impl Suite {
    /// The number on the wire.
    pub const fn number(self) -> u64 {
        match self {
            Self::XWing => 1,
        }
    }

    /// How long a public key is, in bytes.
    pub const fn public_len(self) -> usize {
        match self {
            Self::XWing => 1216,
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        match reader.uint()? {
            1 => Ok(Self::XWing),
            _ => Err(CborError::Range),
        }
    }
}

// === impl HpkeKey ===

impl HpkeKey {
    /// What envelopes call this key: the first 8 bytes of the public key's SHA-256.
    pub fn id(&self) -> [u8; 8] {
        let mut id = [0; 8];
        id.copy_from_slice(&self.digest().as_bytes()[..8]);
        id
    }

    /// [`Self::id`] in hexadecimal, as people compare it.
    pub fn fingerprint(&self) -> String {
        self.id().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.public)
    }

    fn write(&self, out: &mut Writer) {
        out.array(2).uint(self.suite.number()).bytes(&self.public);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        if reader.array()? != 2 {
            return Err(CborError::Unexpected);
        }
        let suite = Suite::read(reader)?;
        let public = reader.bytes()?.to_vec();
        if public.len() != suite.public_len() {
            return Err(CborError::Range);
        }
        Ok(Self { suite, public })
    }
}

// === impl ServerRegister ===

impl ServerRegister {
    /// What the server's own key signs, so that nobody registers a key that is not theirs.
    pub fn proof_message(&self) -> Vec<u8> {
        let mut fields = Fields::new();
        self.claims(&mut fields);
        [PROOF_CONTEXT, &fields.into_vec()].concat()
    }

    /// Signs [`ServerRegister::proof_message`] with the server's key, and keeps the signature.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn prove(&mut self, server_key: &dyn Signer) -> Result<(), SignError> {
        self.proof = server_key.sign(&self.proof_message())?;
        Ok(())
    }

    /// Checks the server's own signature.
    ///
    /// # Errors
    /// When it does not verify.
    pub fn verify_proof(&self) -> Result<SignatureValid, SignatureInvalid> {
        self.key.verify(&self.proof_message(), &self.proof)
    }

    fn claims(&self, to: &mut Fields) {
        to.text(1, self.server.as_str());
        write_systems(to, 2, &self.systems);
        write_addresses(to, 3, &self.addresses);
        to.bytes(4, self.key.spki_der());
        write_keys(to, 5, &self.tls);
        to.list(6, self.hpke.iter(), |out, key| key.write(out));
        to.bytes(7, self.ledger.spki_der());
        write_protocols(to, 8, &self.protocols);
    }

    pub(crate) fn fields(&self, to: &mut Fields) {
        self.claims(to);
        to.bytes(9, &self.proof);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            server: map.required(1, parsed)?,
            systems: map.required(2, |r| ascending(r, parsed))?,
            addresses: map.required(3, |r| list(r, parsed))?,
            key: map.required(4, key)?,
            tls: map.required(5, |r| list(r, key))?,
            hpke: map.required(6, |r| list(r, HpkeKey::read))?,
            ledger: map.required(7, key)?,
            protocols: map.required(8, |r| ascending(r, u32))?,
            proof: map.required(9, |r| r.bytes_exact())?,
        };
        map.end()?;
        Ok(body)
    }
}

const PROOF_CONTEXT: &[u8] = b"entente/server-proof/v1\0";

// === impl ServerUpdate ===

impl ServerUpdate {
    /// An update that changes nothing yet.
    pub const fn of(server: ServerId) -> Self {
        Self {
            server,
            systems: None,
            addresses: None,
            key: None,
            tls: None,
            hpke: None,
            ledger: None,
            protocols: None,
        }
    }

    pub(crate) fn fields(&self, to: &mut Fields) {
        to.text(1, self.server.as_str());
        if let Some(systems) = &self.systems {
            write_systems(to, 2, systems);
        }
        if let Some(addresses) = &self.addresses {
            write_addresses(to, 3, addresses);
        }
        if let Some(key) = &self.key {
            to.bytes(4, key.spki_der());
        }
        if let Some(keys) = &self.tls {
            write_keys(to, 5, keys);
        }
        if let Some(keys) = &self.hpke {
            to.list(6, keys.iter(), |out, key| key.write(out));
        }
        if let Some(key) = &self.ledger {
            to.bytes(7, key.spki_der());
        }
        if let Some(protocols) = &self.protocols {
            write_protocols(to, 8, protocols);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            server: map.required(1, parsed)?,
            systems: map.optional(2, |r| ascending(r, parsed))?,
            addresses: map.optional(3, |r| list(r, parsed))?,
            key: map.optional(4, key)?,
            tls: map.optional(5, |r| list(r, key))?,
            hpke: map.optional(6, |r| list(r, HpkeKey::read))?,
            ledger: map.optional(7, key)?,
            protocols: map.optional(8, |r| ascending(r, u32))?,
        };
        map.end()?;
        Ok(body)
    }
}

// === impl ShardOpen ===

impl ShardOpen {
    /// The origin of a server's n-th shard of a half-year, as `2026h2` and 1.
    pub fn origin_of(server: &ServerId, half_year: &str, n: u32) -> String {
        let (jurisdiction, member, label) = server.parts();
        format!("{label}.{member}.{jurisdiction}/access/{half_year}.{n}")
    }

    /// Whether `origin` is that of a shard of this server, whichever.
    pub fn is_origin_of(server: &ServerId, origin: &str) -> bool {
        let (jurisdiction, member, label) = server.parts();
        let shard = || {
            let rest = origin.strip_prefix(label)?.strip_prefix('.')?;
            let rest = rest.strip_prefix(member)?.strip_prefix('.')?;
            rest.strip_prefix(jurisdiction)?.strip_prefix("/access/")
        };
        shard()
            .and_then(|shard| shard.split_once('.'))
            .is_some_and(|(half_year, n)| {
                // In its one spelling, and without another part hidden in it.
                let is_number = n.parse::<u32>().is_ok() && !n.starts_with(['0', '+']);
                !half_year.contains('/') && (is_number || n == "0")
            })
    }

    pub(crate) fn fields(&self, to: &mut Fields) {
        to.text(1, self.server.as_str())
            .uint(2, self.mode.number())
            .text(3, &self.origin)
            .bytes(4, self.key.spki_der());
        if let Some(previous) = &self.previous {
            to.digest(5, previous);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            server: map.required(1, parsed)?,
            mode: map.required(2, Mode::read)?,
            origin: map.required(3, crate::codec::short_text)?,
            key: map.required(4, key)?,
            previous: map.optional(5, crate::codec::digest)?,
        };
        map.end()?;
        Ok(body)
    }
}

// === impl SessionRevoke ===

impl SessionRevoke {
    pub(crate) fn fields(&self, to: &mut Fields) {
        to.text(1, self.server.as_str()).time(2, self.issued_before);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            server: map.required(1, parsed)?,
            issued_before: map.required(2, crate::codec::time)?,
        };
        map.end()?;
        Ok(body)
    }
}

fn write_systems(to: &mut Fields, at: u64, systems: &BTreeSet<SystemId>) {
    to.list(at, systems.iter(), |out, system| {
        out.text(system.as_str());
    });
}

fn write_addresses(to: &mut Fields, at: u64, addresses: &[Address]) {
    to.list(at, addresses.iter(), |out, address| {
        out.text(address.as_str());
    });
}

fn write_keys(to: &mut Fields, at: u64, keys: &[VerifyingKey]) {
    to.list(at, keys.iter(), |out, key| {
        out.bytes(key.spki_der());
    });
}

fn write_protocols(to: &mut Fields, at: u64, protocols: &BTreeSet<u32>) {
    to.list(at, protocols.iter(), |out, version| {
        out.uint(u64::from(*version));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origins_of_a_server_are_known_from_those_of_others() {
        let server: ServerId = "ca-on.sudbury/health/@ss1".parse().unwrap();
        for n in [0, 1, 12, u32::MAX] {
            let origin = ShardOpen::origin_of(&server, "2026h2", n);
            assert!(ShardOpen::is_origin_of(&server, &origin), "{origin}");
        }
        for other in [
            "ss1.health.ca-on.sudbury/access/2026h2",
            "ss1.health.ca-on.sudbury/access/2026h2.",
            "ss1.health.ca-on.sudbury/access/2026h2.01",
            "ss1.health.ca-on.sudbury/access/2026h2.+1",
            "ss1.health.ca-on.sudbury/access/2026h2.1.2",
            "ss1.health.ca-on.sudbury/access/a/2026h2.1",
            "ss1.health.ca-on.sudbury/reads/2026h2.1",
            "ss1.health.ca-on/access/2026h2.1",
            "ss1.health.ca-on.sudbury.x/access/2026h2.1",
            "ss2.health.ca-on.sudbury/access/2026h2.1",
            "ss1.healthy.ca-on.sudbury/access/2026h2.1",
            "xss1.health.ca-on.sudbury/access/2026h2.1",
            "",
        ] {
            assert!(!ShardOpen::is_origin_of(&server, other), "{other}");
        }
    }
}
