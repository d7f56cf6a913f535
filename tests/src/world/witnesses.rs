//! A witness of the federation's ledgers that is nobody's server.

use entente_oversight::witness::{Config, Deps, Running};

use super::{World, write};

// === impl World ===

impl World {
    /// The commissioner's witness, under the federation's clock; at `listen`, which may be any port.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn commissioner(&self, listen: &str) -> anyhow::Result<Running> {
        let anchor = self.consumer.dir.join("anchor.yaml");
        let yaml = format!(
            "name: witness.commissioner.example\nlisten: {listen}\ndata: ./data\nkeys: ./keys\n\
             anchors: [\"{}\"]\n",
            anchor.display()
        );
        let file = self.dir.join("commissioner/witness.yaml");
        write(&file, &yaml)?;
        let deps = Deps {
            clock: self.clock.clone(),
            ..Deps::real()
        };
        Ok(Running::start(Config::load(&file)?, deps).await?)
    }

    /// Puts a policy in force that asks for the cosignature of the commissioner alone.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn trust(&self, commissioner: &Running) -> anyhow::Result<()> {
        let policy = policy_of(commissioner, "quorum commissioner\n").parse()?;
        self.change_policy(|held| held.witnesses = policy).await
    }
}

/// A policy that knows the commissioner, and what `more` says.
pub fn policy_of(commissioner: &Running, more: &str) -> String {
    let (key, at) = (commissioner.key(), commissioner.endpoint());
    format!("witness commissioner {key} http://{at}\n{more}")
}
