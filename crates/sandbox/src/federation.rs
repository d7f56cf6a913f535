//! Building, starting and stopping a federation.

mod adapter;
mod build;
mod province;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use entente_adapter_sdk::ServeError;
use entente_adapter_sql::samples::SampleError;
use entente_agreement::{Agreement, AgreementError};
use entente_central_registry as registry;
use entente_config::ConfigError;
use entente_follow::Behind;
use entente_identity::{InvalidName, Jurisdiction};
use entente_keys::KeyStoreError;
use entente_ledger::LedgerError;
use entente_security_server as security;
use entente_signing::Digest;
use entente_tls::net::Endpoint;

use crate::ask::{AskError, Door};
use crate::files;
use crate::layout::{AGENCIES, Agency, FEDERAL, Layout, NotASandbox, Realm};
use crate::office::{Office, OfficeError};
use crate::ports;
use crate::registrar::RegistrarError;
use crate::seams::Seams;
use crate::step::{Step, named};

use adapter::AdapterTask;
use build::{
    admit_members, draft, failed, make_adapter, make_registry, office, publish, register_servers,
    sign, start_registry, start_servers, write,
};

/// How to build.
#[derive(Clone, Debug)]
pub struct Options {
    /// Clock, network and disk.
    pub seams: Seams,
    /// Whether to take the usual ports when they are free; otherwise any.
    pub usual_ports: bool,
}

/// A federation that runs. Dropping it stops it in no particular order; see [`Self::shutdown`].
#[derive(Debug)]
pub struct Federation {
    layout: Layout,
    seams: Seams,
    registry: registry::Running,
    /// The provinces', once they are there.
    abroad: Vec<(Realm, registry::Running)>,
    servers: Vec<(Agency, security::Running)>,
    adapters: Vec<AdapterTask>,
}

