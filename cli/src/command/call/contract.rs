//! Where the contract of a question comes from: a file, or the registry that speaks for who is asked.

use std::path::Path;
use std::sync::Arc;

use entente_contract::Contract;
use entente_follow::View;
use entente_identity::MethodName;
use entente_reason::Reason;

use super::super::desk::Reading;
use super::CallArgs;
use crate::exit::{Exit, Failure};
use crate::output::Screen;
use crate::texts::Text;

impl CallArgs {
    /// The view of the registry that speaks for the one that is asked.
    pub(super) async fn view_of_target(
        &self,
        reading: &Reading,
        screen: &Screen,
    ) -> Result<Arc<View>, Failure> {
        let jurisdiction = self.target.jurisdiction();
        if reading.desk.anchor().jurisdiction == jurisdiction {
            return Ok(reading.view.clone());
        }
        let is_of = |view: &Arc<View>| {
            let registry = view.state.registry();
            registry.is_some_and(|registry| registry.jurisdiction == jurisdiction)
        };
        let followed = reading.desk.everywhere().await;
        followed.into_iter().find(is_of).ok_or_else(|| {
            let what = screen.text(Text::TrustUnheld, &[("jurisdiction", &jurisdiction)]);
            let mut failure = Failure::new(Exit::Refused, what);
            failure.reason = Some(Reason::JurisdictionNotRecognised);
            failure.note(Text::LabelDo, "entente trust list")
        })
    }

    pub(super) fn contract_of(&self, view: &View, screen: &Screen) -> Result<Contract, Failure> {
        let service = self.method.service();
        let offer = view.state.service(&service, &self.target.member());
        let newest = offer.and_then(|offer| offer.newest());
        newest
            .and_then(|version| view.contract(&version.descriptor_set, &service))
            .ok_or_else(|| {
                let offered: Vec<&str> = view
                    .state
                    .services()
                    .map(|offer| offer.service.as_str())
                    .collect();
                let what = screen.text(
                    Text::NoSuchService,
                    &[("service", &service), ("member", &self.target.member())],
                );
                let mut failure = Failure::new(Exit::NotFound, what);
                failure.reason = Some(Reason::UnknownService);
                match entente_config::nearest(service.as_str(), offered) {
                    Some(near) => failure.note(Text::LabelNear, near),
                    None => failure.note(Text::LabelDo, "entente service list"),
                }
            })
    }
}

pub(super) fn read(file: &Path, method: &MethodName, screen: &Screen) -> Result<Contract, Failure> {
    let set = super::super::read_file(file)?;
    Contract::parse(&set, &method.service())
        .map_err(|error| Failure::for_reason(error.reason(), &error, screen.lang))
}
