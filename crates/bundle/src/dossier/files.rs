//! A dossier as files, and back.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::commitment::{Field, Salt};
use entente_evidence::opening::Opening;
use entente_evidence::proof::SignedStatement;
use entente_keys::pem::{self, CERTIFICATE, PUBLIC_KEY};
use entente_keys::{Chain, MemberCertificate};
use entente_ledger::Checkpoint;
use entente_ledger::note::{NoteKey, SignedNote};
use entente_ledger::proof::TlogProof;
use entente_signing::{Digest, VerifyingKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::registries::{ABROAD, REGISTRY};
use super::witnesses::Cosignature;
use super::{Disclosed, Dossier, DossierError, Party, Proved, Session, Stamped, Tree};
use crate::container::Files;
use crate::instructions;

/// Files being put together.
struct Writing(Files);

/// Files being read: names in the folder, without it.
struct Reading<'a>(&'a Files);

// === impl Dossier ===

impl Dossier {
    /// All files, with the instructions for whoever verifies them without our code, sealed then.
    pub fn files(&self, sealed_at: Timestamp) -> Files {
        let mut files = self.evidence();
        let text = instructions::write(self, &files, sealed_at);
        files.insert(instructions::NAME.to_owned(), text.into());
        files
    }

    /// Whether the instructions among `files` are those of this version, to the byte. They are commands
    /// that somebody is asked to run.
    pub(super) fn has_own_instructions(&self, files: &Files, sealed_at: Timestamp) -> bool {
        let text = instructions::write(self, &self.evidence(), sealed_at);
        files
            .get(instructions::NAME)
            .is_some_and(|held| *held == text.as_bytes())
    }

    /// All files but the instructions.
    fn evidence(&self) -> Files {
        let mut out = Writing(Files::new());
        out.add("seal.pem", self.sealer.to_pem());
        out.statement("request", &self.request);
        if let Some(answer) = &self.answer {
            out.statement("answer", answer);
        }
        for (side, party) in [(CONSUMER, &self.consumer), (PROVIDER, &self.provider)] {
            if let Some(session) = &party.session {
                out.session(side, session);
            }
            if let Some(tree) = &party.ledger {
                out.tree(side, tree);
            }
        }
        for (folder, tree) in self.registries() {
            out.tree(folder, tree);
            let Some(named) = tree.witnesses() else {
                continue;
            };
            out.add(&format!("{folder}/{POLICY}"), named.policy.to_string());
            for (side, party) in [(CONSUMER, &self.consumer), (PROVIDER, &self.provider)] {
                if !tree.speaks_for(&self.server(side).jurisdiction()) {
                    continue;
                }
                for (n, cosignature) in (1..).zip(party.cosignatures(&named)) {
                    out.cosignature(&format!("{side}/witness-{n}"), party, &cosignature);
                }
            }
        }
        for disclosed in &self.openings {
            let name = disclosed.name();
            let opening = &disclosed.opening;
            out.add(&format!("{name}.bin"), opening.value().to_bytes());
            out.add(&format!("{name}.salt"), opening.salt().as_bytes().to_vec());
        }
        out.0
    }

