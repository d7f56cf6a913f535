//! The commands, step by step.

mod trees;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use entente_clock::Timestamp;
use entente_evidence::proof::{Form, SignedStatement};
use entente_evidence::statement::Statement;
use entente_ledger::proof::InclusionProof;
use entente_ledger::tree::leaf_hash;
use entente_signing::Digest;
use entente_signing::cbor::Reader;
use entente_signing::cose::Sign1;

use super::{NAME, SAME, Script, find};
use crate::container::Files;
use crate::dossier::{Disclosed, Dossier, Party, Session};
use crate::manifest::{HEAD, MANIFEST, SEAL, TAIL};
use trees::steps;

pub(super) fn write(script: &mut Script, dossier: &Dossier, files: &Files, sealed_at: Timestamp) {
    script.container(files, sealed_at);
    script.statement("request", &dossier.request, &dossier.consumer, "consumer");
    if let Some(answer) = &dossier.answer {
        script.statement("answer", answer, &dossier.provider, "provider");
        script.answer(dossier, answer);
    }
    for (side, party) in [
        ("consumer", &dossier.consumer),
        ("provider", &dossier.provider),
    ] {
        if let Some(tree) = &party.ledger {
            script.ledger(side, tree, dossier, files);
        }
    }
    for (folder, tree) in dossier.registries() {
        script.registry(folder, tree, dossier);
        script.witnesses(folder, tree, dossier);
    }
    if !dossier.openings.is_empty() {
        script.openings(dossier);
    }
    for (side, party) in [
        ("consumer", &dossier.consumer),
        ("provider", &dossier.provider),
    ] {
        if let Some(tree) = &party.ledger {
            script.stamps(side, tree);
        }
    }
}

// === impl Script ===

impl Script {
    fn container(&mut self, files: &Files, sealed_at: Timestamp) {
        self.step(
            "The manifest names every file with its SHA-256.",
            "Le manifeste nomme chaque fichier avec son SHA-256.",
        );
        let quoted = |text: &str| -> String {
            let lines = text.lines().map(|line| format!(" '{line}'"));
            lines.collect()
        };
        let mut names: Vec<&str> = files.keys().map(String::as_str).chain([NAME]).collect();
        names.sort_unstable();
        let lines: String = names.iter().map(|name| format!(" {name}")).collect();
        let (head, tail) = (quoted(HEAD), quoted(TAIL));
        let command = format!(
            "{{ printf '%s\\n'{head}; for f in{lines}; do d $f; done; printf '%s\\n'{tail}; }} | \
             cmp - {MANIFEST} && echo same"
        );
        self.run(&command, SAME);
        self.step(
            "The member whose certificate is seal.pem sealed the manifest.",
            "Le membre dont le certificat est seal.pem a scellé le manifeste.",
        );
        let at = sealed_at.as_millis() / 1000;
        let command = format!(
            "openssl cms -verify -cades -binary -inform DER -in {SEAL} -content {MANIFEST} -CAfile \
             ev/seal.pem -purpose any -attime {at} -out /dev/null 2>&1"
        );
        self.run(&command, "CAdES Verification successful");
    }

    fn statement(&mut self, name: &str, signed: &SignedStatement, party: &Party, side: &str) {
        let said = signed.statement();
        let (en, fr) = match name {
            "request" => ("request", "de la demande"),
            _ => ("answer", "de la réponse"),
        };
        if let Some(session) = &party.session {
            self.session(side, session, said);
        }
        self.step(
            &format!("The session's key signed the statement of the {en}; it names these parties."),
            &format!("La clé de la session a signé la déclaration {fr}; elle nomme ces parties."),
        );
        let file = format!("ev/{name}");
        self.run(
            &format!(
                "openssl pkeyutl -verify -pubin -inkey ev/{side}/session-key.pem -rawin -in \
                 {file}.sigstruct -sigfile {file}.sig"
            ),
            "Signature Verified Successfully",
        );
        let statement = signed.statement_bytes();
        let sigstruct = signed.signed_bytes();
        let into = format!("{file}.sigstruct");
        match (signed.form(), batch_proof(signed)) {
            (Form::Batch, Some(proof)) => {
                let steps = steps(&proof);
                let root = proof.root(&leaf_hash(statement));
                if let Ok(root) = root {
                    let command = format!("leaf {file}.statement{steps}");
                    self.stands(&command, root.as_bytes(), &sigstruct, &into);
                }
            }
            _ => self.stands(
                &format!("cat {file}.statement"),
                statement,
                &sigstruct,
                &into,
            ),
        }
        let (bytes, cose) = (signed.bytes(), format!("{file}.cose"));
        self.stands(&format!("cat {file}.statement"), statement, bytes, &cose);
        let signature = &bytes[bytes.len() - crate::dossier::SIGNATURE..];
        self.stands(&format!("cat {file}.sig"), signature, bytes, &cose);
        let whole = format!("{file}.statement");
        for text in [
            said.sender.as_str(),
            said.receiver.as_str(),
            said.method.as_str(),
            said.purpose.as_str(),
            said.sender_server.as_str(),
            said.receiver_server.as_str(),
        ] {
            self.stands(
                &format!("printf %s '{text}'"),
                text.as_bytes(),
                statement,
                &whole,
            );
        }
        let agreement = BASE64.encode(said.agreement.as_bytes());
        self.stands(
            &format!("b {agreement}"),
            said.agreement.as_bytes(),
            statement,
            &whole,
        );
    }

