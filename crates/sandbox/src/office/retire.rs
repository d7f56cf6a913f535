//! Offering a service no longer, at once or from a day on.

use entente_directory::{Change, ServiceRetire, Sunset};
use entente_follow::Accepted;
use entente_identity::ServiceName;

use super::{Office, OfficeError};

// === impl Office ===

impl Office {
    /// Retires a service of this member, announces when it will be, or takes that back. None when it stands so
    /// already.
    ///
    /// # Errors
    /// When this member never offered it, it has ended and not now, or the registry refuses.
    pub async fn retire(
        &self,
        service: &ServiceName,
        sunset: Sunset,
    ) -> Result<Option<Accepted>, OfficeError> {
        let view = self.desk.refresh().await?;
        let (member, service) = (self.member().clone(), service.clone());
        let Some(record) = view.state.service(&service, &member) else {
            return Err(OfficeError::NotOffered { member, service });
        };
        let has_ended = !record.is_offered_at(self.desk.now());
        let stands = match sunset {
            Sunset::Now => has_ended,
            Sunset::At(at) => record.sunset == Some(at),
            Sunset::Never => record.sunset.is_none(),
        };
        if stands {
            return Ok(None);
        }
        if has_ended {
            return Err(OfficeError::Ended { member, service });
        }
        let change = Change::ServiceRetire(ServiceRetire { service, sunset });
        self.as_member(&change, Vec::new()).await.map(Some)
    }
}
