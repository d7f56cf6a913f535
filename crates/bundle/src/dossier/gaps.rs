//! What a dossier does not show, whoever reads it; and the words for that.

use entente_directory::RegistryEntry;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::Kind;
use entente_identity::MemberId;
use entente_ledger::SignedCheckpoint;
use entente_ledger::entry::{Body, Entry};
use std::sync::Arc;

use entente_clock::Timestamp;
use entente_signing::VerifyingKey;

use super::report::Gap;
use super::{Dossier, Tree};
use crate::dossier::{binds, binds_member};

// === impl Dossier ===

impl Dossier {
    /// What is not shown, sealed at that time. What depends on whom the reader believes comes on top.
    pub(crate) fn gaps(&self, sealed_at: Timestamp) -> Vec<Gap> {
        let mut gaps = Vec::new();
        if self.answer.is_none() {
            gaps.push(Gap::Answer);
        }
        for (side, party) in [("consumer", &self.consumer), ("provider", &self.provider)] {
            let server = || self.server(side).clone();
            let Some(tree) = &party.ledger else {
                gaps.push(Gap::Ledger { server: server() });
                continue;
            };
            let (mut logged, mut missing) = (Vec::new(), Vec::new());
            for signed in [Some(&self.request), self.answer.as_ref()]
                .into_iter()
                .flatten()
            {
                match tree.index_of(signed) {
                    Some(index) => logged.push(index),
                    None => missing.push(signed.statement().kind()),
                }
            }
            gaps.extend(missing.into_iter().map(|kind| Gap::NotLogged {
                server: server(),
                kind,
            }));
            let stamped = |index: &u64| tree.stamps.values().any(|s| s.paths.contains_key(index));
            logged.retain(|index| !stamped(index));
            if !logged.is_empty() {
                gaps.push(Gap::Time {
                    origin: tree.key.name().to_owned(),
                    entries: logged,
                });
            }
            if self.witnessed(tree, sealed_at).is_none() {
                gaps.push(Gap::Witnesses { server: server() });
            }
        }
        for (server, key) in self.keys() {
            let gap = Gap::NotBound {
                server: server.clone(),
            };
            let is_bound = self.holds_change(|change| binds(change, &server, &key));
            if !is_bound && !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
        for (member, key) in self.member_keys() {
            let gap = Gap::MemberNotBound { member };
            let Gap::MemberNotBound { member } = &gap else {
                continue;
            };
            if !self.is_members(member, &key) && !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
        gaps.push(Gap::InForce);
        gaps
    }

    /// Whether the registry's ledger, as far as it is here, says that this is a member's key.
    pub(super) fn is_members(&self, member: &MemberId, key: &VerifyingKey) -> bool {
        self.holds_change(|change| binds_member(change, member, key))
    }

    /// The keys of members that seal, or stand above sessions.
    pub(super) fn member_keys(&self) -> Vec<(MemberId, VerifyingKey)> {
        let sessions = [&self.consumer, &self.provider].map(|party| party.session.as_ref());
        let chains = sessions.into_iter().flatten().map(|s| s.chain.as_ref());
        let above = chains.flatten().map(|chain| chain.member());
        let all = std::iter::once(&self.sealer).chain(above);
        all.map(|one| (one.member().clone(), one.key().clone()))
            .collect()
    }

    fn holds_change(&self, is_it: impl Fn(&entente_directory::Change) -> bool) -> bool {
        let entries = self.registry.iter().flat_map(|tree| tree.entries.values());
        let mut parsed = entries.filter_map(|entry| RegistryEntry::parse(&entry.bytes).ok());
        parsed.any(|entry| is_it(entry.change.change()))
    }

    /// When a quorum of the policy's witnesses had cosigned a ledger's checkpoint, before this was sealed.
    pub(super) fn witnessed(&self, tree: &Tree, sealed_at: Timestamp) -> Option<(u64, Timestamp)> {
        let named = self.witnesses()?;
        let checkpoint = SignedCheckpoint::verify(tree.checkpoint.as_bytes(), &tree.key);
        let judged = named.policy.judge(&Arc::new(checkpoint.ok()?), sealed_at)?;
        Some((judged.checkpoint().size(), judged.at()?))
    }
}

// === impl Tree ===

impl Tree {
    /// Where a statement is logged.
    pub(super) fn index_of(&self, signed: &SignedStatement) -> Option<u64> {
        let mut entries = self.entries.iter();
        let found = entries.find(|(_, entry)| {
            let body = Entry::decode(&entry.bytes).map(|entry| entry.body);
            match &body {
                Ok(Body::In(body)) => body.statement == *signed.bytes(),
                Ok(Body::Out(body)) => body.statement == *signed.bytes(),
                _ => false,
            }
        });
        found.map(|(index, _)| *index)
    }
}

// === impl Gap ===

impl Gap {
    /// Whether somebody else than those named could have made what this is about.
    pub const fn is_about_keys(&self) -> bool {
        matches!(
            self,
            Self::MemberNotBound { .. } | Self::NotBound { .. } | Self::Registry { .. }
        )
    }

    /// In English and in French.
    pub fn words(&self) -> [String; 2] {
        let both = |en: &str, fr: &str| [en.to_owned(), fr.to_owned()];
        match self {
            Self::Answer => both(
                "how it ended: there is no answer in it",
                "comment cela finit : il ne contient aucune réponse",
            ),
            Self::Authority => both(
                "the time: the authority of its time stamps was not checked, --timestamp-roots",
                "l’heure : l’autorité de ses horodatages n’a pas été vérifiée, --timestamp-roots",
            ),
            Self::InForce => both(
                "that no key or session had been revoked then, and the policy was in force: the registry’s \
                 ledger says so",
                "qu’aucune clé ni session n’était révoquée alors, et que la politique était en vigueur : le \
                 journal du registre le dit",
            ),
            Self::Instructions => both(
                "VERIFY.txt: it is not what this version writes, so read its commands before running any",
                "VERIFY.txt : il n’est pas celui qu’écrit cette version, donc lire ses commandes avant d’en \
                 exécuter",
            ),
            Self::Ledger { server } => [
                format!("what the ledger of {server} holds: it was not given"),
                format!("ce que contient le journal de {server} : il n’a pas été fourni"),
            ],
            Self::MemberNotBound { member } => [
                format!(
                    "that a certificate is that of {member}: no registry entry in it binds its key"
                ),
                format!(
                    "qu’un certificat est celui de {member} : aucune entrée du registre n’en lie la clé"
                ),
            ],
            Self::NotBound { server } => [
                format!("whose the keys of {server} are: no registry entry in it says so"),
                format!("à qui sont les clés de {server} : aucune entrée du registre n’y figure"),
            ],
            Self::NotLogged { server, kind } => {
                let [en, fr] = kind_words(*kind);
                [
                    format!("that {server} logged the {en}"),
                    format!("que {server} a consigné : {fr}"),
                ]
            }
            Self::Registry { key } => [
                format!("whose registry it is: compare its key with the one you know, {key}"),
                format!(
                    "à qui est ce registre : comparez sa clé à celle que vous connaissez, {key}"
                ),
            ],
            Self::Stamp { origin, size } => [
                format!(
                    "the time stamp over {size} entries of {origin}: by no authority that counts, or damaged"
                ),
                format!(
                    "l’horodatage sur {size} entrées de {origin} : d’aucune autorité reconnue, ou abîmé"
                ),
            ],
            Self::Time { origin, entries } => {
                let entries: Vec<_> = entries.iter().map(u64::to_string).collect();
                let entries = entries.join(", ");
                [
                    format!("the time of entries {entries} of {origin}: no authority stamped them"),
                    format!(
                        "l’heure des entrées {entries} de {origin} : aucune autorité ne les a horodatées"
                    ),
                ]
            }
            Self::Witnesses { server } => [
                format!(
                    "that {server} showed nobody another ledger: no quorum of the policy’s witnesses \
                     cosigned this one"
                ),
                format!(
                    "que {server} n’a montré à personne un autre journal : aucun quorum des témoins de la \
                     politique n’a cosigné celui-ci"
                ),
            ],
        }
    }
}

const fn kind_words(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Request => ["request", "demande"],
        Kind::Response => ["answer", "réponse"],
        Kind::Fault => ["fault", "échec"],
        Kind::Close => ["end of stream", "fin de flux"],
        Kind::Progress => ["progress", "progression"],
    }
}