/// Why a federation was not built or started. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The adapter did not start.
    #[error("starting the adapter")]
    Adapter(#[from] entente_adapter_sql::OpenError),
    /// The agreement was not what was written.
    #[error("writing the agreement")]
    Agreement(#[from] AgreementError),
    /// A configuration file was not read back.
    #[error("reading a configuration file of the sandbox")]
    Config(#[source] Box<ConfigError>),
    /// A file could not be written.
    #[error("writing {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What a registry says of itself is not what its anchor file says.
    #[error("the fingerprint is not that of the anchor of {jurisdiction}: nothing was recognised")]
    FingerprintDiffers {
        /// Whose anchor.
        jurisdiction: Jurisdiction,
    },
    /// The folder.
    #[error(transparent)]
    Folder(#[from] NotASandbox),
    /// The registry could not be made.
    #[error("making the registry")]
    Init(#[from] registry::InitError),
    /// A server's keys.
    #[error("making a server's keys")]
    Keys(#[from] KeyStoreError),
    /// The registry's ledger could not be closed.
    #[error("closing the registry")]
    Ledger(#[from] LedgerError),
    /// A name of the sandbox was not taken for one.
    #[error("naming a part of the sandbox")]
    Name(#[from] InvalidName),
    /// A member's act failed.
    #[error("acting for {agency}")]
    Office {
        /// Whose.
        agency: &'static str,
        /// What failed.
        #[source]
        source: OfficeError,
    },
    /// No port of loopback was free.
    #[error("choosing ports on loopback")]
    Ports(#[source] io::Error),
    /// A registrar's act failed.
    #[error("acting for the registrar")]
    Registrar(#[from] RegistrarError),
    /// The registry did not start.
    #[error("starting the registry")]
    Registry(#[from] registry::StartError),
    /// The legacy database could not be made.
    #[error("making the legacy database")]
    Sample(#[from] SampleError),
    /// The adapter's socket.
    #[error("serving the adapter")]
    Serve(#[from] ServeError),
    /// A security server did not start.
    #[error("starting the security server of {agency}")]
    Server {
        /// Whose.
        agency: &'static str,
        /// Why.
        #[source]
        source: security::StartError,
    },
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            seams: Seams::real(),
            usual_ports: true,
        }
    }
}

// === impl Federation ===

impl Federation {
    /// Builds a federation in a folder that [`Layout::prepare`] made, and starts it: registry, three
    /// members admitted, their servers registered, a contract published, an agreement signed by both
    /// parties. Each step is shown when it has happened. Call it within a runtime.
    ///
    /// # Errors
    /// When the folder is not a sandbox's, or a step fails.
    pub async fn build(
        layout: &Layout,
        options: Options,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Self, BuildError> {
        let Options { seams, usual_ports } = options;
        let began = seams.clock.now();
        layout.require()?;
        let ports = ports::choose(usual_ports).map_err(BuildError::Ports)?;
        files::write(layout, &ports.numbers).map_err(|source| BuildError::File {
            path: layout.root().to_owned(),
            source,
        })?;
        let registry = make_registry(layout, &FEDERAL, &seams, show).await?;
        let offices = admit_members(layout, &FEDERAL, &seams, show).await?;
        register_servers(layout, &FEDERAL, &offices, show).await?;
        let adapter = make_adapter(layout, &seams, &AGENCIES[0], show).await?;
        let contract = publish(&AGENCIES[0], &offices[0], show).await?;
        sign(layout, &seams, &offices[..2], 1, &contract, None, show).await?;
        for office in offices {
            office.close().await;
        }
        let servers = start_servers(layout, &seams, show).await?;
        write(layout.built(), "")?;
        let federation = Self {
            layout: layout.clone(),
            seams,
            registry,
            abroad: Vec::new(),
            servers,
            adapters: vec![adapter],
        };
        federation.be_ready(began, show).await;
        Ok(federation)
    }

    /// Starts what an earlier [`Self::build`] left in the folder.
    ///
    /// # Errors
    /// When there is no sandbox, or a role does not start.
    pub async fn start(
        layout: &Layout,
        seams: Seams,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Self, BuildError> {
        let began = seams.clock.now();
        layout.require()?;
        let registry = start_registry(layout, &FEDERAL, &seams, show).await?;
        let adapter = AdapterTask::start(layout, &AGENCIES[0], &seams, show).await?;
        let servers = start_servers(layout, &seams, show).await?;
        let mut federation = Self {
            layout: layout.clone(),
            seams,
            registry,
            abroad: Vec::new(),
            servers,
            adapters: vec![adapter],
        };
        federation.start_provinces(show).await?;
        federation.be_ready(began, show).await;
        Ok(federation)
    }

    /// Where its files are.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The registry of the first jurisdiction.
    pub const fn registry(&self) -> &registry::Running {
        &self.registry
    }

    /// That of one of the jurisdictions.
    fn registry_in(&self, jurisdiction: &str) -> &registry::Running {
        let is_it = |(realm, _): &&(Realm, _)| realm.jurisdiction == jurisdiction;
        let abroad = self.abroad.iter().find(is_it);
        abroad.map_or(&self.registry, |(_, running)| running)
    }

    /// An agency's security server.
    pub fn server(&self, agency: &Agency) -> Option<&security::Running> {
        let mut servers = self.servers.iter();
        servers.find_map(|(of, running)| (of == agency).then_some(running))
    }

    /// The way of a consumer's system to its own server.
    ///
    /// # Errors
    /// Not for a Unix socket.
    pub fn door(&self, agency: &Agency) -> Result<Door, AskError> {
        let socket = Endpoint::Unix(self.layout.caller_socket(agency));
        Door::at(&self.seams, socket, None)
    }

    /// An agency's desk.
    ///
    /// # Errors
    /// When its files cannot be used, or another command uses them now.
    pub async fn office(&self, agency: &Agency) -> Result<Office, BuildError> {
        office(&self.layout, &self.seams, agency).await
    }

    /// Writes the agreement's next version, which takes the place of `supersedes`, and has both
    /// parties sign it.
    ///
    /// # Errors
    /// When a party cannot sign.
    pub async fn sign_next(
        &self,
        version: u32,
        supersedes: &Agreement,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Agreement, BuildError> {
        let contract = supersedes.document().clauses.first();
        let contract = contract.map_or_else(|| Digest::of(&[]), |clause| clause.descriptor_set);
        let mut offices = Vec::with_capacity(2);
        for agency in &AGENCIES[..2] {
            offices.push(self.office(agency).await?);
        }
        let (layout, seams, old) = (&self.layout, &self.seams, Some(supersedes.id()));
        let signed = sign(layout, seams, &offices, version, &contract, old, show).await;
        for office in offices {
            office.close().await;
        }
        signed
    }

    /// Writes the agreement's next version for somebody else to sign.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn draft_next(&self, version: u32, supersedes: &Agreement) -> Result<PathBuf, BuildError> {
        let contract = supersedes.document().clauses.first();
        let contract = contract.map_or_else(|| Digest::of(&[]), |clause| clause.descriptor_set);
        let old = supersedes.id();
        draft(&self.layout, &self.seams, version, &contract, Some(&old))?;
        Ok(self.layout.agreement(version))
    }

    /// Has one party revoke an agreement.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn revoke(
        &self,
        agency: &Agency,
        agreement: &Agreement,
        reason: &str,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), BuildError> {
        let office = self.office(agency).await?;
        let revoked = office.revoke(agreement.id(), Some(reason.to_owned())).await;
        let accepted = revoked.map_err(|source| failed(agency, source));
        office.close().await;
        show(Step::AgreementRevoked {
            name: named(agreement.document()),
            by: agency.member(),
            index: accepted?.index,
        });
        Ok(())
    }

    /// Waits until every server has verified all that the registry of its own jurisdiction holds now.
    ///
    /// # Errors
    /// When one has not in 2 s.
    pub async fn settle(&self) -> Result<(), Behind> {
        for (agency, server) in &self.servers {
            let size = self.registry_in(agency.jurisdiction).size();
            let directory = server.directory();
            let mut reached = directory.catch_up(size, SETTLED_WITHIN).await;
            // A busy disk may take its time over the registry's checkpoint.
            for _ in 0..PATIENCE {
                if reached.is_ok() {
                    break;
                }
                reached = directory.catch_up(size, SETTLED_WITHIN).await;
            }
            reached?;
        }
        Ok(())
    }

    /// Stops everything: servers first, each finishing what it began, the registries last.
    ///
    /// # Errors
    /// When a registry's ledger cannot be closed.
    pub async fn shutdown(self) -> Result<(), BuildError> {
        for (_, server) in self.servers {
            server.shutdown().await;
        }
        for adapter in self.adapters {
            adapter.stop().await;
        }
        for (_, registry) in self.abroad {
            registry.shutdown().await?;
        }
        Ok(self.registry.shutdown().await?)
    }

    async fn be_ready(&self, began: entente_clock::Timestamp, show: &mut (dyn FnMut(Step) + Send)) {
        // Who is behind says so itself, call by call; the sandbox is usable all the same.
        let _ = self.settle().await;
        show(Step::ready(self.seams.clock.now().since(began)));
    }
}

const SETTLED_WITHIN: Duration = Duration::from_secs(2);

/// Further times that is waited.
const PATIENCE: u32 = 9;
