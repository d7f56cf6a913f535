//! The keys: there, usable, and in force in the registry.

use std::path::PathBuf;

use entente_central_registry::{self as registry_role, LedgerKeys};
use entente_clock::Timestamp;
use entente_directory::{Dated, ServerRecord};
use entente_evidence::seal::{SealKeyPair, Suite};
use entente_identity::ServerId;
use entente_keys::{Chain, HsmKey, KeyStore, KeyStoreError, KeyUse, SessionCertificate};
use entente_security_server::Config as ServerConfig;
use entente_security_server::enrol::numbers;
use entente_signing::VerifyingKey;

use super::finding::{Finding, Group, Remedy, Said};
use super::ledger;
use super::registry::Registry;
use super::site::{Role, Site};
use crate::exit::{Exit, Failure};
use crate::texts::Text;

/// One key the role needs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    check: &'static str,
    /// Its file, or the token's label.
    file: String,
    folder: PathBuf,
    held: Held,
    known: Known,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Missing,
    /// By how it is shown.
    There(String),
    Unusable(String),
}

/// What the registry, or the anchor, has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It was replaced or revoked.
    Ended(Timestamp),
    InForce,
    /// Nobody can say.
    Unasked,
    /// It is another.
    Unlisted,
}

pub(super) async fn check(site: &Site, registry: &Registry) -> Vec<Finding> {
    let now = site.seams.clock.now();
    match &site.role {
        Role::Adapter(_) => Vec::new(),
        Role::Registry(config) => match KeyStore::existing(config.keys.as_path()) {
            Ok(store) => of_registry(site, registry, config, &store)
                .iter()
                .map(judge)
                .collect(),
            Err(error) => vec![no_folder(config.keys.as_path().display(), &error)],
        },
        Role::Server(config) => {
            let store = match KeyStore::existing(config.keys.as_path()) {
                Ok(store) => store,
                Err(error) => return vec![no_folder(config.keys.as_path().display(), &error)],
            };
            let state = registry.view.as_ref().map(|view| &view.state);
            let record = state.map(|state| state.server(&config.server));
            if matches!(record, Some(None)) {
                return vec![not_registered(&config.server, site)];
            }
            let record = record.flatten();
            let keys = of_server(config, &store, record).await;
            let mut findings: Vec<Finding> = keys.iter().map(judge).collect();
            findings.extend(chain(config, &store));
            findings.extend(state.and_then(|state| {
                let session = newest_session(config, record?)?;
                let is_revoked = state.session_revoked(&config.server, session.issued_at);
                Some(session_stands(&session, is_revoked, now, site.runs))
            }));
            findings
        }
    }
}

fn no_folder(folder: impl std::fmt::Display, error: &KeyStoreError) -> Finding {
    let (found, remedy) = match error {
        KeyStoreError::NotPrivate { path } => (
            Said::of(Text::DoctorKeysOpen).with("folder", path.display()),
            Remedy::run(format!("chmod 0700 {}", path.display())),
        ),
        error => (
            Said::of(Text::DoctorKeysUnread)
                .with("folder", &folder)
                .with("why", words(error)),
            Said::of(Text::DoctorKeyMissingDo)
                .with("folder", &folder)
                .into(),
        ),
    };
    Finding::fail(GROUP, "keys.folder", Exit::Failed, found, remedy)
}

fn not_registered(server: &ServerId, site: &Site) -> Finding {
    let found = Said::of(Text::DoctorServerUnknown).with("server", server);
    let file = site.file.display();
    let remedy = Remedy::run(format!("entente server register --server-config {file}"));
    Finding::fail(GROUP, "keys.server", Exit::Refused, found, remedy)
}

/// The keys of a registry, against its own anchor.
fn of_registry(
    site: &Site,
    registry: &Registry,
    config: &registry_role::Config,
    store: &KeyStore,
) -> Vec<Key> {
    let anchor = site.anchor.as_ref();
    let load = |check, key_use, label: &str, is_it: &dyn Fn(&VerifyingKey) -> bool| {
        let (held, key) = loaded(store, key_use, label);
        let known = match (anchor, &key) {
            (Some(_), Some(key)) if is_it(key) => Known::InForce,
            (Some(_), Some(_)) => Known::Unlisted,
            _ => Known::Unasked,
        };
        Key {
            check,
            file: format!("{key_use}.{label}.pem"),
            folder: store.folder().to_owned(),
            held,
            known,
        }
    };
    let shown = |key: &VerifyingKey| {
        anchor.is_some_and(|anchor| anchor.tls_keys.contains(&key.spki_digest()))
    };
    // The key in office, which may be another than the anchor's by now.
    let view = registry.view.as_deref();
    let office = view.and_then(|view| view.ledger_key());
    let office = office.or_else(|| anchor.map(|anchor| anchor.ledger.clone()));
    let signs = |key: &VerifyingKey| office.as_ref().is_some_and(|office| office.key() == key);
    let held = LedgerKeys::load(store).ok();
    let label = held.zip(office.as_ref());
    let label = label.and_then(|(held, office)| held.label_of(office.key()));
    let label = label.unwrap_or_else(|| registry_role::LEDGER_KEY.to_owned());
    let mut keys = vec![
        load("keys.tls", KeyUse::Tls, registry_role::TLS_KEY, &shown),
        load("keys.ledger", KeyUse::Ledger, &label, &signs),
        load(
            "keys.state",
            KeyUse::Registrar,
            registry_role::STATE_KEY,
            &|_| true,
        ),
    ];
    if config.witness.is_some() {
        let label = registry_role::WITNESS_KEY;
        keys.push(load("keys.witness", KeyUse::Witness, label, &|_| true));
    }
    keys
}

