//! `entente config`: files, checked without running anything.

mod show;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use entente_adapter_sql::{OpenOptions, SqlAdapter};
use entente_agreement::Document;
use entente_follow::Anchor;
use entente_sandbox::MemberFile;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Check and show configuration files without running anything
///
/// Configuration is strict YAML: an unknown key is an error, with its line and the nearest known key.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    Check(CheckArgs),
    Show(show::ShowArgs),
}

/// Parse files and say what each is for; touches nothing
///
/// Example: entente config check security-server.yaml adapter.yaml agreement.yaml
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Any of Entente's YAML files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also print what was understood, defaults filled in
    #[arg(long)]
    effective: bool,
}

/// What a file is for, told by a key only that kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Adapter,
    Agreement,
    Anchor,
    Member,
    Registry,
    SecurityServer,
    Witness,
}

pub(crate) fn run(command: &ConfigCommand, screen: &Screen) -> Result<(), Failure> {
    let args = match command {
        ConfigCommand::Check(args) => args,
        ConfigCommand::Show(args) => return show::run(args, screen),
    };
    let mut failed = None;
    for file in &args.files {
        match check(file, None, args.effective, screen) {
            Ok(()) => {}
            Err(failure) => {
                // All are checked; the last one is said by whoever called us.
                if let Some(earlier) = failed.replace(failure) {
                    screen.fail(&earlier);
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Checks one file, as `kind` or as whatever it looks like.
pub(crate) fn check(
    file: &Path,
    kind: Option<FileKind>,
    effective: bool,
    screen: &Screen,
) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(Exit::Usage, file.display().to_string()).because(&error))?;
    let Some(kind) = kind.or_else(|| FileKind::of(&text)) else {
        let facts: [Fact<'_>; 1] = [("file", &file.display())];
        return Err(Failure::new(
            Exit::Usage,
            screen.text(Text::ConfigUnknown, &facts),
        ));
    };
    let understood = match kind {
        FileKind::Adapter => adapter(file, screen)?,
        FileKind::Agreement => shown(&Document::from_yaml_named(
            &text,
            &file.display().to_string(),
        )?),
        FileKind::Anchor => shown(&Anchor::load(file)?),
        FileKind::Member => shown(&MemberFile::load(file)?),
        FileKind::Registry => shown(&entente_config::load::<entente_central_registry::Config>(
            file,
        )?),
        FileKind::SecurityServer => shown(&entente_security_server::Config::load(file)?),
        FileKind::Witness => shown(&entente_oversight::witness::Config::load(file)?),
    };
    let value = json!({ "file": file, "is": kind.code(), "valid": true });
    screen.event("config.checked", value, |screen| {
        let what = screen.text(kind.text(), &[]);
        let facts: [Fact<'_>; 2] = [("file", &file.display()), ("what", &what)];
        print_out(screen.text(Text::ConfigSound, &facts));
        if effective {
            print_out(understood);
        }
    });
    Ok(())
}

fn shown(value: &impl Debug) -> String {
    format!("{value:#?}")
}

/// An adapter's file is held against its contract and its source too.
fn adapter(file: &Path, screen: &Screen) -> Result<String, Failure> {
    let options = OpenOptions::default();
    let opening = SqlAdapter::open(file, &options);
    let opened = match tokio::runtime::Handle::try_current() {
        Ok(runtime) => tokio::task::block_in_place(|| runtime.block_on(opening)),
        Err(_) => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::of(Exit::Failed, &error))?
            .block_on(opening),
    };
    let adapter = opened.map_err(|error| Failure::of(Exit::Usage, &error))?;
    let findings = adapter.findings();
    if findings.is_empty() {
        return Ok(adapter.contract().service().to_string());
    }
    let facts: [Fact<'_>; 2] = [("file", &file.display()), ("count", &findings.len())];
    let mut failure = Failure::new(Exit::Usage, screen.text(Text::AdapterFaulty, &facts));
    for finding in findings {
        failure = failure.note(Text::LabelFault, finding.error.to_string());
    }
    Err(failure)
}

// === impl FileKind ===

impl FileKind {
    /// By the first key that only one kind of file has.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let has = |key: &str| text.lines().any(|line| line.starts_with(key));
        Some(if has("format: entente/agreement/") {
            Self::Agreement
        } else if has("adapter:") {
            Self::Adapter
        } else if has("server:") {
            Self::SecurityServer
        } else if has("member:") {
            Self::Member
        } else if has("genesis:") {
            Self::Anchor
        } else if has("jurisdiction:") {
            Self::Registry
        } else if has("listen:") && has("name:") {
            Self::Witness
        } else {
            return None;
        })
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::Agreement => "agreement",
            Self::Anchor => "anchor",
            Self::Member => "member",
            Self::Registry => "registry",
            Self::SecurityServer => "security-server",
            Self::Witness => "witness",
        }
    }

    const fn text(self) -> Text {
        match self {
            Self::Adapter => Text::FileAdapter,
            Self::Agreement => Text::FileAgreement,
            Self::Anchor => Text::FileAnchor,
            Self::Member => Text::FileMember,
            Self::Registry => Text::FileRegistry,
            Self::SecurityServer => Text::FileSecurityServer,
            Self::Witness => Text::FileWitness,
        }
    }
}
