//! What is not shown, in words: for VERIFY.txt, and for whoever has our verifier.

use entente_evidence::statement::Kind;

use super::report::Gap;

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
            Self::Recognition => both(
                "that the two registries recognised each other then: their ledgers say so",
                "que les deux registres se reconnaissaient alors : leurs journaux le disent",
            ),
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
