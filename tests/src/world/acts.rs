//! What may happen in a federation after it was built: a member joins, is suspended, loses sessions.

use std::time::Duration;

use anyhow::Context as _;
use entente_clock::Timestamp;
use entente_directory::{Author, Change, HpkeKey, MemberAct, Policy, ServerUpdate, SessionRevoke};
use entente_keys::{Chain, MemberCertificate, Validity};
use entente_signing::{Signer, VerifyingKey};

use super::{CONSUMER, Site, World};

// === impl World ===

impl World {
    /// What the federation's clock says.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Another member, `ca-demo/<member>`, with one server and one system. It is party to nothing.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn join(&self, member: &str, system: &str) -> anyhow::Result<Site> {
        let site = Site::lay_out(&self.dir, &self.anchor, member, system, CONSUMER)?;
        self.admit(&site).await?;
        self.register(&site).await?;
        Ok(site)
    }

    /// The registrar makes a change.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn by_registrar(&self, change: &Change) -> anyhow::Result<()> {
        self.submit(Author::Registrar, &*self.registrar, change, Vec::new())
            .await
    }

    /// The registrar puts another policy in force, changed from the present one.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn change_policy(&self, change: impl FnOnce(&mut Policy)) -> anyhow::Result<()> {
        let view = self.view();
        let mut policy = view.state.policy().context("a policy is in force")?.clone();
        change(&mut policy);
        let change = Change::Policy(policy);
        self.submit(Author::Registrar, &*self.registrar, &change, Vec::new())
            .await
    }

    /// A member's certificates for its server, by any key: rightly by its own.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn certify(
        &self,
        site: &Site,
        by: &dyn Signer,
        server_key: &VerifyingKey,
    ) -> anyhow::Result<Chain> {
        let begins = self.now().saturating_sub(Duration::from_secs(3600));
        let validity = Validity::lasting(begins, Validity::USUAL).context("a period")?;
        let root = MemberCertificate::issue(by, &site.member, validity)?;
        Ok(root.certify(by, &site.server, server_key, validity)?)
    }

    /// The registrar suspends a member.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn suspend(&self, site: &Site) -> anyhow::Result<()> {
        let change = Change::MemberSuspend(MemberAct {
            member: site.member.clone(),
            reason: Some("TEST".to_owned()),
        });
        self.submit(Author::Registrar, &*self.registrar, &change, Vec::new())
            .await
    }

    /// A member registers other keys of its server for TLS and to seal to; an empty list stays as it is.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn change_keys(
        &self,
        site: &Site,
        tls: Vec<VerifyingKey>,
        hpke: Vec<HpkeKey>,
    ) -> anyhow::Result<()> {
        let mut update = ServerUpdate::of(site.server.clone());
        update.tls = Some(tls).filter(|keys| !keys.is_empty());
        update.hpke = Some(hpke).filter(|keys| !keys.is_empty());
        let author = Author::Member(site.member.clone());
        let change = Change::ServerUpdate(update);
        self.submit(author, &*site.key, &change, Vec::new()).await
    }

    /// A member ends every session of its server that began before a moment.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn revoke_sessions(&self, site: &Site, before: Timestamp) -> anyhow::Result<()> {
        let change = Change::SessionRevoke(SessionRevoke {
            server: site.server.clone(),
            issued_before: before,
        });
        let author = Author::Member(site.member.clone());
        self.submit(author, &*site.key, &change, Vec::new()).await
    }
}
