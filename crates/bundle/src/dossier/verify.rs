//! Verifying a dossier: everything that can be checked without asking anybody.

mod registries;

use std::sync::Arc;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::Kind;
use entente_identity::ServerId;
use entente_keys::SessionCertificate;
use entente_ledger::SignedCheckpoint;
use entente_ledger::entry::{Body, Entry};
use entente_ledger::proof::InclusionProof;
use entente_ledger::receipt::CoseReceipt;
use entente_ledger::tree::leaf_hash;
use entente_signing::{Digest, VerifyingKey};
use entente_timestamp::verify as verify_token;

use super::gaps::statement_in;
use super::report::{Fault, Gap, Proven, Report, Trust};
use super::{Dossier, Party, Session, Tree};
use crate::container::Files;
use crate::seal::Sealed;

/// A statement in a side's ledger.
struct Standing {
    statement: Bytes,
    index: u64,
    leaf: Digest,
    /// Whether in an entry that refuses it.
    is_denied: bool,
}

struct Check<'a> {
    dossier: &'a Dossier,
    trust: &'a Trust,
    report: Report,
}

// === impl Dossier ===

impl Dossier {
    /// Checks everything that can be checked without asking anybody. `files` are those it was read from.
    pub fn verify(&self, files: &Files, sealed: &Sealed, trust: &Trust) -> Report {
        let mut check = Check {
            dossier: self,
            trust,
            report: Report::default(),
        };
        check.seal(sealed);
        check.statement("request", &self.request, &self.consumer);
        if let Some(answer) = &self.answer {
            if answer.statement().answers(&self.request).is_err() {
                check.fault("answer", "it does not answer the request");
            }
            check.statement("answer", answer, &self.provider);
        }
        check.ledger("consumer", &self.consumer);
        check.ledger("provider", &self.provider);
        check.registries();
        check.witnesses("consumer", &self.consumer, sealed.at);
        check.witnesses("provider", &self.provider, sealed.at);
        for disclosed in &self.openings {
            check.opening(disclosed);
        }
        check.time();
        let mut gaps = self.gaps(sealed.at);
        gaps.append(&mut check.report.gaps);
        check.report.gaps = gaps;
        if !self.has_own_instructions(files, sealed.at) {
            check.report.gaps.push(Gap::Instructions);
        }
        check.report
    }

    /// The keys of servers and ledgers that have to be bound.
    pub(super) fn keys(&self) -> Vec<(ServerId, VerifyingKey)> {
        let mut keys = Vec::new();
        for (side, party) in [("consumer", &self.consumer), ("provider", &self.provider)] {
            let server = self.server(side);
            let session = party.session.as_ref().map(|s| s.server_key.clone());
            let ledger = party.ledger.as_ref().map(|tree| tree.key.key().clone());
            let held = [session, ledger].into_iter().flatten();
            keys.extend(held.map(|key| (server.clone(), key)));
        }
        keys
    }

    /// Whether a logged chain is that of one of the sessions.
    fn is_certified_by(&self, chain: &[Bytes]) -> bool {
        let sessions = [&self.consumer, &self.provider].map(|party| party.session.as_ref());
        let mut sessions = sessions.into_iter().flatten();
        sessions.any(|session| chain.first() == Some(&session.certificate))
    }

    /// The server of a side.
    pub(crate) fn server(&self, side: &str) -> &ServerId {
        let request = self.request.statement();
        match side {
            "consumer" => &request.sender_server,
            _ => &request.receiver_server,
        }
    }
}

// === impl Check ===