/// The keys of a security server, against its record in the directory.
async fn of_server(
    config: &ServerConfig,
    store: &KeyStore,
    record: Option<&ServerRecord>,
) -> Vec<Key> {
    let of = |check, key_use: KeyUse, list: Option<&[Dated<VerifyingKey>]>| {
        let label = label_in_use(store, key_use, |label| {
            let key = store.load(key_use, label).ok()?;
            Some(known(list?, |listed| listed == key.verifying_key()))
        });
        let (held, key) = loaded(store, key_use, &label);
        Key {
            check,
            file: format!("{key_use}.{label}.pem"),
            folder: store.folder().to_owned(),
            held,
            known: match (list, key) {
                (Some(list), Some(key)) => known(list, |listed| *listed == key),
                _ => Known::Unasked,
            },
        }
    };
    let keys = record.map(|record| &*record.keys);
    let server = match &config.server_key {
        None => of("keys.server", KeyUse::Server, keys),
        Some(uri) => {
            let asked = uri.clone();
            // A token may take its time; it is asked where it holds up nobody.
            let opened = tokio::task::spawn_blocking(move || HsmKey::open(&asked)).await;
            let (held, key) = match opened {
                Ok(Ok(key)) => {
                    let key = entente_signing::Signer::verifying_key(&key).clone();
                    (Held::There(key.key_id().to_string()), Some(key))
                }
                Ok(Err(error)) => (Held::Unusable(words(&error)), None),
                Err(error) => (Held::Unusable(error.to_string()), None),
            };
            Key {
                check: "keys.server",
                file: format!("{}:{}", uri.token(), uri.object()),
                folder: store.folder().to_owned(),
                held,
                known: match (keys, key) {
                    (Some(list), Some(key)) => known(list, |listed| *listed == key),
                    _ => Known::Unasked,
                },
            }
        }
    };
    vec![
        server,
        of("keys.tls", KeyUse::Tls, record.map(|record| &*record.tls)),
        hpke(store, record),
        of(
            "keys.ledger",
            KeyUse::Ledger,
            record.map(|record| &*record.ledger),
        ),
    ]
}

fn hpke(store: &KeyStore, record: Option<&ServerRecord>) -> Key {
    let pair = |label: &str| {
        let secret = store.load_secret(KeyUse::Hpke, label);
        secret.map(|secret| SealKeyPair::from_bytes(Suite::XWing, secret.expose()))
    };
    let label = label_in_use(store, KeyUse::Hpke, |label| {
        let pair = pair(label).ok()?.ok()?;
        Some(known(&record?.hpke, |listed| {
            listed.public == pair.public().as_bytes()
        }))
    });
    let pair = pair(&label);
    let (held, public) = match pair {
        Ok(Ok(pair)) => {
            let public = pair.public().as_bytes().to_vec();
            let shown = entente_signing::Digest::of(&public).to_string();
            (Held::There(shown[..16].to_owned()), Some(public))
        }
        Ok(Err(_)) => (Held::Unusable("X-Wing".to_owned()), None),
        Err(error) => (not_held(&error), None),
    };
    Key {
        check: "keys.hpke",
        file: format!("{}.{label}.secret", KeyUse::Hpke),
        folder: store.folder().to_owned(),
        held,
        known: match (record, public) {
            (Some(record), Some(public)) => known(&record.hpke, |listed| listed.public == public),
            _ => Known::Unasked,
        },
    }
}

/// The label of the newest key that is in force, as the server chooses; of the newest when none is.
fn label_in_use(
    store: &KeyStore,
    key_use: KeyUse,
    known: impl Fn(&str) -> Option<Known>,
) -> String {
    if !matches!(key_use, KeyUse::Tls | KeyUse::Hpke) {
        return LABEL.to_owned();
    }
    let numbers = numbers(store, key_use).unwrap_or_default();
    let labels: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let in_force = |label: &&String| known(label) == Some(Known::InForce);
    let label = labels.iter().rev().find(in_force).or_else(|| labels.last());
    label.map_or_else(|| LABEL.to_owned(), Clone::clone)
}

fn loaded(store: &KeyStore, key_use: KeyUse, label: &str) -> (Held, Option<VerifyingKey>) {
    match store.load(key_use, label) {
        Ok(signer) => {
            let key = signer.verifying_key().clone();
            (Held::There(key.key_id().to_string()), Some(key))
        }
        Err(error) => (not_held(&error), None),
    }
}

