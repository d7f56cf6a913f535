//! What may happen in a federation after it was built: a member joins, is suspended, loses sessions.

use anyhow::Context as _;
use entente_clock::Timestamp;
use entente_directory::{Author, Change, MemberAct, Policy, SessionRevoke};

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
