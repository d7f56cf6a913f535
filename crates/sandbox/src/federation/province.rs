//! Other jurisdictions beside the first: their registries, recognition either way, and agreements across.

use entente_agreement::Agreement;
use entente_central_registry as registry;
use entente_directory::{RecognitionLimits, Standing};
use entente_follow::Anchor;
use entente_identity::Jurisdiction;
use entente_reason::Lang;
use entente_signing::Digest;

use super::adapter::AdapterTask;
use super::build::{self, VITAL_EVENTS};
use super::{BuildError, Federation};
use crate::across::{ACROSS, Across};
use crate::layout::{FEDERAL, Layout, PROVINCES, Realm};
use crate::registrar::Registrar;
use crate::seams::Seams;
use crate::step::Step;

/// What there is of a province while it is made.
#[derive(Debug, Default)]
struct Province {
    registry: Option<registry::Running>,
    adapters: Vec<AdapterTask>,
    steps: Vec<Step>,
}

// === impl Federation ===

impl Federation {
    /// Builds the provinces beside a federation just built, and starts them: each its registry and its agency
    /// with a server; that registry and the first jurisdiction's recognised by each other's registrars; and
    /// the agreements with an agency of the first jurisdiction signed by both parties, each in its own
    /// registry. The provinces do not recognise each other yet. Each step is shown when it has happened.
    /// Call it within a runtime, once.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn add_provinces(
        &mut self,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), BuildError> {
        let began = self.seams.clock.now();
        self.add(show).await?;
        for realm in &PROVINCES {
            self.recognise_mutually(&FEDERAL, realm, show).await?;
        }
        for agreement in ACROSS.iter().filter(|across| across.is_of(&FEDERAL)) {
            self.sign_across(agreement, show).await?;
        }
        self.start_agencies(show).await?;
        build::write(self.layout.provinces_built(), "")?;
        self.be_ready(began, show).await;
        Ok(())
    }

    /// Has the registrars of the two provinces recognise each other's registry, and the parties of either sign
    /// their agreement. Whom the first jurisdiction recognises had nothing to do with it.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn join_provinces(
        &self,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), BuildError> {
        let began = self.seams.clock.now();
        let [one, other] = &PROVINCES;
        self.recognise_mutually(one, other, show).await?;
        for agreement in ACROSS.iter().filter(|across| !across.is_of(&FEDERAL)) {
            self.sign_across(agreement, show).await?;
        }
        self.be_ready(began, show).await;
        Ok(())
    }

    /// Starts what an earlier [`Self::add_provinces`] left in the folder, if it came to an end.
    pub(super) async fn start_provinces(
        &mut self,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), BuildError> {
        if !self.layout.has_provinces() {
            return Ok(());
        }
        for realm in PROVINCES {
            let started = build::start_registry(&self.layout, &realm, &self.seams, show).await?;
            self.abroad.push((realm, started));
            for agency in realm.agencies.iter().filter(|agency| !agency.asks) {
                let adapter = AdapterTask::start(&self.layout, agency, &self.seams, show).await?;
                self.adapters.push(adapter);
            }
        }
        self.start_agencies(show).await
    }

    /// The provinces' registries and agencies, all at once, and shown one after the other.
    async fn add(&mut self, show: &mut (dyn FnMut(Step) + Send)) -> Result<(), BuildError> {
        let [mut one, mut other] = [Province::default(), Province::default()];
        let [first, second] = &PROVINCES;
        let (layout, seams) = (&self.layout, &self.seams);
        let made = tokio::join!(
            one.make(layout, seams, first),
            other.make(layout, seams, second)
        );
        for (realm, province) in PROVINCES.into_iter().zip([one, other]) {
            province.steps.into_iter().for_each(&mut *show);
            // Kept also when a step failed, so that `shutdown` closes it.
            self.abroad.extend(province.registry.map(|r| (realm, r)));
            self.adapters.extend(province.adapters);
        }
        made.0.and(made.1)
    }

    async fn start_agencies(
        &mut self,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), BuildError> {
        for agency in PROVINCES.iter().flat_map(|realm| realm.agencies) {
            let running = build::start_server(&self.layout, &self.seams, agency).await?;
            build::show_server(agency, &running, show);
            self.servers.push((*agency, running));
        }
        Ok(())
    }

    /// Each registrar of two jurisdictions recognises the other's registry, by what that registry itself says
    /// its fingerprint is.
    async fn recognise_mutually(
        &self,
        one: &Realm,
        other: &Realm,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), BuildError> {
        let (layout, seams) = (&self.layout, &self.seams);
        for (by, of) in [(one, other), (other, one)] {
            let heard = self.registry_in(of.jurisdiction).anchor().genesis;
            recognise(layout, seams, (by, of), &heard, show).await?;
        }
        Ok(())
    }

    /// Writes an agreement across, and has each party sign it in its own registry.
    async fn sign_across(
        &self,
        across: &Across,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), BuildError> {
        let contract = Digest::of(entente_proto::VITAL_EVENTS_DESCRIPTOR_SET);
        let yaml = across.yaml(&contract, self.seams.clock.now());
        let document = build::write_agreement(self.layout.agreement_across(across), &yaml)?;
        let agreement = Agreement::of(&document)?;
        for agency in [&across.provider, &across.consumer] {
            let office = self.office(agency).await?;
            let signed = build::sign_as(agency, &office, &self.seams, &agreement, show).await;
            office.close().await;
            signed?;
        }
        Ok(())
    }

    /// Has the registrar of one jurisdiction suspend or resume the recognition of another's registry.
    ///
    /// # Errors
    /// When there is none, or the registry refuses.
    pub async fn stand(
        &self,
        (by, of): (&Realm, &Realm),
        standing: Standing,
        reason: Option<String>,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), BuildError> {
        let registrar = registrar(&self.layout, &self.seams, by).await?;
        let by: Jurisdiction = by.jurisdiction.parse()?;
        let jurisdiction: Jurisdiction = of.jurisdiction.parse()?;
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

// === impl Province ===

impl Province {
    /// Its registry and its agencies, with a contract where one answers.
    async fn make(
        &mut self,
        layout: &Layout,
        seams: &Seams,
        realm: &Realm,
    ) -> Result<(), BuildError> {
        let Self {
            registry,
            adapters,
            steps,
        } = self;
        let mut show = |step| steps.push(step);
        let show = &mut show;
        *registry = Some(build::make_registry(layout, realm, seams, show).await?);
        let offices = build::admit_members(layout, realm, seams, show).await?;
        build::register_servers(layout, realm, &offices, show).await?;
        for (agency, office) in realm.agencies.iter().zip(offices) {
            if !agency.asks {
                adapters.push(build::make_adapter(layout, seams, agency, show).await?);
                build::publish(agency, &office, show).await?;
            }
            office.close().await;
        }
        Ok(())
    }
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
