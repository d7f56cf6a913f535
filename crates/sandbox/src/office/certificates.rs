//! The court path: a member issues its own certificate and those of its servers.

use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::ServerId;
use entente_keys::{Chain, ChainIssueError, KeyUse, MemberCertificate, Validity};
use entente_security_server::enrol::EnrolError;
use entente_signing::VerifyingKey;

use super::{LABEL, Office, OfficeError};

/// How far before now a certificate begins: a server's clock may be behind this desk's.
const BEFORE: Duration = Duration::from_secs(24 * 60 * 60);

// === impl Office ===

impl Office {
    /// The member's own certificate, issued when it is missing, over, or to be `renewed`.
    ///
    /// # Errors
    /// When the member's key or what is kept beside it cannot be used.
    pub fn certificate(&self, renewed: bool) -> Result<MemberCertificate, OfficeError> {
        let now = self.desk.now();
        let key = self.signer(KeyUse::Member)?;
        let kept = match self.keys.certificates(KeyUse::Member, LABEL)? {
            Some(pem) if !renewed => MemberCertificate::from_pem(&pem).ok(),
            _ => None,
        };
        let good = kept.filter(|kept| {
            kept.key() == key.verifying_key()
                && kept.member() == self.member()
                && kept.validity().contains(now)
        });
        if let Some(kept) = good {
            return Ok(kept);
        }
        let validity = usual(now).ok_or(ChainIssueError::Validity)?;
        let issued = MemberCertificate::issue(&*key, self.member(), validity)?;
        self.keys
            .keep_certificates(KeyUse::Member, LABEL, &issued.to_pem())?;
        Ok(issued)
    }

    /// Issues the certificate of one of this member's servers, for as long as the member's own lasts.
    ///
    /// # Errors
    /// When the server is another member's, or the member's key cannot be used.
    pub fn certify(
        &self,
        server: &ServerId,
        server_key: &VerifyingKey,
        renewed: bool,
    ) -> Result<Chain, OfficeError> {
        let root = self.certificate(renewed)?;
        let key = self.signer(KeyUse::Member)?;
        let validity = root.validity();
        Ok(root.certify(&*key, server, server_key, validity)?)
    }

    /// As [`Self::certify`], for the key that the registry holds for the server.
    ///
    /// # Errors
    /// As [`Self::certify`], and when the registry holds none.
    pub async fn certify_registered(
        &self,
        server: &ServerId,
        renewed: bool,
    ) -> Result<Chain, OfficeError> {
        let view = self.desk.refresh().await?;
        let key = view.state.server(server).and_then(|record| record.key());
        let key = key.ok_or_else(|| OfficeError::UnknownServer {
            server: server.clone(),
        })?;
        self.certify(server, key, renewed)
    }
}

fn usual(now: Timestamp) -> Option<Validity> {
    // Whole days, so that what is issued twice in a day is the same.
    let begins = now.day().start().saturating_sub(BEFORE);
    Validity::lasting(begins, Validity::USUAL)
}

impl From<ChainIssueError> for OfficeError {
    fn from(error: ChainIssueError) -> Self {
        Self::Enrol(EnrolError::Issue(error))
    }
}