impl Check<'_> {
    fn fault(&mut self, part: &str, what: &'static str) {
        let part = part.to_owned();
        self.report.faults.push(Fault { part, what });
    }

    fn prove(&mut self, proven: Proven) {
        if !self.report.proven.contains(&proven) {
            self.report.proven.push(proven);
        }
    }

    fn seal(&mut self, sealed: &Sealed) {
        let certificate = &sealed.certificate;
        if *certificate != self.dossier.sealer {
            self.fault("seal.pem", "it is not the seal's certificate");
        }
        self.prove(Proven::Sealed {
            member: certificate.member().clone(),
            at: sealed.at,
        });
    }

    fn statement(&mut self, part: &str, signed: &SignedStatement, party: &Party) {
        let Some(session) = &party.session else {
            return self.fault(part, "there is no session that signed it");
        };
        let said = signed.statement();
        let (at, server) = (said.issued_at, &said.sender_server);
        let verified = SessionCertificate::verify(&session.certificate, &session.server_key, at);
        let Ok(verified) = verified else {
            return self.fault(part, "its session's certificate does not hold");
        };
        if verified.server() != server {
            return self.fault(part, "its session is another server's");
        }
        if verified.mode().as_str() != said.mode.as_str() {
            return self.fault(part, "its session is of another mode");
        }
        if signed.verify(verified.key()).is_err() {
            return self.fault(part, "its signature does not verify");
        }
        self.chain(part, session, server, at);
        self.prove(Proven::Signed {
            server: server.clone(),
            kind: said.kind(),
            at,
            form: signed.form(),
        });
    }

    fn chain(&mut self, part: &str, session: &Session, server: &ServerId, at: Timestamp) {
        let Some(chain) = &session.chain else {
            return;
        };
        if chain.server() != server || *chain.server_key() != session.server_key {
            return self.fault(
                part,
                "the certificates above its session are another server's",
            );
        }
        if !chain.validity().contains(at) {
            return self.fault(
                part,
                "the certificates above its session were not valid then",
            );
        }
        // One that no registry entry binds is anybody's: that is said as a gap.
        let member = chain.member();
        if self.dossier.is_members(member.member(), member.key()) {
            let server = server.clone();
            self.prove(Proven::Certified { server });
        }
    }

    /// The checkpoint and every entry under it. What the entries say is not looked at.
    fn tree(&mut self, side: &str, tree: &Tree) -> Option<Arc<SignedCheckpoint>> {
        let verified = SignedCheckpoint::verify(tree.checkpoint.as_bytes(), &tree.key);
        let Ok(checkpoint) = verified else {
            self.fault(
                &format!("{side}/checkpoint"),
                "it is not signed by its ledger",
            );
            return None;
        };
        for (index, entry) in &tree.entries {
            let proof = InclusionProof {
                index: *index,
                size: checkpoint.size(),
                path: entry.path.clone(),
            };
            let leaf = leaf_hash(&entry.bytes);
            if proof.verify(&leaf, &checkpoint.root()).is_err() {
                let part = format!("{side}/entry-{index}");
                self.fault(&part, "it is not in the tree of the checkpoint");
            }
            let says_the_same = |receipt: &Bytes| {
                CoseReceipt::verify(receipt, &tree.key, &leaf).is_ok_and(|receipt| {
                    receipt.is_of(checkpoint.checkpoint()) && receipt.proof == proof
                })
            };
            if !entry.receipt.as_ref().is_none_or(says_the_same) {
                let part = format!("{side}/entry-{index}");
                self.fault(&part, "its receipt is not the ledger's");
            }
        }
        Some(Arc::new(checkpoint))
    }

    fn ledger(&mut self, side: &str, party: &Party) {
        let Some(tree) = &party.ledger else {
            return;
        };
        let Some(checkpoint) = self.tree(side, tree) else {
            return;
        };
        let origin = tree.key.name();
        let dossier = self.dossier;
        let answer = dossier.answer.as_ref();
        let logs_in = match side {
            "consumer" => Some(dossier.request.statement().log.as_str()),
            _ => answer.map(|answer| answer.statement().log.as_str()),
        };
        if logs_in.is_some_and(|named| named != origin) {
            self.fault(side, "the ledger is another than the statement names");
        }
        let mut logged = Vec::new();
        for (index, proved) in &tree.entries {
            let part = format!("{side}/entry-{index}");
            let Ok(entry) = Entry::decode(&proved.bytes) else {
                self.fault(&part, "it is no entry");
                continue;
            };
            let statement = statement_in(&entry.body);
            let of = [Some(&dossier.request), answer].into_iter().flatten();
            let of = of
                .map(SignedStatement::bytes)
                .find(|b| Some(*b) == statement);
            match (&entry.body, of) {
                (body, Some(of)) => logged.push(Standing {
                    statement: of.clone(),
                    index: *index,
                    leaf: leaf_hash(&proved.bytes),
                    is_denied: matches!(body, Body::Denied(_)),
                }),
                (Body::Session(logged), None) if dossier.is_certified_by(&logged.chain) => {}
                // Who asked notes that no answer came that it could use.
                (Body::Outcome(outcome), None)
                    if side == "consumer" && outcome.request == dossier.request.hash() => {}
                _ => {
                    self.fault(&part, "it is not about this exchange");
                    continue;
                }
            }
            self.prove(Proven::Logged {
                origin: origin.to_owned(),
                index: *index,
                kind: entry.body.name(),
                size: checkpoint.size(),
            });
        }
        if side == "provider" {
            self.promise(&logged, tree);
        }
    }

    /// Whether the request stands where the answer says.
    fn promise(&mut self, logged: &[Standing], tree: &Tree) {
        let answer = self.dossier.answer.as_ref();
        let Some(said) = answer.map(SignedStatement::statement) else {
            return;
        };
        let Some(receipt) = said.receipt() else {
            return;
        };
        let request = self.dossier.request.bytes();
        let Some(held) = logged.iter().find(|held| held.statement == request) else {
            return;
        };
        if receipt.origin.as_str() != tree.key.name() {
            self.fault("provider", "the answer promises an entry of another ledger");
        } else if (receipt.index, receipt.leaf_hash) != (held.index, held.leaf) {
            self.fault(
                "provider",
                "the request is not where the answer promised it",
            );
        } else if held.is_denied && said.kind() != Kind::Fault {
            self.fault("provider", "it answered what its ledger says it refused");
        } else {
            self.prove(Proven::Promised { index: held.index });
        }
    }

    fn opening(&mut self, disclosed: &super::Disclosed) {
        let dossier = self.dossier;
        let of = match disclosed.is_of_answer {
            true => dossier.answer.as_ref(),
            false => Some(&dossier.request),
        };
        let field = disclosed.opening.field();
        let committed = of.and_then(|of| of.statement().commitments.get(&field));
        if committed != Some(&disclosed.opening.commitment()) {
            return self.fault(&disclosed.name(), "it is not the value committed to");
        }
        self.prove(Proven::Disclosed {
            is_of_answer: disclosed.is_of_answer,
            field,
        });
    }

    fn time(&mut self) {
        let dossier = self.dossier;
        let trees = [
            ("consumer", &dossier.consumer),
            ("provider", &dossier.provider),
        ];
        let trees = trees.map(|(side, party)| (side, party.ledger.as_ref()));
        for (side, tree) in trees {
            let Some(tree) = tree else { continue };
            for (size, stamp) in &tree.stamps {
                self.stamp(side, tree, *size, stamp);
            }
        }
    }

    fn stamp(&mut self, side: &str, tree: &Tree, size: u64, stamp: &super::Stamped) {
        let part = format!("{side}/stamp-{size}");
        if stamp.paths.is_empty() {
            return self.fault(&part, "it is over no entry");
        }
        for (index, path) in &stamp.paths {
            let proof = InclusionProof {
                index: *index,
                size,
                path: path.clone(),
            };
            let entry = tree.entries.get(index);
            let holds = entry
                .is_some_and(|entry| proof.verify(&leaf_hash(&entry.bytes), &stamp.root).is_ok());
            if !holds {
                return self.fault(&part, "an entry is not in the tree it is over");
            }
        }
        let Some(authorities) = &self.trust.authorities else {
            if !self.report.gaps.contains(&Gap::Authority) {
                self.report.gaps.push(Gap::Authority);
            }
            return;
        };
        let imprint = Digest::of(tree.stamped_text(size, stamp).as_bytes());
        // Each operator chooses an authority, and a ledger holds what its owner put there: a token that does
        // not count for the reader takes nothing from the rest.
        let Ok(verified) = verify_token(&stamp.token, imprint, authorities) else {
            let origin = tree.key.name().to_owned();
            return self.report.gaps.push(Gap::Stamp { origin, size });
        };
        for index in stamp.paths.keys() {
            self.prove(Proven::Stamped {
                origin: tree.key.name().to_owned(),
                index: *index,
                by: verified.latest(),
            });
        }
    }
}
