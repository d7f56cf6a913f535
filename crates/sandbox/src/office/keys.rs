//! The member's keys in the registry: which are in force here, adding one, revoking one.

use std::path::PathBuf;
use std::sync::Arc;

use entente_directory::{
    Change, Dated, KeyAdd, KeyRevoke, KeyRole, MemberKey, MemberRecord, NewKey,
};
use entente_follow::{Accepted, View};
use entente_keys::{KeyEntry, KeyKind, KeyStore, KeyUse};
use entente_signing::{KeyId, Signer};

use super::{Office, OfficeError};

/// A key that is registered for the member.
#[derive(Clone, Debug)]
pub struct AddedKey {
    /// Which.
    pub key: KeyId,
    /// Its file.
    pub file: PathBuf,
    /// Where the change was logged; none when the key was registered already.
    pub accepted: Option<Accepted>,
}

/// A key that is revoked.
#[derive(Clone, Copy, Debug)]
pub struct RevokedKey {
    /// Which.
    pub key: KeyId,
    /// What it was for.
    pub role: KeyRole,
    /// Where the change was logged; none when the key was revoked already.
    pub accepted: Option<Accepted>,
}

// === impl Office ===

impl Office {
    /// Where this desk's keys are.
    pub fn key_folder(&self) -> PathBuf {
        self.keys.folder().to_owned()
    }

    /// Registers the key of a role that is in a folder, and makes it there when it is missing. The recovery
    /// key signs for it, and the new key that it is held.
    ///
    /// # Errors
    /// When a key cannot be used, or the registry refuses.
    pub async fn add_key(&self, role: KeyRole, folder: &KeyStore) -> Result<AddedKey, OfficeError> {
        let view = self.desk.refresh().await?;
        let record = self.record(&view)?;
        let key_use = use_of(role);
        let ever = record.keys.iter().filter(|key| key.value.role == role);
        let next = (ever.count() + 1).to_string();
        let mut there = folder.list()?;
        there.retain(|entry| entry.key_use == key_use);
        // First what the member never had, then what is in force: a revoked one does not come back.
        let rank = |entry: &KeyEntry| {
            let is_it =
                |key: &&Dated<MemberKey>| entry.kind == KeyKind::Signing(key.value.key.key_id());
            record.keys.iter().find(is_it).map(|key| key.until)
        };
        there.sort_by_key(rank);
        let label = there.into_iter().next().map_or(next, |entry| entry.label);
        // If we crash here, the key is there and not registered: the next time it is.
        let signer = folder.load_or_generate(key_use, &label)?;
        let key = signer.verifying_key().clone();
        let mut added = AddedKey {
            key: key.key_id(),
            file: folder.folder().join(format!("{key_use}.{label}.pem")),
            accepted: None,
        };
        if record.key(added.key).is_some_and(|held| held.role == role) {
            return Ok(added);
        }
        let recovery = self.in_force(KeyUse::Recovery)?;
        let recovery = recovery.ok_or_else(|| self.key_away())?;
        let key = NewKey { role, key };
        let member = self.member().clone();
        let proof = signer.sign(&KeyAdd::proof_message(&member, &key))?;
        let change = Change::KeyAdd(KeyAdd { member, key, proof });
        let accepted = self.submit_with(&*recovery, &change, Vec::new()).await?;
        added.accepted = Some(accepted);
        Ok(added)
    }

    /// Revokes a key, by the recovery key when it is here, and else by the key itself. The last key in force
    /// of its role only when `last`.
    ///
    /// # Errors
    /// When the member never had the key, neither key is here, or the registry refuses.
    pub async fn revoke_key(&self, key: &str, last: bool) -> Result<RevokedKey, OfficeError> {
        let view = self.desk.refresh().await?;
        let record = self.record(&view)?;
        let held = record.keys.iter();
        let mut held = held.filter(|held| held.value.key.key_id().to_string() == key);
        let held = held.next().ok_or_else(|| OfficeError::UnknownKey {
            member: self.member().clone(),
            key: key.to_owned(),
        })?;
        let (role, key) = (held.value.role, held.value.key.key_id());
        let mut revoked = RevokedKey {
            key,
            role,
            accepted: None,
        };
        if held.until.is_some() {
            return Ok(revoked);
        }
        if record.keys_for(role).count() == 1 && !last {
            return Err(OfficeError::LastKey { key, role });
        }
        let signer = match self.in_force(KeyUse::Recovery)? {
            Some(recovery) => recovery,
            None => self.itself(role, key)?.ok_or_else(|| self.key_away())?,
        };
        let change = Change::KeyRevoke(KeyRevoke {
            member: self.member().clone(),
            key: held.value.key.spki_digest(),
        });
        let accepted = self.submit_with(&*signer, &change, Vec::new()).await?;
        revoked.accepted = Some(accepted);
        Ok(revoked)
    }

    /// Of the keys of a use in this desk's folder, the one added last that is in force.
    pub(super) fn in_force(&self, key_use: KeyUse) -> Result<Option<Arc<dyn Signer>>, OfficeError> {
        let view = self.desk.view();
        let Some(record) = view.state.member(self.member()) else {
            return Ok(None);
        };
        let held = record.keys.iter().rev().filter(|key| key.is_current());
        for key in held.filter(|key| use_of(key.value.role) == key_use) {
            if let Some(signer) = self.here(key_use, key.value.key.key_id())? {
                return Ok(Some(signer));
            }
        }
        Ok(None)
    }

    fn itself(&self, role: KeyRole, key: KeyId) -> Result<Option<Arc<dyn Signer>>, OfficeError> {
        let token = self.in_token(use_of(role))?;
        match token.filter(|signer| signer.verifying_key().key_id() == key) {
            Some(signer) => Ok(Some(signer)),
            None => self.here(use_of(role), key),
        }
    }

    /// The key, when it is in this desk's folder.
    fn here(&self, key_use: KeyUse, key: KeyId) -> Result<Option<Arc<dyn Signer>>, OfficeError> {
        let entries = self.keys.list()?.into_iter();
        let mut entries = entries.filter(|entry| entry.key_use == key_use);
        match entries.find(|entry| entry.kind == KeyKind::Signing(key)) {
            Some(entry) => Ok(Some(self.keys.load(key_use, &entry.label)?)),
            None => Ok(None),
        }
    }

    fn record<'a>(&self, view: &'a View) -> Result<&'a MemberRecord, OfficeError> {
        let record = view.state.member(self.member());
        record.ok_or_else(|| OfficeError::UnknownMember {
            member: self.member().clone(),
        })
    }

    fn key_away(&self) -> OfficeError {
        let folder = self.key_folder();
        OfficeError::KeyAway { folder }
    }
}

const fn use_of(role: KeyRole) -> KeyUse {
    match role {
        KeyRole::Member => KeyUse::Member,
        KeyRole::Officer => KeyUse::Officer,
        KeyRole::Recovery => KeyUse::Recovery,
    }
}
