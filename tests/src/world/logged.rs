//! What a server wrote into its ledger, read from its files.

use std::collections::BTreeMap;
use std::sync::Arc;

use entente_evidence::proof::SignedStatement;
use entente_keys::{KeyStore, SessionCertificate, VerifiedSession};
use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry};
use entente_security_server::enrol::ServerKeys;
use entente_signing::Digest;

use super::{Site, World};

// === impl Site ===

impl Site {
    /// Its entries, in order.
    ///
    /// # Errors
    /// When there is no ledger, or it holds what is no entry.
    pub fn entries(&self) -> anyhow::Result<Vec<Body>> {
        let entries = self.dated_entries()?.into_iter();
        Ok(entries.map(|entry| entry.body).collect())
    }

    /// Its entries with their times, in order.
    ///
    /// # Errors
    /// As [`Site::entries`].
    pub fn dated_entries(&self) -> anyhow::Result<Vec<Entry>> {
        let mut reader = Reader::open(Arc::new(RealDisk), self.ledger_dir()?)?;
        let entries = reader.entries(0).map(|entry| Ok(Entry::decode(&entry?.1)?));
        entries.collect()
    }

    /// The statements in its IN and OUT entries.
    ///
    /// # Errors
    /// As [`Site::entries`].
    pub fn statements(&self) -> anyhow::Result<BTreeMap<Digest, SignedStatement>> {
        let entries = self.entries()?.into_iter();
        let bytes = entries.filter_map(|body| match body {
            Body::In(entry) => Some(entry.statement),
            Body::Out(entry) => Some(entry.statement),
            _ => None,
        });
        let signed = bytes.map(|bytes| {
            let signed = SignedStatement::parse(bytes)?;
            Ok((signed.hash(), signed))
        });
        signed.collect()
    }
}

// === impl World ===

impl World {
    /// The sessions in a server's SESSION entries: its own, and those of the peers it met.
    ///
    /// # Errors
    /// When one is not certified by the key of its server.
    pub fn sessions(&self, site: &Site) -> anyhow::Result<Vec<VerifiedSession>> {
        let entries = site.entries()?.into_iter();
        let sessions = entries.filter_map(|body| match body {
            Body::Session(session) => Some(session),
            _ => None,
        });
        let verified = sessions.map(|session| {
            let sites = [&self.consumer, &self.provider];
            let of = sites.into_iter().find(|of| of.server == session.server);
            let of = of.ok_or_else(|| anyhow::anyhow!("a session of {}", session.server))?;
            let keys = ServerKeys::load_or_create(&KeyStore::open(of.dir.join("keys"))?)?;
            let key = keys.server.verifying_key();
            Ok(SessionCertificate::verify(
                &session.chain[0],
                key,
                self.now(),
            )?)
        });
        verified.collect()
    }
}