    /// Reads files as [`Dossier::files`] writes them. The instructions must be there and may be those of
    /// another version; nothing is verified beyond form.
    ///
    /// # Errors
    /// When a file is missing, too many, or not what it must be.
    pub fn read(files: &Files) -> Result<Self, DossierError> {
        let reading = Reading(files);
        let has = |name: &str| files.contains_key(&full(name));
        let tree = |side: &str| {
            let is_there = has(&format!("{side}/checkpoint"));
            is_there.then(|| reading.tree(side)).transpose()
        };
        let party = |side: &str| {
            let has_session = has(&format!("{side}/session.pem"));
            Ok(Party {
                session: has_session.then(|| reading.session(side)).transpose()?,
                ledger: tree(side)?,
            })
        };
        let sealer = reading.text("seal.pem")?;
        let dossier = Self {
            sealer: MemberCertificate::from_pem(sealer).map_err(|_| wrong("seal.pem"))?,
            request: reading.statement("request")?,
            answer: has("answer.cose")
                .then(|| reading.statement("answer"))
                .transpose()?,
            consumer: party(CONSUMER)?,
            provider: party(PROVIDER)?,
            registry: tree(REGISTRY)?,
            abroad: tree(ABROAD)?,
            openings: reading.openings()?,
        };
        let written = dossier.evidence();
        if let Some((name, _)) = written
            .iter()
            .find(|(name, held)| files.get(*name) != Some(held))
        {
            return Err(match files.contains_key(name) {
                true => DossierError::File { name: name.clone() },
                false => DossierError::Missing { name: name.clone() },
            });
        }
        if !files.contains_key(instructions::NAME) {
            return Err(missing("VERIFY.txt"));
        }
        let is_extra = |name: &&String| *name != instructions::NAME && !written.contains_key(*name);
        match files.keys().find(is_extra) {
            Some(name) => Err(DossierError::File { name: name.clone() }),
            None => Ok(dossier),
        }
    }
}

// === impl Disclosed ===

impl Disclosed {
    /// The name of its files, without their ends.
    pub(crate) fn name(&self) -> String {
        let of = if self.is_of_answer {
            "answer"
        } else {
            "request"
        };
        format!("{of}-{}", self.opening.field().number())
    }
}

// === impl Writing ===

impl Writing {
    fn add(&mut self, name: &str, content: impl Into<Bytes>) {
        self.0.insert(full(name), content.into());
    }

    fn statement(&mut self, name: &str, signed: &SignedStatement) {
        let bytes = signed.bytes();
        self.add(&format!("{name}.cose"), bytes.clone());
        self.add(
            &format!("{name}.statement"),
            signed.statement_bytes().clone(),
        );
        self.add(&format!("{name}.sigstruct"), signed.signed_bytes());
        // Either form ends with the signature.
        let signature = bytes.slice(bytes.len() - SIGNATURE..);
        self.add(&format!("{name}.sig"), signature);
    }

    fn session(&mut self, side: &str, session: &Session) {
        let certificate = pem::encode(CERTIFICATE, &session.certificate);
        self.add(&format!("{side}/session.pem"), certificate);
        let key = session_key(&session.certificate).unwrap_or_default();
        self.add(
            &format!("{side}/session-key.pem"),
            pem::encode(PUBLIC_KEY, &key),
        );
        let key = pem::encode(PUBLIC_KEY, session.server_key.spki_der());
        self.add(&format!("{side}/server-key.pem"), key);
        if let Some(chain) = &session.chain {
            self.add(&format!("{side}/server.pem"), chain.server_pem());
            self.add(&format!("{side}/member.pem"), chain.member().to_pem());
        }
    }

    fn cosignature(&mut self, name: &str, party: &Party, cosignature: &Cosignature<'_>) {
        let key = pem::encode(PUBLIC_KEY, cosignature.key.key().spki_der());
        self.add(&format!("{name}.pem"), key);
        let text = cosignature.head() + &party.checkpoint_text();
        self.add(&format!("{name}.text"), text);
        self.add(&format!("{name}.sig"), cosignature.signature.clone());
    }

