//! The steps of building a federation, each shown when it has happened.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use entente_agreement::{Agreement, Document};
use entente_central_registry as registry;
use entente_directory::Policy;
use entente_keys::KeyStore;
use entente_ledger::Runner;
use entente_reason::Lang;
use entente_security_server as security;
use entente_signing::Digest;

use super::BuildError;
use super::adapter::AdapterTask;
use crate::files;
use crate::layout::{AGENCIES, Agency, Layout, Realm};
use crate::member_file::MemberFile;
use crate::office::{Office, OfficeError};
use crate::registrar::Registrar;
use crate::seams::Seams;
use crate::step::Step;

pub(super) async fn make_registry(
    layout: &Layout,
    realm: &Realm,
    seams: &Seams,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<registry::Running, BuildError> {
    let config: registry::Config = load(layout.registry_config(realm))?;
    let (clock, disk) = (seams.clock.clone(), seams.disk.clone());
    registry::init(&config, Policy::usual(), clock, disk, Runner::Thread).await?;
    start_registry(layout, realm, seams, show).await
}

pub(super) async fn start_registry(
    layout: &Layout,
    realm: &Realm,
    seams: &Seams,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<registry::Running, BuildError> {
    let deps = registry::Deps {
        clock: seams.clock.clone(),
        net: seams.net.clone(),
        disk: seams.disk.clone(),
        runner: Runner::Thread,
    };
    let config = load(layout.registry_config(realm))?;
    let running = registry::CentralRegistry::start(config, deps).await?;
    show(Step::RegistryStarted {
        jurisdiction: realm.jurisdiction.to_owned(),
        address: running.endpoint().to_string(),
        genesis: running.anchor().genesis.to_string(),
    });
    Ok(running)
}

/// The legacy database of an agency that answers, made if it is not there, and the adapter in front of it.
pub(super) async fn make_adapter(
    layout: &Layout,
    seams: &Seams,
    agency: &Agency,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<AdapterTask, BuildError> {
    entente_adapter_sql::samples::vital_events(&make_folder(layout.adapter(agency))?)?;
    AdapterTask::start(layout, agency, seams, show).await
}

pub(super) async fn admit_members(
    layout: &Layout,
    realm: &Realm,
    seams: &Seams,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<Vec<Office>, BuildError> {
    let config = load(layout.registry_config(realm))?;
    let registrar = Registrar::open(&config, seams, Lang::En).await?;
    let mut offices = Vec::with_capacity(realm.agencies.len());
    for agency in realm.agencies {
        let office = office(layout, seams, agency).await?;
        let applied = office.apply().await.map_err(|e| failed(agency, e))?;
        let member = agency.member();
        show(Step::MemberApplied {
            member: member.clone(),
            fingerprint: applied.fingerprint.clone(),
        });
        let held = registrar.application_of(&member).await?;
        let accepted = registrar.approve(&held, &applied.fingerprint).await?;
        show(Step::MemberAdmitted {
            member,
            index: accepted.index,
        });
        offices.push(office);
    }
    registrar.close().await;
    Ok(offices)
}

pub(super) async fn register_servers(
    layout: &Layout,
    realm: &Realm,
    offices: &[Office],
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<(), BuildError> {
    for (agency, office) in realm.agencies.iter().zip(offices) {
        let config: security::Config = load(layout.server_config(agency))?;
        let keys = KeyStore::open(config.keys.as_path())?;
        let address = config.peer.listen.to_string();
        let addresses = address.parse().into_iter().collect();
        let systems = config.systems.keys().cloned().collect();
        let accepted = office
            .register_server(
                &config.server,
                &keys,
                config.server_key.as_ref(),
                systems,
                addresses,
            )
            .await
            .map_err(|e| failed(agency, e))?;
        show(Step::ServerRegistered {
            server: config.server,
            address,
            index: accepted.index,
        });
    }
    Ok(())
}

pub(super) async fn publish(
    provider: &Agency,
    office: &Office,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<Digest, BuildError> {
    let service: entente_identity::ServiceName = VITAL_EVENTS.parse()?;
    let set = Bytes::from_static(entente_proto::VITAL_EVENTS_DESCRIPTOR_SET);
    let systems = BTreeSet::from([provider.system()]);
    let published = office.publish(&service, systems, set).await;
    let (hash, accepted) = published.map_err(|e| failed(provider, e))?;
    show(Step::ServicePublished {
        service,
        member: provider.member(),
        descriptor_set: hash.to_string(),
        index: accepted.index,
    });
    Ok(hash)
}

pub(super) async fn sign(
    layout: &Layout,
    seams: &Seams,
    offices: &[Office],
    version: u32,
    contract: &Digest,
    supersedes: Option<Digest>,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<Agreement, BuildError> {
    let document = draft(layout, seams, version, contract, supersedes.as_ref())?;
    let agreement = Agreement::of(&document)?;
    for (agency, office) in AGENCIES.iter().zip(offices) {
        sign_as(agency, office, seams, &agreement, show).await?;
    }
    Ok(agreement)
}

/// One party's signature, in its own registry.
pub(super) async fn sign_as(
    agency: &Agency,
    office: &Office,
    seams: &Seams,
    agreement: &Agreement,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<(), BuildError> {
    let document = agreement.document();
    let signed = office.sign(document).await;
    let signed = signed.map_err(|e| failed(agency, e))?;
    let active = signed.missing.is_empty() && document.in_dates(seams.clock.now());
    let (hash, member) = (agreement.id(), agency.member());
    show(Step::signed(
        document,
        &hash,
        &member,
        signed.signatures,
        active,
    ));
    Ok(())
}

pub(super) fn draft(
    layout: &Layout,
    seams: &Seams,
    version: u32,
    contract: &Digest,
    supersedes: Option<&Digest>,
) -> Result<Document, BuildError> {
    let yaml = files::agreement_yaml(version, contract, supersedes, seams.clock.now());
    write_agreement(layout.agreement(version), &yaml)
}

pub(super) fn write_agreement(path: PathBuf, yaml: &str) -> Result<Document, BuildError> {
    let named = path.display().to_string();
    write(path, yaml)?;
    Document::from_yaml_named(yaml, &named).map_err(|error| BuildError::Config(Box::new(error)))
}

pub(super) async fn start_servers(
    layout: &Layout,
    seams: &Seams,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<Vec<(Agency, security::Running)>, BuildError> {
    let start = async |agency| start_server(layout, seams, agency).await;
    let [first, second, third] = &AGENCIES;
    let (first, second, third) = tokio::try_join!(start(first), start(second), start(third))?;
    let servers: Vec<_> = AGENCIES.into_iter().zip([first, second, third]).collect();
    for (agency, running) in &servers {
        show_server(agency, running, show);
    }
    Ok(servers)
}

pub(super) async fn start_server(
    layout: &Layout,
    seams: &Seams,
    agency: &Agency,
) -> Result<security::Running, BuildError> {
    let config = load(layout.server_config(agency))?;
    let deps = security::Deps {
        clock: seams.clock.clone(),
        net: seams.net.clone(),
        disk: seams.disk.clone(),
        ..security::Deps::real()
    };
    let started = security::SecurityServer::start(config, deps).await;
    started.map_err(|source| BuildError::Server {
        agency: agency.label,
        source,
    })
}

pub(super) fn show_server(
    agency: &Agency,
    running: &security::Running,
    show: &mut (dyn FnMut(Step) + Send),
) {
    let callers = running.caller_endpoints().iter();
    show(Step::ServerStarted {
        server: agency.server(),
        peer: running.peer_endpoint().to_string(),
        admin: running.admin_addr().to_string(),
        callers: callers.map(|(_, endpoint)| endpoint.to_string()).collect(),
    });
}

pub(super) async fn office(
    layout: &Layout,
    seams: &Seams,
    agency: &Agency,
) -> Result<Office, BuildError> {
    let file: MemberFile = load(layout.member_file(agency))?;
    let office = Office::open(file, seams, Lang::En).await;
    office.map_err(|e| failed(agency, e))
}

pub(super) fn failed(agency: &Agency, source: OfficeError) -> BuildError {
    BuildError::Office {
        agency: agency.label,
        source,
    }
}

pub(super) fn load<T: serde::de::DeserializeOwned>(path: PathBuf) -> Result<T, BuildError> {
    entente_config::load(&path).map_err(|error| BuildError::Config(Box::new(error)))
}

pub(super) fn write(path: PathBuf, text: &str) -> Result<(), BuildError> {
    let written = std::fs::write(&path, text);
    written.map_err(|source| BuildError::File { path, source })
}

pub(super) fn make_folder(path: PathBuf) -> Result<PathBuf, BuildError> {
    match std::fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(BuildError::File { path, source }),
    }
}

/// The contract of the sandbox's provider.
pub(super) const VITAL_EVENTS: &str = "entente.demo.vitalevents.v1.VitalEvents";
