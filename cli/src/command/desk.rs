//! Where a command finds the registry it speaks of, and whose desk it acts from.

use std::path::{Path, PathBuf};

use clap::Args;
use entente_central_registry::Config as RegistryConfig;
use entente_clock::{Day, Timestamp};
use entente_config::ConfigError;
use entente_directory::State;
use entente_follow::{Anchor, View};
use entente_identity::MemberId;
use entente_reason::Reason;
use entente_sandbox::{AGENCIES, Desk, DeskError, Layout, MemberFile, Office, OfficeError};
use entente_sandbox::{Registrar, RegistrarError, Seams};
use std::sync::Arc;

use crate::exit::{Exit, Failure};
use crate::output::Screen;
use crate::texts::{Fact, Text};

/// From whose desk.
#[derive(Args, Clone, Debug)]
pub(crate) struct DeskArgs {
    /// `member.yaml` or `registry.yaml`; by default the one in this folder
    #[arg(long, value_name = "FILE", env = "ENTENTE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// A file that says which registry.
#[derive(Debug)]
pub(crate) enum DeskFile {
    Member(Box<MemberFile>),
    Registry(Box<RegistryConfig>),
}

/// The registry as far as this desk could verify it.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) desk: Desk,
    pub(crate) view: Arc<View>,
}

// === impl DeskArgs ===

impl DeskArgs {
    /// The file to act from: named, or in this folder. Acting never falls back on a sandbox.
    fn path(&self) -> Option<PathBuf> {
        let here = || {
            let files = [MEMBER, REGISTRY].map(PathBuf::from);
            files.into_iter().find(|file| file.is_file())
        };
        let path = self.config.clone().or_else(here);
        path.map(|path| super::in_folder(&path))
    }

    /// The member acted for.
    pub(crate) fn member(&self, screen: &Screen) -> Result<MemberFile, Failure> {
        let path = self.path().ok_or_else(|| no_desk(MEMBER, screen))?;
        Ok(MemberFile::load(&path)?)
    }

    /// The registry acted for.
    pub(crate) fn registry(&self, screen: &Screen) -> Result<RegistryConfig, Failure> {
        let here = || PathBuf::from(REGISTRY);
        let path = self.config.clone().unwrap_or_else(here);
        if self.config.is_none() && !path.is_file() {
            return Err(no_desk(REGISTRY, screen));
        }
        Ok(entente_config::load(&super::in_folder(&path))?)
    }

    /// The member's office, following its registry.
    pub(crate) async fn office(&self, screen: &Screen) -> Result<Office, Failure> {
        let file = self.member(screen)?;
        let office = Office::open(file, &Seams::real(), screen.lang).await;
        office.map_err(|error| office_failure(&error, screen))
    }

    /// The registrar's desk.
    pub(crate) async fn registrar(&self, screen: &Screen) -> Result<Registrar, Failure> {
        let config = self.registry(screen)?;
        let registrar = Registrar::open(&config, &Seams::real(), screen.lang).await;
        registrar.map_err(|error| registrar_failure(&error, screen))
    }

    /// The file to read with: as for acting, or else that of a sandbox in this folder, said aloud.
    pub(crate) fn find(&self, screen: &Screen) -> Result<DeskFile, Failure> {
        let path = match self.path() {
            Some(path) => path,
            None => sandbox_file(screen).ok_or_else(|| no_desk(MEMBER, screen))?,
        };
        DeskFile::load(&path).map_err(Failure::from)
    }

    /// The newest view of the registry; when it does not answer, the own copy's, said aloud.
    pub(crate) async fn read(&self, screen: &Screen) -> Result<Reading, Failure> {
        let file = self.find(screen)?;
        let anchor = file.anchor()?;
        Reading::open(anchor, &file.copy(), screen).await
    }
}

fn no_desk(file: &str, screen: &Screen) -> Failure {
    Failure::new(Exit::Usage, screen.text(Text::NoDesk, &[("file", &file)]))
        .note(Text::LabelDo, format!("--config sandbox/pensions/{file}"))
}

/// The `member.yaml` of the sandbox in this folder, for a question that came with no other.
fn sandbox_file(screen: &Screen) -> Option<PathBuf> {
    let layout = Layout::of(SANDBOX);
    let file = layout.member_file(&AGENCIES[1]);
    if !layout.exists() || !file.is_file() {
        return None;
    }
    screen.say(Text::UsingSandbox, &[("file", &file.display())]);
    Some(file)
}

// === impl DeskFile ===

