//! What changes of a registered server: its addresses and systems, and which of its sessions count.

use std::collections::BTreeSet;

use entente_clock::Timestamp;
use entente_directory::{Address, Change, ServerRecord, ServerUpdate, SessionRevoke};
use entente_follow::{Accepted, View};
use entente_identity::{ServerId, SystemId};

use super::{Office, OfficeError};

// === impl Office ===

impl Office {
    /// Replaces the addresses or the systems of a server, or both; absent stays as it is. None when they are
    /// so already.
    ///
    /// # Errors
    /// When there is no such server, or the registry refuses.
    pub async fn update_server(
        &self,
        server: &ServerId,
        addresses: Option<Vec<Address>>,
        systems: Option<BTreeSet<SystemId>>,
    ) -> Result<Option<Accepted>, OfficeError> {
        let view = self.desk.refresh().await?;
        let record = server_of(&view, server)?;
        let mut update = ServerUpdate::of(server.clone());
        update.addresses = addresses.filter(|addresses| *addresses != record.addresses);
        update.systems = systems.filter(|systems| record.systems != *systems);
        if update == ServerUpdate::of(server.clone()) {
            return Ok(None);
        }
        let change = Change::ServerUpdate(update);
        self.as_member(&change, Vec::new()).await.map(Some)
    }

    /// Ends every session of a server that was issued before a moment. None when they have ended already.
    ///
    /// # Errors
    /// When there is no such server, the moment is still to come, or the registry refuses.
    pub async fn revoke_sessions(
        &self,
        server: &ServerId,
        before: Option<Timestamp>,
    ) -> Result<(Timestamp, Option<Accepted>), OfficeError> {
        let view = self.desk.refresh().await?;
        let record = server_of(&view, server)?;
        let now = self.desk.now();
        let before = before.unwrap_or(now);
        // It could not be taken back: until then no session of the server would count.
        if before > now {
            return Err(OfficeError::NotYet { at: before });
        }
        if record.sessions_revoked_before >= Some(before) {
            return Ok((before, None));
        }
        let change = Change::SessionRevoke(SessionRevoke {
            server: server.clone(),
            issued_before: before,
        });
        let accepted = self.as_member(&change, Vec::new()).await?;
        Ok((before, Some(accepted)))
    }
}

fn server_of<'a>(view: &'a View, server: &ServerId) -> Result<&'a ServerRecord, OfficeError> {
    let record = view.state.server(server);
    record.ok_or_else(|| OfficeError::UnknownServer {
        server: server.clone(),
    })
}
