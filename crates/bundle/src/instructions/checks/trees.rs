//! The commands about ledgers: what is under a checkpoint, whose it is, and who saw it when.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use entente_directory::{Change, RegistryEntry};
use entente_identity::Jurisdiction;
use entente_ledger::entry::{Body, Entry};
use entente_ledger::proof::InclusionProof;
use entente_signing::{Digest, VerifyingKey};
use entente_timestamp::stated;

use super::super::{SAME, Script};
use crate::container::Files;
use crate::dossier::{Dossier, REGISTRY, Tree, binds, binds_member, recognises};

// === impl Script ===

impl Script {
    pub(super) fn ledger(&mut self, side: &str, tree: &Tree, dossier: &Dossier, files: &Files) {
        self.step(
            &format!("The {side}'s ledger signed a checkpoint over the entries of this exchange."),
            &format!(
                "Le journal ({side}) a signé un point de contrôle sur les entrées de cet échange."
            ),
        );
        if tree.entries.values().any(|entry| entry.receipt.is_some()) {
            self.text += "(Files *.receipt.cose say the same, for programs that read COSE receipts, RFC 9942.)\n\
                          (Les fichiers *.receipt.cose disent la même chose, pour qui lit les reçus COSE, RFC 9942.)\n";
        }
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
            let file = format!("ev/{side}/entry-{index}.bin");
            for (command, bytes) in &parts {
                self.stands(command, bytes, &entry.bytes, &file);
            }
            self.came_to_nothing(*index, &entry.bytes, dossier, &file);
        }
    }

    /// Of an entry that refuses a statement its reason; of one that says that no answer came, to what.
    fn came_to_nothing(&mut self, index: u64, entry: &Bytes, dossier: &Dossier, file: &str) {
        match Entry::decode(entry).map(|entry| entry.body) {
            // It stands in a command that somebody is asked to run: what was decoded has capitals, digits
            // and underscores alone.
            Ok(Body::Denied(denied)) => {
                self.text += &format!(
                    "(Entry {index} refuses the statement in it, for this reason.)\n\
                     (L’entrée {index} refuse la déclaration qu’elle contient, pour ce motif.)\n"
                );
                let command = format!("printf %s {}", denied.reason);
                self.stands(&command, denied.reason.as_bytes(), entry, file);
            }
            Ok(Body::Outcome(_)) => {
                self.text += &format!(
                    "(Entry {index} says that no answer that could be used came to the request.)\n\
                     (L’entrée {index} dit qu’aucune réponse utilisable n’est venue à la demande.)\n"
                );
                let hash = dossier.request.hash();
                self.stands("h < ev/request.statement", hash.as_bytes(), entry, file);
            }
            _ => {}
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

    pub(super) fn registry(&mut self, folder: &str, tree: &Tree, dossier: &Dossier) {
        match folder {
            REGISTRY => self.step(
                "The registry's ledger holds the changes that bind these keys to their owners.",
                "Le journal du registre contient les modifications qui lient ces clés à leurs titulaires.",
            ),
            _ => self.step(
                "So does that of the other party's registry, for its own names.",
                "Celui du registre de l’autre partie aussi, pour ses propres noms.",
            ),
        }
        self.tree(folder, tree);
        let parties = [
            ("consumer", &dossier.consumer),
            ("provider", &dossier.provider),
        ];
        let request = dossier.request.statement();
        for (index, entry) in &tree.entries {
            let file = format!("ev/{folder}/entry-{index}.bin");
            let Ok(parsed) = RegistryEntry::parse(&entry.bytes) else {
                continue;
            };
            let change = parsed.change.change();
            let mut keys: Vec<(String, &VerifyingKey, &str)> = Vec::new();
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
                    if tree.speaks_for(&server.jurisdiction()) && binds(change, server, key) {
                        let spki =
                            format!("openssl pkey -pubin -in ev/{side}/{name}.pem -outform DER");
                        keys.push((spki, key, server.as_str()));
                    }
                }
            }
            let sealer = &dossier.sealer;
            if tree.speaks_for(&sealer.member().jurisdiction())
                && binds_member(change, sealer.member(), sealer.key())
            {
                let spki = "openssl x509 -in ev/seal.pem -noout -pubkey | openssl pkey -pubin -outform DER";
                keys.push((spki.to_owned(), sealer.key(), sealer.member().as_str()));
            }
            // The key by which one registry recognises the other is the other's here.
            if let Some((other, of)) = recognised(tree, change, dossier) {
                let spki =
                    format!("openssl pkey -pubin -in ev/{other}/ledger-key.pem -outform DER");
                keys.push((spki, of.0, of.1.as_str()));
            }
            for (command, key, owner) in &keys {
                self.stands(command, key.spki_der(), &entry.bytes, &file);
                let name = format!("printf %s '{owner}'");
                self.stands(&name, owner.as_bytes(), &entry.bytes, &file);
            }
        }
    }

    /// The policy in the registry's ledger, and the cosignatures by its witnesses.
    pub(super) fn witnesses(&mut self, folder: &str, registry: &Tree, dossier: &Dossier) {
        let Some(named) = registry.witnesses() else {
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
        let file = format!("ev/{folder}/entry-{index}.bin");
        self.stands(
            &format!("cat ev/{folder}/policy"),
            policy.as_bytes(),
            &entry.bytes,
            &file,
        );
        for (side, party) in [
            ("consumer", &dossier.consumer),
            ("provider", &dossier.provider),
        ] {
            if !registry.speaks_for(&dossier.server(side).jurisdiction()) {
                continue;
            }
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
                let whole = format!("ev/{folder}/policy");
                self.stands(&command, key.as_bytes(), policy.as_bytes(), &whole);
            }
        }
    }

    pub(super) fn stamps(&mut self, side: &str, tree: &Tree) {
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

/// Of a change that recognises the other registry in a dossier, the other's folder, key and jurisdiction.
fn recognised<'a>(
    registry: &Tree,
    change: &'a Change,
    dossier: &'a Dossier,
) -> Option<(&'static str, (&'a VerifyingKey, &'a Jurisdiction))> {
    let mut others = dossier
        .registries()
        .filter(|(_, tree)| tree.key != registry.key);
    let (folder, other) = others.next()?;
    let jurisdiction = recognises(change, &other.key)?;
    Some((folder, (other.key.key(), jurisdiction)))
}

/// The way up from a leaf, as commands: as `InclusionProof::root` goes it.
pub(super) fn steps(proof: &InclusionProof) -> String {
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

/// Size and root of a checkpoint: its second and third line.
fn size_and_root(checkpoint: &str) -> Option<(u64, &str)> {
    let mut lines = checkpoint.lines().skip(1);
    let (size, root) = (lines.next()?, lines.next()?);
    Some((size.parse().ok()?, root))
}

/// The kind of signature in a witness's `vkey`: `cosignature/v1` with Ed25519.
const COSIGNATURE: u8 = 4;