impl DeskFile {
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let is_registry = std::fs::read_to_string(path)
            .is_ok_and(|text| text.lines().any(|line| line.starts_with("jurisdiction:")));
        Ok(if is_registry {
            Self::Registry(Box::new(entente_config::load(path)?))
        } else {
            Self::Member(Box::new(MemberFile::load(path)?))
        })
    }

    pub(crate) fn anchor(&self) -> Result<Anchor, ConfigError> {
        Anchor::load(match self {
            Self::Member(file) => file.anchor.as_path(),
            Self::Registry(config) => config.anchor.as_path(),
        })
    }

    pub(crate) fn copy(&self) -> PathBuf {
        match self {
            Self::Member(file) => file.copy.as_path().to_owned(),
            Self::Registry(config) => config.keys.as_path().join("registrar-copy"),
        }
    }
}

// === impl Reading ===

impl Reading {
    pub(crate) async fn open(
        anchor: Anchor,
        copy: &Path,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let desk = Desk::open(anchor, copy, &Seams::real(), screen.lang).await;
        let desk = desk.map_err(|error| desk_failure(&error, screen))?;
        let view = match desk.refresh().await {
            Ok(view) => view,
            Err(error) => {
                let view = desk.view();
                let old = matches!(error, DeskError::Registry(_)) && view.size > 0;
                if !old {
                    return Err(desk_failure(&error, screen));
                }
                let at = view.state.last_at();
                screen.say(Text::RegistrySilent, &[("size", &view.size), ("at", &at)]);
                view
            }
        };
        Ok(Self { desk, view })
    }
}

impl Reading {
    /// With what no checkpoint covers yet, where the registry answers.
    pub(crate) async fn newest(&self) -> State {
        match self.desk.newest().await {
            Ok(state) => state,
            // That it does not answer was said when it was opened.
            Err(_) => self.desk.known(),
        }
    }
}

/// A code that stays in the registry for ever: free text would hold names.
pub(crate) fn reason_code(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let is_code = text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(plain);
    if is_code && text.len() <= 64 {
        Ok(text.to_owned())
    } else {
        Err("expected a code such as SAFEGUARD_BREACH: at most 64 of A-Z, 0-9 and _".to_owned())
    }
}

/// A day, from its first moment in UTC, or a moment.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let of_day = text.parse().map(Day::start);
    of_day
        .or_else(|_| text.parse())
        .map_err(|_| "expected a day or a moment: 2027-04-01, 2027-04-01T04:00:00Z".to_owned())
}

/// What a desk's error amounts to.
pub(crate) fn desk_failure(error: &DeskError, screen: &Screen) -> Failure {
    failure(error.reason(), error, error.refused(), screen)
}