    fn session(&mut self, side: &str, session: &Session, said: &Statement) {
        self.step(
            &format!("The {side}'s server certified the session's key."),
            &format!("Le serveur ({side}) a certifié la clé de la session."),
        );
        let file = format!("ev/{side}/session.pem");
        self.run(
            &format!(
                "openssl x509 -in {file} -noout -pubkey | cmp - ev/{side}/session-key.pem && echo same"
            ),
            SAME,
        );
        if let Some((signed, signature)) = places(&session.certificate) {
            let command = format!(
                "openssl asn1parse -in {file} -strparse {signed} -noout -out session.tbs && openssl \
                 asn1parse -in {file} -strparse {signature} -noout -out session.sgn && openssl dgst \
                 -sha256 -verify ev/{side}/server-key.pem -signature session.sgn session.tbs"
            );
            self.run(&command, "Verified OK");
        }
        let (server, mode) = (said.sender_server.as_str(), said.mode.as_str());
        self.run(
            &format!("openssl x509 -in {file} -noout -ext subjectAltName | tail -n 1"),
            &format!("    URI:entente:server:{server}, URI:entente:mode:{mode}"),
        );
        if session.chain.is_some() {
            let at = said.issued_at.as_millis() / 1000;
            self.run(
                &format!(
                    "openssl verify -x509_strict -attime {at} -CAfile ev/{side}/member.pem -untrusted \
                     ev/{side}/server.pem {file}"
                ),
                &format!("{file}: OK"),
            );
            self.run(
                &format!(
                    "openssl x509 -in ev/{side}/server.pem -noout -pubkey | cmp - \
                     ev/{side}/server-key.pem && echo same"
                ),
                SAME,
            );
        }
    }

    fn answer(&mut self, dossier: &Dossier, answer: &SignedStatement) {
        self.step(
            "The answer is to this request, and promises its entry in the provider's ledger.",
            "La réponse est à cette demande, et promet son entrée au journal du fournisseur.",
        );
        let statement = answer.statement_bytes();
        let (hash, file) = (dossier.request.hash(), "ev/answer.statement");
        self.stands("h < ev/request.statement", hash.as_bytes(), statement, file);
        let receipt = answer.statement().receipt();
        let tree = dossier.provider.ledger.as_ref();
        if let (Some(receipt), Some(tree)) = (receipt, tree)
            && tree.entries.contains_key(&receipt.index)
        {
            let command = format!("leaf ev/provider/entry-{}.bin", receipt.index);
            self.stands(&command, receipt.leaf_hash.as_bytes(), statement, file);
        }
    }

    fn openings(&mut self, dossier: &Dossier) {
        self.step(
            "The disclosed values are those that the statements commit to.",
            "Les valeurs communiquées sont celles que les déclarations engagent.",
        );
        for disclosed in &dossier.openings {
            let of = match (disclosed.is_of_answer, &dossier.answer) {
                (true, Some(answer)) => ("answer", answer),
                (true, None) => continue,
                (false, _) => ("request", &dossier.request),
            };
            self.opening(disclosed, of);
        }
    }

    fn opening(&mut self, disclosed: &Disclosed, (of, signed): (&str, &SignedStatement)) {
        let name = disclosed.name();
        let field = disclosed.opening.field().number();
        let command = format!(
            "{{ printf 'entente/commit/v1\\000\\{field:03o}'; cat ev/{name}.salt ev/{name}.bin; }} | h"
        );
        let commitment = disclosed.opening.commitment();
        let whole = signed.statement_bytes();
        self.stands(
            &command,
            commitment.as_bytes(),
            whole,
            &format!("ev/{of}.statement"),
        );
    }
}

/// The place of a statement in the tree whose root was signed, in the batch form.
fn batch_proof(signed: &SignedStatement) -> Option<InclusionProof> {
    let mut reader = Reader::new(signed.bytes());
    if signed.form() != Form::Batch || reader.array().ok()? != 2 {
        return None;
    }
    reader.bytes().ok()?;
    let receipt = Sign1::parse(reader.bytes().ok()?).ok()?;
    let mut reader = Reader::new(receipt.inclusion_proof()?);
    reader.array().ok()?;
    let (size, index) = (reader.uint().ok()?, reader.uint().ok()?);
    let mut path = Vec::new();
    for _ in 0..reader.array().ok()? {
        path.push(Digest::from_bytes(reader.bytes_exact().ok()?));
    }
    Some(InclusionProof { index, size, path })
}

/// Where in a certificate its signed part and its signature begin.
fn places(certificate: &[u8]) -> Option<(usize, usize)> {
    use x509_parser::prelude::FromDer as _;
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    let signed = find(certificate, parsed.tbs_certificate.as_ref())?;
    // A BIT STRING ends the certificate: its head, a count of unused bits, and the signature.
    let signature = &parsed.signature_value.data;
    Some((signed, certificate.len() - signature.len() - 3))
}
