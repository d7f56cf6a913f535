//! A second jurisdiction beside the first: its registry, the recognition either way, and an agreement across.

use entente_agreement::Agreement;
use entente_central_registry as registry;
use entente_directory::{RecognitionLimits, Standing};
use entente_follow::Anchor;
use entente_identity::Jurisdiction;
use entente_reason::Lang;
use entente_security_server as security;
use entente_signing::Digest;

use super::build::{self, VITAL_EVENTS};
use super::{BuildError, Federation};
use crate::files;
use crate::layout::{AGENCIES, Agency, FEDERAL, HEALTH, Layout, PROVINCE, Realm};
use crate::registrar::Registrar;
use crate::seams::Seams;
use crate::step::Step;

// === impl Federation ===

impl Federation {
    /// Builds the province beside a federation just built, and starts it: its registry, its agency with a
    /// server, the registries recognised by each other's registrars, an agreement signed by a party on either
    /// side in its own registry. Each step is shown when it has happened. Call it within a runtime, once.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn add_province(
        &mut self,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), BuildError> {
        let began = self.seams.clock.now();
        let (layout, seams) = (self.layout.clone(), self.seams.clone());
        let abroad = build::make_registry(&layout, &PROVINCE, &seams, show).await?;
        // Kept from here on: `shutdown` closes it also when a step below fails.
        let theirs = self.abroad.insert(abroad).anchor().genesis;
        let ours = self.registry.anchor().genesis;
        let offices = build::admit_members(&layout, &PROVINCE, &seams, show).await?;
        build::register_servers(&layout, &PROVINCE, &offices, show).await?;
        for office in offices {
            office.close().await;
        }
        recognise(&layout, &seams, (&FEDERAL, &PROVINCE), &theirs, show).await?;
        recognise(&layout, &seams, (&PROVINCE, &FEDERAL), &ours, show).await?;
        self.sign_across(show).await?;
        let server = start_server(&layout, &seams, show).await?;
        self.servers.push(server);
        build::write(layout.province_built(), "")?;
        self.be_ready(began, show).await;
        Ok(())
    }

    /// Writes the agreement of the provider and the province's agency, and has each sign it in its own registry.
    async fn sign_across(&self, show: &mut (dyn FnMut(Step) + Send)) -> Result<(), BuildError> {
        let contract = Digest::of(entente_proto::VITAL_EVENTS_DESCRIPTOR_SET);
        let yaml = files::agreement_across_yaml(&contract, self.seams.clock.now());
        let document = build::write_agreement(self.layout.agreement_across(), &yaml)?;
        let agreement = Agreement::of(&document)?;
        for agency in [&AGENCIES[0], &HEALTH] {
            let office = self.office(agency).await?;
            let signed = build::sign_as(agency, &office, &self.seams, &agreement, show).await;
            office.close().await;
            signed?;
        }
        Ok(())
    }

    /// Has the first jurisdiction's registrar suspend or resume the recognition of the province's registry.
    ///
    /// # Errors
    /// When there is none, or the registry refuses.
    pub async fn stand(
        &self,
        standing: Standing,
        reason: Option<String>,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), BuildError> {
        let by: Jurisdiction = FEDERAL.jurisdiction.parse()?;
        let jurisdiction: Jurisdiction = PROVINCE.jurisdiction.parse()?;
        let registrar = registrar(&self.layout, &self.seams, &FEDERAL).await?;
        let stood = registrar.trust(&jurisdiction, standing, reason).await;
        registrar.close().await;
        let Some(accepted) = stood? else {
            return Ok(());
        };
        let index = accepted.index;
        show(match standing {
            Standing::Active => Step::RecognitionResumed {
                by,
                jurisdiction,
                index,
            },
            Standing::Suspended | Standing::Ended => Step::RecognitionSuspended {
                by,
                jurisdiction,
                index,
            },
        });
        Ok(())
    }
}

/// The registry, when the province was built.
pub(super) async fn start_registry(
    layout: &Layout,
    seams: &Seams,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<Option<registry::Running>, BuildError> {
    if !layout.has_province() {
        return Ok(None);
    }
    let running = build::start_registry(layout, &PROVINCE, seams, show).await?;
    Ok(Some(running))
}

pub(super) async fn start_server(
    layout: &Layout,
    seams: &Seams,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<(Agency, security::Running), BuildError> {
    let running = build::start_server(layout, seams, &HEALTH).await?;
    build::show_server(&HEALTH, &running, show);
    Ok((HEALTH, running))
}

/// Has the registrar of one jurisdiction recognise the registry of another, for one service only.
/// `heard` is what that registry says of itself, which the anchor file is held against.
async fn recognise(
    layout: &Layout,
    seams: &Seams,
    (by, other): (&Realm, &Realm),
    heard: &Digest,
    show: &mut (dyn FnMut(Step) + Send),
) -> Result<(), BuildError> {
    let anchor = Anchor::load(&layout.anchor(other));
    let anchor = anchor.map_err(|error| BuildError::Config(Box::new(error)))?;
    let jurisdiction = anchor.jurisdiction.clone();
    if anchor.genesis != *heard || jurisdiction.as_str() != other.jurisdiction {
        return Err(BuildError::FingerprintDiffers { jurisdiction });
    }
    let limits = RecognitionLimits {
        services: [VITAL_EVENTS.parse()?].into(),
        ..RecognitionLimits::default()
    };
    let registrar = registrar(layout, seams, by).await?;
    let recognised = registrar.recognise(&anchor, limits).await;
    registrar.close().await;
    if let Some(accepted) = recognised? {
        show(Step::RegistryRecognised {
            by: by.jurisdiction.parse()?,
            jurisdiction,
            fingerprint: heard.to_string(),
            index: accepted.index,
        });
    }
    Ok(())
}

async fn registrar(layout: &Layout, seams: &Seams, of: &Realm) -> Result<Registrar, BuildError> {
    let config = build::load(layout.registry_config(of))?;
    Ok(Registrar::open(&config, seams, Lang::En).await?)
}
