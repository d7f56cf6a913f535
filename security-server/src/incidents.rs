//! What peers signed against themselves: kept as files, so that it outlives this process and can be
//! handed to whoever judges.
//!
//! `<data>/incidents/fork.<jurisdiction>!<member>!@<server>.<sha256>`: two signed notes, one after the other. While the
//! file is there, nothing is exchanged with that server; who has settled the matter moves it away and
//! starts the server anew.
//!
//! `<data>/incidents/omission.<jurisdiction>!<member>!@<server>.<sha256>`: a proof that the server broke
//! the promise in an answer; `entente log prove-omission --check` reads it.

use std::path::PathBuf;
use std::sync::Arc;

use entente_bundle::omission::Omission;
use entente_follow::durable;
use entente_identity::ServerId;
use entente_ledger::disk::{Disk, DiskError};
use entente_signing::Digest;

/// The folder of incidents.
#[derive(Clone, Debug)]
pub(crate) struct Incidents {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// Two checkpoints of one ledger and one size, with different roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fork {
    /// Both, each signed by the ledger's key.
    pub(crate) notes: [String; 2],
}

// === impl Incidents ===

impl Incidents {
    /// Opens the folder, creating it when missing.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Self, DiskError> {
        disk.create_dir_all(&dir)?;
        durable::sweep(&*disk, &dir)?;
        Ok(Self { disk, dir })
    }

    /// The servers whose forks are kept here.
    pub(crate) fn forked(&self) -> Vec<ServerId> {
        let items = self.disk.list(&self.dir).unwrap_or_default();
        let names = items.iter().filter(|item| !item.is_dir);
        names.filter_map(|item| server_of(&item.name)).collect()
    }

    /// Keeps a fork. That it could not be kept is logged: the entries in the ledger remain.
    pub(crate) fn keep_fork(&self, peer: &ServerId, fork: &Fork) {
        let bytes = fork.notes.concat();
        let name = format!("{}.{}", prefix(peer), Digest::of(bytes.as_bytes()));
        let kept = durable::replace(&*self.disk, &self.dir.join(&name), bytes.as_bytes());
        if let Err(error) = kept {
            tracing::error!(event = "incident.not_kept", name, %error);
        }
    }

    /// Keeps the proof of a broken promise. Durable when it returns.
    pub(crate) fn keep_omission(
        &self,
        peer: &ServerId,
        omission: &Omission,
    ) -> Result<(), DiskError> {
        let text = omission.to_json();
        let id = Digest::of(text.as_bytes());
        let name = format!("omission.{}.{id}", peer.to_string().replace('/', "!"));
        durable::replace(&*self.disk, &self.dir.join(name), text.as_bytes())
    }
}

/// `fork.<jurisdiction>!<member>!@<server>`: a name with `/` in it, as part of a file's.
fn prefix(peer: &ServerId) -> String {
    format!("fork.{}", peer.to_string().replace('/', "!"))
}

fn server_of(name: &str) -> Option<ServerId> {
    let (server, _) = name.strip_prefix("fork.")?.rsplit_once('.')?;
    server.replace('!', "/").parse().ok()
}

#[cfg(test)]
mod tests {
    use entente_ledger::disk::RealDisk;

    use super::*;

    #[test]
    fn a_fork_is_found_again_under_its_servers_name() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Incidents::open(Arc::new(RealDisk), dir.path().join("incidents")).unwrap();
        let peer: ServerId = "ca-on.sudbury/clerk/@ss1".parse().unwrap();
        assert_eq!(open().forked(), []);
        let fork = Fork {
            notes: ["one".to_owned(), "two".to_owned()],
        };
        open().keep_fork(&peer, &fork);
        open().keep_fork(&peer, &fork);
        assert_eq!(open().forked(), [peer]);
    }
}
