//! A registrar's acts on other jurisdictions: recognising their registries, and how that stands.

use entente_directory::{Change, Recognise, RecognitionAct, RecognitionLimits, Standing};
use entente_follow::{Accepted, Anchor};
use entente_identity::Jurisdiction;

use super::{Registrar, RegistrarError};

impl Registrar {
    /// Recognises another jurisdiction's registry within limits, in the place of what was said of it before.
    /// None when that is so already.
    ///
    /// # Errors
    /// When an address in the anchor is of one machine only, or the registry refuses.
    pub async fn recognise(
        &self,
        anchor: &Anchor,
        limits: RecognitionLimits,
    ) -> Result<Option<Accepted>, RegistrarError> {
        let body = Recognise {
            jurisdiction: anchor.jurisdiction.clone(),
            anchor: anchor.to_foreign().ok_or(RegistrarError::LocalAddress)?,
            limits,
        };
        let view = self.desk.refresh().await?;
        let held = view.state.recognised(&body.jurisdiction);
        let is_so =
            held.is_some_and(|held| held.anchor == body.anchor && held.limits == body.limits);
        if is_so {
            return Ok(None);
        }
        self.submit(&Change::Recognise(body)).await.map(Some)
    }

    /// Suspends, resumes or ends a recognition. None when it stands so already.
    ///
    /// # Errors
    /// When there is none, it has ended, or the registry refuses.
    pub async fn trust(
        &self,
        jurisdiction: &Jurisdiction,
        standing: Standing,
        reason: Option<String>,
    ) -> Result<Option<Accepted>, RegistrarError> {
        let view = self.desk.refresh().await?;
        let jurisdiction = jurisdiction.clone();
        let held = view.state.recognition(&jurisdiction);
        match held.map(|held| held.standing) {
            None => return Err(RegistrarError::NotRecognised { jurisdiction }),
            Some(held) if held == standing => return Ok(None),
            // What has ended is recognised anew, from its anchor.
            Some(Standing::Ended) => return Err(RegistrarError::NotRecognised { jurisdiction }),
            Some(Standing::Active | Standing::Suspended) => {}
        }
        let act = RecognitionAct {
            jurisdiction,
            reason,
        };
        let change = match standing {
            Standing::Active => Change::RecognitionResume(act),
            Standing::Suspended => Change::RecognitionSuspend(act),
            Standing::Ended => Change::RecognitionRevoke(act),
        };
        self.submit(&change).await.map(Some)
    }
}
