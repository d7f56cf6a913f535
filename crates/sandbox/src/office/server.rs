//! What changes of a registered server: its addresses and systems, and which of its sessions count.

use std::collections::BTreeSet;

use entente_clock::Timestamp;
use entente_directory::{
    Address, Change, Dated, HpkeKey, ServerRecord, ServerUpdate, SessionRevoke,
};
use entente_follow::{Accepted, View};
use entente_identity::{ServerId, SystemId};
use entente_signing::VerifyingKey;

use super::{Office, OfficeError};

/// What is to be registered of a server; absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Where peers reach it, best first.
    pub addresses: Option<Vec<Address>>,
    /// The systems it may sign for.
    pub systems: Option<BTreeSet<SystemId>>,
    /// The keys of its folder.
    pub keys: Option<FolderKeys>,
}

/// The keys of a server's folder that others follow, and what becomes of those that are registered.
#[derive(Clone, Debug)]
pub struct FolderKeys {
    /// What it may show in TLS, oldest first.
    pub tls: Vec<VerifyingKey>,
    /// What is sealed to, oldest first.
    pub hpke: Vec<HpkeKey>,
    /// What becomes of those that are registered.
    pub then: Then,
}

/// What becomes of the keys that are registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Only the newest of the folder stays, which is registered already.
    DropOld,
    /// They stay, and those of the folder come beside them.
    KeepAll,
}

// === impl Then ===

impl Then {
    /// The list to register; the inner none when it is so already. None when what is to stay is not registered:
    /// a server that runs may not have it yet.
    fn list<T: Clone + PartialEq>(
        self,
        held: &[Dated<T>],
        folder: Vec<T>,
    ) -> Option<Option<Vec<T>>> {
        let current = held.iter().filter(|key| key.is_current());
        let current: Vec<T> = current.map(|key| key.value.clone()).collect();
        let mut listed = current.clone();
        match self {
            Self::KeepAll => {
                // A key that was taken back does not return.
                let fresh = folder.into_iter();
                listed.extend(fresh.filter(|key| held.iter().all(|held| held.value != *key)));
            }
            Self::DropOld => {
                let newest = folder.into_iter().next_back();
                listed = vec![newest.filter(|newest| current.contains(newest))?];
            }
        }
        Some(Some(listed).filter(|listed| *listed != current))
    }
}

// === impl Office ===

impl Office {
    /// Replaces the addresses, the systems or the keys of a server; absent stays as it is. None when they are
    /// so already.
    ///
    /// # Errors
    /// When there is no such server, old keys are to go while the newest is not registered, or the registry
    /// refuses.
    pub async fn update_server(
        &self,
        server: &ServerId,
        wanted: Wanted,
    ) -> Result<Option<Accepted>, OfficeError> {
        let view = self.desk.refresh().await?;
        let record = server_of(&view, server)?;
        let Wanted {
            addresses,
            systems,
            keys,
        } = wanted;
        let mut update = ServerUpdate::of(server.clone());
        update.addresses = addresses.filter(|addresses| *addresses != record.addresses);
        update.systems = systems.filter(|systems| record.systems != *systems);
        if let Some(FolderKeys { tls, hpke, then }) = keys {
            let unregistered = || OfficeError::NewestKeyAway {
                server: server.clone(),
            };
            update.tls = then.list(&record.tls, tls).ok_or_else(unregistered)?;
            update.hpke = then.list(&record.hpke, hpke).ok_or_else(unregistered)?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn held(keys: &[(u32, bool)]) -> Vec<Dated<u32>> {
        let at = Timestamp::from_millis(1);
        let keys = keys.iter().map(|(value, is_current)| Dated {
            value: *value,
            from: at,
            until: (!is_current).then_some(at),
        });
        keys.collect()
    }

    #[test]
    fn keys_of_a_folder_come_beside_those_in_force_and_what_ended_does_not_return() {
        let held = held(&[(1, false), (2, true)]);
        let listed = |folder: &[u32]| Then::KeepAll.list(&held, folder.to_vec());
        assert_eq!(listed(&[1, 2, 3]), Some(Some(vec![2, 3])));
        assert_eq!(listed(&[1, 2]), Some(None));
        assert_eq!(listed(&[3]), Some(Some(vec![2, 3])), "beside");
    }

    #[test]
    fn old_keys_go_only_once_the_newest_is_registered() {
        let held = held(&[(1, true), (2, true)]);
        let listed = |folder: &[u32]| Then::DropOld.list(&held, folder.to_vec());
        assert_eq!(listed(&[1, 2]), Some(Some(vec![2])));
        assert_eq!(listed(&[1, 2, 3]), None);
        assert_eq!(listed(&[]), None);
        assert_eq!(Then::DropOld.list(&held[1..], vec![2]), Some(None));
    }
}
