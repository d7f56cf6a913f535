//! The commands, step by step.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use entente_clock::Timestamp;
use entente_directory::RegistryEntry;
use entente_evidence::proof::{Form, SignedStatement};
use entente_evidence::statement::Statement;
use entente_ledger::proof::InclusionProof;
use entente_ledger::tree::leaf_hash;
use entente_signing::cbor::Reader;
use entente_signing::cose::Sign1;
use entente_signing::{Digest, VerifyingKey};
use entente_timestamp::stated;

use super::{NAME, SAME, Script, find};
use crate::container::Files;
use crate::dossier::{Disclosed, Dossier, Party, Session, Tree, binds, binds_member};
use crate::manifest::{HEAD, MANIFEST, SEAL, TAIL};

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
    if let Some(tree) = &dossier.registry {
        script.registry(tree, dossier);
        script.witnesses(tree, dossier);
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

    fn ledger(&mut self, side: &str, tree: &Tree, dossier: &Dossier, files: &Files) {
        self.step(
            &format!("The {side}'s ledger signed a checkpoint over the entries of this exchange."),
            &format!(
                "Le journal ({side}) a signé un point de contrôle sur les entrées de cet échange."
            ),
        );
        self.tree(side, tree);
        let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
        for name in ["request", "answer"] {
            let file = format!("ev/{name}.cose");
            if let Some(bytes) = files.get(&file) {
                parts.push((format!("cat {file}"), bytes.to_vec()));
            }
        }
        for (of, party) in [
            ("consumer", &dossier.consumer),
            ("provider", &dossier.provider),
        ] {
            if let Some(session) = &party.session {
                let command = format!("openssl x509 -in ev/{of}/session.pem -outform DER");
                parts.push((command, session.certificate.to_vec()));
            }
        }
        for (index, entry) in &tree.entries {
            for (command, bytes) in &parts {
                self.stands(
                    command,
                    bytes,
                    &entry.bytes,
                    &format!("ev/{side}/entry-{index}.bin"),
                );
            }
        }
    }

    /// The checkpoint's signature, and that every entry is under it.
    fn tree(&mut self, side: &str, tree: &Tree) {
        let folder = format!("ev/{side}");
        self.run(
            &format!(
                "openssl pkeyutl -verify -pubin -inkey {folder}/ledger-key.pem -rawin -in \
                 {folder}/checkpoint.text -sigfile {folder}/checkpoint.sig"
            ),
            "Signature Verified Successfully",
        );
        let Some((size, root)) = size_and_root(&tree.checkpoint) else {
            return;
        };
        let origin = tree.key.name();
        let text = format!("{origin}\n{size}\n{root}\n");
        let command = format!("cat {folder}/checkpoint.text");
        self.stands(
            &command,
            text.as_bytes(),
            tree.checkpoint.as_bytes(),
            &format!("{folder}/checkpoint"),
        );
        for (index, entry) in &tree.entries {
            let proof = InclusionProof {
                index: *index,
                size,
                path: entry.path.clone(),
            };
            self.root_of(
                &format!("{folder}/entry-{index}.bin"),
                &proof,
                origin,
                &format!("{folder}/checkpoint.text"),
            );
        }
    }

    /// That the way up from an entry gives the root in a text of three lines.
    fn root_of(&mut self, entry: &str, proof: &InclusionProof, origin: &str, text: &str) {
        let (size, steps) = (proof.size, steps(proof));
        let command = format!(
            "{{ printf '%s\\n' '{origin}' {size}; leaf {entry}{steps} | openssl base64; }} | cmp - {text} \
             && echo same"
        );
        self.run(&command, SAME);
    }

    fn registry(&mut self, tree: &Tree, dossier: &Dossier) {
        self.step(
            "The registry's ledger holds the changes that bind these keys to their owners.",
            "Le journal du registre contient les modifications qui lient ces clés à leurs titulaires.",
        );
        self.tree("registry", tree);
        let mut keys: Vec<(String, &VerifyingKey, &str)> = Vec::new();
        let parties = [
            ("consumer", &dossier.consumer),
            ("provider", &dossier.provider),
        ];
        let request = dossier.request.statement();
        for (index, entry) in &tree.entries {
            let file = format!("ev/registry/entry-{index}.bin");
            let Ok(parsed) = RegistryEntry::parse(&entry.bytes) else {
                continue;
            };
            keys.clear();
            let change = parsed.change.change();
            for (side, party) in parties {
                let server = match side {
                    "consumer" => &request.sender_server,
                    _ => &request.receiver_server,
                };
                let server_key = party
                    .session
                    .as_ref()
                    .map(|s| ("server-key", &s.server_key));
                let ledger = party
                    .ledger
                    .as_ref()
                    .map(|tree| ("ledger-key", tree.key.key()));
                for (name, key) in [server_key, ledger].into_iter().flatten() {
                    if binds(change, server, key) {
                        let spki =
                            format!("openssl pkey -pubin -in ev/{side}/{name}.pem -outform DER");
                        keys.push((spki, key, server.as_str()));
                    }
                }
            }
            let sealer = &dossier.sealer;
            if binds_member(change, sealer.member(), sealer.key()) {
                let spki = "openssl x509 -in ev/seal.pem -noout -pubkey | openssl pkey -pubin -outform DER";
                keys.push((spki.to_owned(), sealer.key(), sealer.member().as_str()));
            }
            for (command, key, owner) in &keys {
                self.stands(command, key.spki_der(), &entry.bytes, &file);
                let name = format!("printf %s '{owner}'");
                self.stands(&name, owner.as_bytes(), &entry.bytes, &file);
            }
        }
    }

    /// The policy in the registry's ledger, and the cosignatures by its witnesses.
    fn witnesses(&mut self, registry: &Tree, dossier: &Dossier) {
        let Some(named) = dossier.witnesses() else {
            return;
        };
        let (index, policy) = (named.index, named.policy.to_string());
        let Some(entry) = registry.entries.get(&index) else {
            return;
        };
        self.step(
            "The registry's policy names witnesses, and in its last line how many must cosign. Those below \
             cosigned the ledgers' checkpoints.",
            "La politique du registre nomme des témoins et, à sa dernière ligne, combien doivent cosigner. \
             Ceux-ci ont cosigné les points de contrôle des journaux.",
        );
        let file = format!("ev/registry/entry-{index}.bin");
        self.stands(
            "cat ev/registry/policy",
            policy.as_bytes(),
            &entry.bytes,
            &file,
        );
        for (side, party) in [
            ("consumer", &dossier.consumer),
            ("provider", &dossier.provider),
        ] {
            for (n, cosignature) in (1..).zip(party.cosignatures(&named)) {
                let file = format!("ev/{side}/witness-{n}");
                let seconds = cosignature.seconds;
                self.run(
                    &format!(
                        "{{ printf 'cosignature/v1\\ntime {seconds}\\n'; cat ev/{side}/checkpoint.text; }} | \
                         cmp - {file}.text && echo same"
                    ),
                    SAME,
                );
                self.run(
                    &format!(
                        "openssl pkeyutl -verify -pubin -inkey {file}.pem -rawin -in {file}.text \
                         -sigfile {file}.sig"
                    ),
                    "Signature Verified Successfully",
                );
                // As a `vkey` ends: the kind of signature, and the last 32 bytes of the key's DER.
                let spki = cosignature.key.key().spki_der();
                let raw = &spki[spki.len().saturating_sub(32)..];
                let key = BASE64.encode([&[COSIGNATURE][..], raw].concat());
                let command = format!(
                    "{{ printf '\\004'; openssl pkey -pubin -in {file}.pem -outform DER | tail -c 32; }} | \
                     openssl base64 -A"
                );
                let whole = "ev/registry/policy";
                self.stands(&command, key.as_bytes(), policy.as_bytes(), whole);
            }
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

    fn stamps(&mut self, side: &str, tree: &Tree) {
        if tree.stamps.is_empty() {
            return;
        }
        self.step(
            &format!(
                "An authority stamped the {side}'s ledger when the entries were in it. Put its root \
                 certificate, which you have from elsewhere, into tsa-root.pem first."
            ),
            &format!(
                "Une autorité a horodaté le journal ({side}) quand il contenait les entrées. Mettre \
                 d'abord son certificat racine, obtenu par ailleurs, dans tsa-root.pem."
            ),
        );
        for (size, stamp) in &tree.stamps {
            let file = format!("ev/{side}/stamp-{size}");
            let imprint = Digest::of(tree.stamped_text(*size, stamp).as_bytes());
            // Its certificate is judged at the time it states: bundles outlive certificates.
            let at = stated(&stamp.token, imprint).unwrap_or_default();
            let at = at.as_millis() / 1000;
            self.run(
                &format!(
                    "openssl ts -verify -attime {at} -token_in -in {file}.tst -data {file}.text -CAfile \
                     tsa-root.pem 2>&1 | tail -n 1"
                ),
                "Verification: OK",
            );
            for (index, path) in &stamp.paths {
                let proof = InclusionProof {
                    index: *index,
                    size: *size,
                    path: path.clone(),
                };
                let entry = format!("ev/{side}/entry-{index}.bin");
                self.root_of(&entry, &proof, tree.key.name(), &format!("{file}.text"));
            }
        }
    }
}

/// The way up from a leaf, as commands: as `InclusionProof::root` goes it.
fn steps(proof: &InclusionProof) -> String {
    let (mut node, mut last) = (proof.index, proof.size.saturating_sub(1));
    let mut out = String::new();
    for sibling in &proof.path {
        let sibling = BASE64.encode(sibling.as_bytes());
        if node & 1 == 1 || node == last {
            out += &format!(" | l {sibling}");
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            out += &format!(" | r {sibling}");
        }
        node >>= 1;
        last >>= 1;
    }
    out
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

/// The kind of signature in a witness's `vkey`: `cosignature/v1` with Ed25519.
const COSIGNATURE: u8 = 4;

/// Size and root of a checkpoint: its second and third line.
fn size_and_root(checkpoint: &str) -> Option<(u64, &str)> {
    let mut lines = checkpoint.lines().skip(1);
    let (size, root) = (lines.next()?, lines.next()?);
    Some((size.parse().ok()?, root))
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