/// What an office's error amounts to.
pub(crate) fn office_failure(error: &OfficeError, screen: &Screen) -> Failure {
    match error {
        OfficeError::Anchor(source) => Failure::from((**source).clone()),
        OfficeError::SignedAlready { member } => {
            let what = screen.text(Text::SignedAlready, &[("member", member)]);
            Failure::new(Exit::Refused, what)
        }
        OfficeError::Ended { member, service } => {
            let facts: [Fact<'_>; 2] = [("member", member), ("service", service)];
            let mut failure = Failure::new(Exit::Refused, screen.text(Text::ServiceEnded, &facts));
            failure.reason = Some(error.reason());
            failure.note(Text::LabelDo, "entente service publish")
        }
        OfficeError::HeldByOthers { members } => {
            let members: Vec<&str> = members.iter().map(MemberId::as_str).collect();
            let members = members.join(", ");
            let what = screen.text(Text::AgreementHeldByOthers, &[("members", &members)]);
            let mut failure = Failure::new(Exit::Refused, what);
            failure.reason = Some(error.reason());
            let ask = screen.text(Text::AgreementHeldDo, &[("members", &members)]);
            failure.note(Text::LabelDo, ask)
        }
        OfficeError::KeyAway { folder } => {
            let facts: [Fact<'_>; 1] = [("folder", &folder.display())];
            let failure = Failure::new(Exit::Usage, screen.text(Text::KeyAway, &facts));
            failure.note(Text::LabelDo, screen.text(Text::KeyAwayDo, &facts))
        }
        OfficeError::LastKey { key, role } => {
            let what = screen.text(Text::KeyLast, &[("key", key), ("role", role)]);
            Failure::new(Exit::NeedsPerson, what)
                .note(Text::LabelDo, screen.text(Text::KeyLastDo, &[]))
        }
        OfficeError::NotOffered { member, service } => {
            let facts: [Fact<'_>; 2] = [("member", member), ("service", service)];
            let mut failure =
                Failure::new(Exit::NotFound, screen.text(Text::NoSuchService, &facts));
            failure.reason = Some(error.reason());
            failure.note(Text::LabelDo, "entente service list")
        }
        OfficeError::NotYet { at } => {
            let what = screen.text(Text::SessionsNotYet, &[("at", at)]);
            Failure::new(Exit::Usage, what)
                .note(Text::LabelDo, screen.text(Text::SessionsNotYetDo, &[]))
        }
        OfficeError::NewestKeyAway { server } => {
            let what = screen.text(Text::ServerKeyAway, &[("server", server)]);
            Failure::new(Exit::Refused, what)
                .note(Text::LabelDo, screen.text(Text::ServerKeyAwayDo, &[]))
        }
        OfficeError::UnknownServer { server } => {
            let what = screen.text(Text::NoSuchServer, &[("server", server)]);
            Failure::new(Exit::NotFound, what).note(Text::LabelDo, "entente server list")
        }
        OfficeError::UnknownKey { member, key } => {
            let what = screen.text(Text::KeyUnheld, &[("member", member), ("key", key)]);
            Failure::new(Exit::NotFound, what).note(Text::LabelDo, "entente member keys list")
        }
        OfficeError::UnknownMember { member } => no_member(member, error.reason(), screen),
        OfficeError::UnknownAgreement => {
            Failure::new(Exit::NotFound, screen.text(Text::NoSuchAgreement, &[]))
                .note(Text::LabelDo, "entente agreement list")
        }
        _ => failure(error.reason(), error, error.refused(), screen),
    }
}

/// What a registrar's error amounts to.
pub(crate) fn registrar_failure(error: &RegistrarError, screen: &Screen) -> Failure {
    match error {
        RegistrarError::Anchor(source) => Failure::from((**source).clone()),
        RegistrarError::FingerprintDiffers => {
            Failure::new(Exit::Refused, screen.text(Text::FingerprintDiffers, &[]))
        }
        RegistrarError::MemberEnded { member } => {
            let what = screen.text(Text::MembershipOver, &[("member", member)]);
            let mut failure = Failure::new(Exit::Refused, what);
            failure.reason = Some(error.reason());
            failure.note(Text::LabelDo, screen.text(Text::MembershipOverDo, &[]))
        }
        RegistrarError::NoMandate { body } => {
            let mut failure = Failure::new(
                Exit::NotFound,
                screen.text(Text::MandateUnheld, &[("body", body)]),
            );
            failure.reason = Some(error.reason());
            failure.note(Text::LabelDo, "entente mandate list")
        }
        RegistrarError::NotRecognised { jurisdiction } => {
            let facts: [Fact<'_>; 1] = [("jurisdiction", jurisdiction)];
            let mut failure = Failure::new(Exit::NotFound, screen.text(Text::TrustUnheld, &facts));
            failure.reason = Some(error.reason());
            failure.note(Text::LabelDo, "entente trust add ANCHOR")
        }
        RegistrarError::PolicyWeaker { fields, quorum } => {
            let mut failure = super::registry::weaker(fields, *quorum, screen);
            failure.reason = Some(error.reason());
            failure
        }
        RegistrarError::UnknownProposal { hash } => {
            let what = screen.text(Text::ProposalUnknown, &[("hash", hash)]);
            Failure::new(Exit::NotFound, what).note(Text::LabelDo, "entente registry proposals")
        }
        RegistrarError::UnknownMember { member } => no_member(member, error.reason(), screen),
        RegistrarError::NoApplication { member } => {
            let what = screen.text(Text::NoApplication, &[("member", member)]);
            Failure::new(Exit::NotFound, what).note(Text::LabelDo, "entente member list --pending")
        }
        _ => failure(error.reason(), error, error.refused(), screen),
    }
}

/// Nobody of this name was ever admitted.
pub(crate) fn no_member(member: &MemberId, reason: Reason, screen: &Screen) -> Failure {
    let what = screen.text(Text::NoSuchMember, &[("member", member)]);
    let mut failure = Failure::new(Exit::NotFound, what);
    failure.reason = Some(reason);
    failure.note(Text::LabelDo, "entente member list")
}

fn failure(
    reason: Reason,
    error: &(dyn std::error::Error + 'static),
    told: Option<&entente_proto::status::Told>,
    screen: &Screen,
) -> Failure {
    let failure = Failure::for_reason(reason, error, screen.lang);
    let facts = told.into_iter().flat_map(|told| &told.metadata);
    let facts: Vec<String> = facts
        .filter(|(key, _)| *key != "at")
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    if facts.is_empty() {
        failure
    } else {
        failure.note(Text::LabelFacts, facts.join(", "))
    }
}

const MEMBER: &str = "member.yaml";
const REGISTRY: &str = "registry.yaml";
/// Where `entente demo` and `entente sandbox` put their folder unless told otherwise.
pub(crate) const SANDBOX: &str = "./sandbox";