fn not_held(error: &KeyStoreError) -> Held {
    match error {
        KeyStoreError::Missing { .. } => Held::Missing,
        error => Held::Unusable(words(error)),
    }
}

fn known<T>(list: &[Dated<T>], is_it: impl Fn(&T) -> bool) -> Known {
    match list.iter().rev().find(|dated| is_it(&dated.value)) {
        None => Known::Unlisted,
        Some(Dated { until: None, .. }) => Known::InForce,
        Some(Dated {
            until: Some(until), ..
        }) => Known::Ended(*until),
    }
}

fn judge(key: &Key) -> Finding {
    let check = key.check;
    let said = |text| Said::of(text).with("key", &key.file);
    let replace = || Said::of(Text::DoctorKeyMissingDo).with("folder", key.folder.display());
    let shown = match &key.held {
        Held::Missing => {
            let found = said(Text::DoctorKeyMissing).with("folder", key.folder.display());
            return Finding::fail(GROUP, check, Exit::Failed, found, replace());
        }
        Held::Unusable(why) => {
            let found = said(Text::DoctorKeyUnusable).with("why", why);
            return Finding::fail(GROUP, check, Exit::Failed, found, replace());
        }
        Held::There(shown) => shown,
    };
    match key.known {
        Known::InForce => Finding::ok(GROUP, check, said(Text::DoctorKeySound).with("id", shown)),
        Known::Unasked => {
            let found = said(Text::DoctorKeyUnasked).with("id", shown);
            Finding::warn(GROUP, check, found, Text::DoctorClockAloneDo)
        }
        Known::Unlisted => {
            let found = said(Text::DoctorKeyUnlisted).with("id", shown);
            Finding::fail(GROUP, check, Exit::Refused, found, replace())
        }
        Known::Ended(at) => {
            let found = said(Text::DoctorKeyEnded).with("id", shown).with("at", at);
            Finding::fail(GROUP, check, Exit::Refused, found, replace())
        }
    }
}

/// What stands above the server's key for a court: not needed, but not another's.
fn chain(config: &ServerConfig, store: &KeyStore) -> Option<Finding> {
    let pem = store.certificates(KeyUse::Server, LABEL).ok()??;
    let fault = match Chain::from_pem(&pem) {
        Err(error) => words(&error),
        Ok(chain) if *chain.server() != config.server => chain.server().to_string(),
        Ok(chain) => {
            let key = match &config.server_key {
                // Its token was asked already.
                Some(_) => return None,
                None => loaded(store, KeyUse::Server, LABEL).1?,
            };
            if *chain.server_key() == key {
                return None;
            }
            chain.server_key().key_id().to_string()
        }
    };
    let path = store
        .folder()
        .join(format!("{}.{LABEL}.crt", KeyUse::Server));
    let found = Said::of(Text::DoctorChainOther)
        .with("path", path.display())
        .with("why", fault);
    let (server, out) = (&config.server, path.display());
    let remedy = Remedy::run(format!(
        "entente member certificate --server {server} --out {out}"
    ));
    Some(Finding::fail(
        GROUP,
        "keys.chain",
        Exit::Failed,
        found,
        remedy,
    ))
}

/// The session that the ledger has as this server's newest.
#[derive(Clone, Copy, Debug)]
struct Session {
    issued_at: Timestamp,
    not_after: Timestamp,
}

/// None when it is not among the newest entries, or was certified by a key nobody knows.
fn newest_session(config: &ServerConfig, record: &ServerRecord) -> Option<Session> {
    let ledgers = config.data.as_path().join("ledger");
    let (at, leaf) = ledger::newest_session(&ledgers, &config.server)?;
    let mut keys = record.keys.iter().rev();
    let session = keys.find_map(|key| SessionCertificate::verify(&leaf, &key.value, at).ok())?;
    Some(Session {
        issued_at: session.issued_at(),
        not_after: session.not_after(),
    })
}

/// A role that is down needs none: it begins another as it starts.
fn session_stands(session: &Session, is_revoked: bool, now: Timestamp, runs: bool) -> Finding {
    const CHECK: &str = "keys.session";
    let found = |text| Said::of(text).with("at", session.not_after);
    if is_revoked {
        let found = Said::of(Text::DoctorSessionRevoked).with("at", session.issued_at);
        return Finding::fail(GROUP, CHECK, Exit::Refused, found, Text::DoctorSessionDo);
    }
    match runs && session.not_after <= now {
        true => {
            let found = found(Text::DoctorSessionOver);
            Finding::fail(GROUP, CHECK, Exit::Failed, found, Text::DoctorSessionDo)
        }
        false => Finding::ok(GROUP, CHECK, found(Text::DoctorSessionSound)),
    }
}

fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let failure = Failure::of(Exit::Failed, error);
    [&[failure.what][..], &failure.because].concat().join(": ")
}

const GROUP: Group = Group::Keys;
/// Of a server's first keys.
const LABEL: &str = "1";

#[cfg(test)]
mod tests;
