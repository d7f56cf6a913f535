//! Applying for membership: once, however often it is tried.

use std::path::PathBuf;

use bytes::Bytes;
use entente_directory::{Application, KeyRole, Name, NewKey};
use entente_follow::Applied;
use entente_keys::KeyUse;
use entente_ledger::disk::durable;
use entente_signing::Signer;

use super::{LABEL, Office, OfficeError};
use crate::desk::DeskError;

impl Office {
    /// Applies for membership with the keys of this office, which are made when missing. The application is
    /// kept beside them: applying again hands in the same one, so that its fingerprint stays.
    ///
    /// # Errors
    /// When a key cannot be used, or the registry refuses.
    pub async fn apply(&self) -> Result<Applied, OfficeError> {
        let bytes = self.application()?;
        let applied = self.desk.client().apply(bytes).await;
        Ok(applied.map_err(DeskError::from)?)
    }

    /// Whether the registry has admitted this member; waits for it without end. Cancel-safe.
    pub async fn admitted(&self) {
        let mut views = self.desk.directory().views();
        let member = self.member();
        // Who is followed no more admits nobody; then the caller's patience ends this.
        let admitted = views.wait_for(|view| view.state.member(member).is_some());
        if admitted.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The application kept here if it still says what it would say now, or else a new one.
    fn application(&self) -> Result<Bytes, OfficeError> {
        let roles = [
            (KeyRole::Recovery, KeyUse::Recovery),
            (KeyRole::Officer, KeyUse::Officer),
            (KeyRole::Member, KeyUse::Member),
        ];
        let mut keys = Vec::new();
        let mut signers = Vec::new();
        for (role, key_use) in roles {
            let signer = match self.in_token(key_use)? {
                Some(signer) => signer,
                None => self.keys.load_or_generate(key_use, LABEL)?,
            };
            let key = signer.verifying_key().clone();
            keys.push(NewKey { role, key });
            signers.push(signer);
        }
        let application = Application {
            registry: self.desk.anchor().origin().to_owned(),
            member: self.member().clone(),
            class: self.file.class.0.clone(),
            name: Name {
                en: self.file.name.en.clone(),
                fr: self.file.name.fr.clone(),
            },
            keys,
        };
        let disk = &*self.desk.seams().disk;
        let path = self.application_path();
        if let Ok(held) = disk.read(&path)
            && Application::parse(&held).is_ok_and(|held| held == application)
        {
            return Ok(held.into());
        }
        let signers: Vec<&dyn Signer> = signers.iter().map(|signer| &**signer).collect();
        let bytes = application.sign(&signers)?;
        // If we crash before it is handed in, the next try hands in this one.
        durable::replace(disk, &path, &bytes).map_err(OfficeError::Application)?;
        Ok(bytes.into())
    }

    fn application_path(&self) -> PathBuf {
        self.file.keys.as_path().join("application.cbor")
    }
}
