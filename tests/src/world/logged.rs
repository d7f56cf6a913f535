//! What a server wrote into its ledger, read from its files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use entente_evidence::proof::SignedStatement;
use entente_identity::ServerId;
use entente_keys::{SessionCertificate, VerifiedSession};
use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry};
use entente_ledger::fsck::fsck;
use entente_signing::{Digest, VerifyingKey};

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
        let entries = self.encoded_entries()?;
        let decoded = entries.iter().map(|entry| Ok(Entry::decode(entry)?));
        decoded.collect()
    }

    /// Its entries as the ledger has them.
    ///
    /// # Errors
    /// When there is no ledger.
    pub fn encoded_entries(&self) -> anyhow::Result<Vec<Bytes>> {
        let mut reader = self.ledger()?;
        let entries = reader.entries(0).map(|entry| Ok(entry?.1));
        entries.collect()
    }

    /// Its newest access ledger.
    ///
    /// # Errors
    /// When there is none.
    pub fn ledger(&self) -> anyhow::Result<Reader> {
        Ok(Reader::open(Arc::new(RealDisk), self.ledger_dir()?)?)
    }

    /// The name of its newest access ledger.
    ///
    /// # Errors
    /// When there is none.
    pub fn origin(&self) -> anyhow::Result<String> {
        let ledger = self.ledger()?;
        Ok(ledger
            .origin()
            .context("a ledger without a name")?
            .to_owned())
    }

    /// Whether the ledger in a folder is whole, and its server's.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_sound(&self, ledger: &Path) -> anyhow::Result<bool> {
        let key = self.server_keys()?.ledger.verifying_key().clone();
        let report = fsck(Arc::new(RealDisk), ledger, &key, &mut |_, _| {})?;
        Ok(report.is_sound())
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
    /// What the sessions of a server are certified by.
    ///
    /// # Errors
    /// When it is the server of neither party.
    pub fn key_of(&self, server: &ServerId) -> anyhow::Result<VerifyingKey> {
        let sites = [&self.consumer, &self.provider];
        let site = sites.into_iter().find(|site| site.server == *server);
        let site = site.with_context(|| format!("a session of {server}"))?;
        Ok(site.server_keys()?.server.verifying_key().clone())
    }

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
            let key = self.key_of(&session.server)?;
            Ok(SessionCertificate::verify(
                &session.chain[0],
                &key,
                self.now(),
            )?)
        });
        verified.collect()
    }
}
