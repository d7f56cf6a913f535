//! Offering a service no longer.

use entente_directory::{Change, ServiceRetire};
use entente_follow::Accepted;
use entente_identity::ServiceName;

use super::{Office, OfficeError};

// === impl Office ===

impl Office {
    /// Retires a service of this member. None when it is retired already.
    ///
    /// # Errors
    /// When this member never offered it, or the registry refuses.
    pub async fn retire(&self, service: &ServiceName) -> Result<Option<Accepted>, OfficeError> {
        let view = self.desk.refresh().await?;
        let service = service.clone();
        match view.state.service(&service, self.member()) {
            None => {
                let member = self.member().clone();
                return Err(OfficeError::NotOffered { member, service });
            }
            Some(record) if record.retired.is_some() => return Ok(None),
            Some(_) => {}
        }
        let change = Change::ServiceRetire(ServiceRetire { service });
        self.as_member(&change, Vec::new()).await.map(Some)
    }
}
