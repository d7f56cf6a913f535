//! The role that is looked at: its file, read, and whether it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_adapter_sql::{OpenOptions, SqlAdapter};
use entente_central_registry::Config as RegistryConfig;
use entente_config::ConfigError;
use entente_follow::Anchor;
use entente_sandbox::Seams;
use entente_security_server::Config as ServerConfig;
use entente_tls::Identity;
use entente_tls::net::Net;

use super::super::admin;
use super::super::config::FileKind;
use super::finding::{Finding, Group, Remedy, Said};
use crate::exit::{Exit, Failure};
use crate::output::Screen;
use crate::texts::Text;

/// A role, as far as its files say who it is.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) file: PathBuf,
    pub(super) role: Role,
    /// The anchor it believes; none of an adapter, or when it cannot be read.
    pub(super) anchor: Option<Anchor>,
    /// Why there is none.
    pub(super) anchor_fault: Option<String>,
    /// Whether its admin port answers.
    pub(super) runs: bool,
    pub(super) seams: Seams,
    /// What is shown where TLS asks who we are: nobody.
    pub(super) identity: Identity,
}

#[derive(Debug)]
pub(super) enum Role {
    Adapter(Box<Adapter>),
    Registry(Box<RegistryConfig>),
    Server(Box<ServerConfig>),
}

/// An adapter, held against its contract and its source.
#[derive(Debug)]
pub(super) struct Adapter {
    pub(super) service: String,
    /// What its file asks for and its source or contract does not have.
    pub(super) faults: Vec<String>,
}

// === impl Site ===

impl Site {
    /// Reads what a file names. What is wrong with the file itself is a finding, and there is nothing else
    /// to be found then.
    ///
    /// # Errors
    /// When it is not the file of a role that is looked at.
    pub(super) async fn load(
        file: &Path,
        screen: &Screen,
    ) -> Result<Result<Self, Box<Finding>>, Failure> {
        let broken = |fault: String| {
            let check = Remedy::run(format!("entente config check {}", file.display()));
            let found = Said::of(Text::DoctorConfigBroken).with("fault", fault);
            Box::new(Finding::fail(
                Group::Config,
                "config.file",
                Exit::Usage,
                found,
                check,
            ))
        };
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => return Ok(Err(broken(format!("{}: {error}", file.display())))),
        };
        let read = match FileKind::of(&text) {
            Some(FileKind::SecurityServer) => {
                let read = ServerConfig::load(file).map(|config| Role::Server(Box::new(config)));
                read.map_err(|error| error.to_string())
            }
            Some(FileKind::Registry) => {
                let read: Result<RegistryConfig, ConfigError> = entente_config::load(file);
                let read = read.map(|config| Role::Registry(Box::new(config)));
                read.map_err(|error| error.to_string())
            }
            Some(FileKind::Adapter) => adapter(file).await,
            _ => {
                let what = screen.text(Text::DoctorNoRole, &[("file", &file.display())]);
                return Err(Failure::new(Exit::Usage, what).note(Text::LabelDo, DO));
            }
        };
        let role = match read {
            Ok(role) => role,
            Err(fault) => return Ok(Err(broken(fault))),
        };
        let anchor = match &role {
            Role::Adapter(_) => None,
            Role::Registry(config) => Some(Anchor::load(config.anchor.as_path())),
            Role::Server(config) => Some(Anchor::load(config.anchor.as_path())),
        };
        let (anchor, anchor_fault) = match anchor {
            None => (None, None),
            Some(Ok(anchor)) => (Some(anchor), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        let admin = match &role {
            Role::Adapter(_) => None,
            Role::Registry(config) => config.admin.clone(),
            Role::Server(config) => Some(config.admin.listen.clone()),
        };
        let seams = Seams::real();
        let runs = match admin {
            Some(admin) => {
                let answer = admin::ask(&*seams.net, &admin, "/livez").await;
                answer.is_ok_and(|answer| answer.is_ok)
            }
            None => false,
        };
        let identity = super::super::dial::nobody()?;
        Ok(Ok(Self {
            file: file.to_owned(),
            role,
            anchor,
            anchor_fault,
            runs,
            seams,
            identity,
        }))
    }

    /// Who it is.
    pub(super) fn name(&self) -> String {
        match &self.role {
            Role::Adapter(adapter) => adapter.service.clone(),
            Role::Registry(config) => config.jurisdiction.to_string(),
            Role::Server(config) => config.server.to_string(),
        }
    }

    /// The network, for tasks of their own.
    pub(super) fn net(&self) -> Arc<dyn Net> {
        Arc::clone(&self.seams.net)
    }

    /// The security server's configuration, of one.
    pub(super) fn server(&self) -> Option<&ServerConfig> {
        match &self.role {
            Role::Server(config) => Some(config),
            Role::Adapter(_) | Role::Registry(_) => None,
        }
    }
}

async fn adapter(file: &Path) -> Result<Role, String> {
    let opened = SqlAdapter::open(file, &OpenOptions::default()).await;
    let adapter = opened
        .map_err(|error| Failure::of(Exit::Usage, &error))
        .map_err(|failure| [&[failure.what][..], &failure.because].concat().join(": "))?;
    let findings = adapter.findings();
    let faults = findings.iter();
    Ok(Role::Adapter(Box::new(Adapter {
        service: adapter.contract().service().to_string(),
        faults: faults.map(|finding| finding.error.to_string()).collect(),
    })))
}

const DO: &str = "--config security-server.yaml, registry.yaml or an adapter's file";