    fn tree(&mut self, side: &str, tree: &Tree) {
        self.add(&format!("{side}/ledger.vkey"), format!("{}\n", tree.key));
        let key = pem::encode(PUBLIC_KEY, tree.key.key().spki_der());
        self.add(&format!("{side}/ledger-key.pem"), key);
        self.add(&format!("{side}/checkpoint"), tree.checkpoint.clone());
        if let Ok(note) = SignedNote::parse(tree.checkpoint.as_bytes()) {
            self.add(&format!("{side}/checkpoint.text"), note.text().to_owned());
            let own = note
                .signatures()
                .iter()
                .find(|line| line.name == tree.key.name());
            let own = own.map_or_else(Vec::new, |line| line.bytes.clone());
            self.add(&format!("{side}/checkpoint.sig"), own);
        }
        for (index, entry) in &tree.entries {
            self.add(&format!("{side}/entry-{index}.bin"), entry.bytes.clone());
            let proof = TlogProof {
                extra: None,
                index: *index,
                path: entry.path.clone(),
                checkpoint: tree.checkpoint.clone(),
            };
            self.add(
                &format!("{side}/entry-{index}.tlog-proof"),
                proof.to_string(),
            );
            if let Some(receipt) = &entry.receipt {
                self.add(&receipt_name(side, *index), receipt.clone());
            }
        }
        for (size, stamp) in &tree.stamps {
            let text = tree.stamped_text(*size, stamp);
            self.add(&format!("{side}/stamp-{size}.text"), text);
            self.add(&format!("{side}/stamp-{size}.tst"), stamp.token.clone());
            for (index, path) in &stamp.paths {
                let lines = path
                    .iter()
                    .map(|hash| BASE64.encode(hash.as_bytes()) + "\n");
                let lines: String = lines.collect();
                self.add(&format!("{side}/stamp-{size}.entry-{index}.path"), lines);
            }
        }
    }
}

// === impl Tree ===

impl Tree {
    /// What a time stamp is over: the three lines of a checkpoint.
    pub(crate) fn stamped_text(&self, size: u64, stamp: &Stamped) -> String {
        let checkpoint = Checkpoint {
            origin: self.key.name().to_owned(),
            size,
            root: stamp.root,
        };
        checkpoint.to_string()
    }
}

// === impl Reading ===

impl<'a> Reading<'a> {
    fn bytes(&self, name: &str) -> Result<&'a Bytes, DossierError> {
        self.0.get(&full(name)).ok_or_else(|| missing(name))
    }

    fn text(&self, name: &str) -> Result<&'a str, DossierError> {
        std::str::from_utf8(self.bytes(name)?).map_err(|_| wrong(name))
    }

    fn der(&self, label: &str, name: &str) -> Result<Vec<u8>, DossierError> {
        pem::decode(label, self.bytes(name)?).ok_or_else(|| wrong(name))
    }

    /// What stands between `before` and `after` in names, as numbers.
    fn numbers(&self, before: &str, after: &str) -> Vec<u64> {
        let before = full(before);
        let names = self.0.keys();
        let found = names.filter_map(|name| {
            let number = name.strip_prefix(&before)?.strip_suffix(after)?;
            // Spelt otherwise it is another name, and found to be one too many.
            number.parse().ok()
        });
        found.collect()
    }

    fn statement(&self, name: &str) -> Result<SignedStatement, DossierError> {
        let name = format!("{name}.cose");
        SignedStatement::parse(self.bytes(&name)?.clone()).map_err(|_| wrong(&name))
    }

    fn session(&self, side: &str) -> Result<Session, DossierError> {
        let certificate = format!("{side}/session.pem");
        let der = self.der(CERTIFICATE, &certificate)?;
        session_key(&der).ok_or_else(|| wrong(&certificate))?;
        let key = format!("{side}/server-key.pem");
        let spki = self.der(PUBLIC_KEY, &key)?;
        let server = format!("{side}/server.pem");
        let chain = if self.0.contains_key(&full(&server)) {
            let both = [
                self.der(CERTIFICATE, &server)?,
                self.der(CERTIFICATE, &format!("{side}/member.pem"))?,
            ];
            Some(Chain::parse(&both).map_err(|_| wrong(&server))?)
        } else {
            None
        };
        Ok(Session {
            certificate: der.into(),
            server_key: VerifyingKey::from_spki_der(&spki).map_err(|_| wrong(&key))?,
            chain,
        })
    }

    fn tree(&self, side: &str) -> Result<Tree, DossierError> {
        let key = format!("{side}/ledger.vkey");
        let vkey = self.text(&key)?.trim_end();
        let named: NoteKey = vkey.parse().map_err(|_| wrong(&key))?;
        // It stands in commands that somebody is asked to run.
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"._/-".contains(&c);
        if !named.name().bytes().all(is_plain) {
            return Err(wrong(&key));
        }
        let mut tree = Tree {
            key: named,
            checkpoint: self.text(&format!("{side}/checkpoint"))?.to_owned(),
            entries: BTreeMap::new(),
            stamps: BTreeMap::new(),
        };
        let has_receipts = !self.numbers(&format!("{side}/entry-"), RECEIPT).is_empty();
        for index in self.numbers(&format!("{side}/entry-"), ".bin") {
            let name = format!("{side}/entry-{index}.tlog-proof");
            let proof = TlogProof::from_str(self.text(&name)?).map_err(|_| wrong(&name))?;
            let bytes = self.bytes(&format!("{side}/entry-{index}.bin"))?.clone();
            let receipt = has_receipts.then(|| self.bytes(&receipt_name(side, index)));
            let proved = Proved {
                bytes,
                path: proof.path,
                receipt: receipt.transpose()?.cloned(),
            };
            tree.entries.insert(index, proved);
        }
        for size in self.numbers(&format!("{side}/stamp-"), ".tst") {
            let name = format!("{side}/stamp-{size}.text");
            let text = self.text(&name)?;
            let stamped: Checkpoint = text.parse().map_err(|_| wrong(&name))?;
            let mut paths = BTreeMap::new();
            for index in self.numbers(&format!("{side}/stamp-{size}.entry-"), ".path") {
                let name = format!("{side}/stamp-{size}.entry-{index}.path");
                paths.insert(
                    index,
                    hashes(self.text(&name)?).ok_or_else(|| wrong(&name))?,
                );
            }
            let stamp = Stamped {
                root: stamped.root,
                token: self.bytes(&format!("{side}/stamp-{size}.tst"))?.clone(),
                paths,
            };
            tree.stamps.insert(size, stamp);
        }
        Ok(tree)
    }

    fn openings(&self) -> Result<Vec<Disclosed>, DossierError> {
        let mut openings = Vec::new();
        for (of, is_of_answer) in [("request", false), ("answer", true)] {
            for number in self.numbers(&format!("{of}-"), ".salt") {
                let name = format!("{of}-{number}.salt");
                let field = u8::try_from(number).ok().and_then(Field::new);
                let salt = <[u8; 32]>::try_from(&self.bytes(&name)?[..]).ok();
                let (Some(field), Some(salt)) = (field, salt) else {
                    return Err(wrong(&name));
                };
                let value = self.bytes(&format!("{of}-{number}.bin"))?.clone();
                openings.push(Disclosed {
                    is_of_answer,
                    opening: Opening::new(field, Salt::from_bytes(salt), value.into()),
                });
            }
        }
        Ok(openings)
    }
}

/// Hashes in base64, one a line; no tree is deeper than 64.
fn hashes(text: &str) -> Option<Vec<Digest>> {
    let lines = text.lines().take(65);
    let hashes: Option<Vec<_>> = lines
        .map(|line| Digest::from_slice(&BASE64.decode(line).ok()?).ok())
        .collect();
    hashes.filter(|hashes| hashes.len() <= 64)
}

/// The SubjectPublicKeyInfo in a certificate.
fn session_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

fn receipt_name(side: &str, index: u64) -> String {
    format!("{side}/entry-{index}{RECEIPT}")
}

fn full(name: &str) -> String {
    [crate::container::FOLDER, name].concat()
}

fn wrong(name: &str) -> DossierError {
    DossierError::File { name: full(name) }
}

fn missing(name: &str) -> DossierError {
    DossierError::Missing { name: full(name) }
}

const CONSUMER: &str = "consumer";
const PROVIDER: &str = "provider";
/// How the name of an entry's receipt ends.
const RECEIPT: &str = ".receipt.cose";
/// The policy of witnesses, in a registry's folder.
const POLICY: &str = "policy";
/// Bytes of a signature.
pub(crate) const SIGNATURE: usize = 64;
