//! What peers signed against themselves: kept as files, so that it outlives this process and can be
//! handed to whoever judges.
//!
//! `<data>/incidents/fork.<jurisdiction>!<member>!@<server>.<sha256>`: two signed notes of one size, one
//! after the other. While the file is there, nothing is exchanged with that server; who has settled the
//! matter moves it away and starts the server anew. `<sha256>` is of the ledger's origin: one is enough.
//!
//! `<data>/incidents/inconsistent.…`: the same of two sizes, when the server did not show how one continues
//! the other. It proves nothing alone; whoever may ask the server for that can settle it.
//!
//! `<data>/incidents/omission.<jurisdiction>!<member>!@<server>.<sha256>`: a proof that the server broke
//! the promise in an answer, which the hash is of; `entente log prove-omission --check` reads it.

use std::path::PathBuf;
use std::sync::Arc;

use entente_bundle::omission::Omission;
use entente_identity::ServerId;
use entente_ledger::disk::{Disk, DiskError, durable};
use entente_reason::Reason;
use entente_signing::Digest;

/// The folder of incidents.
#[derive(Clone, Debug)]
pub(crate) struct Incidents {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// What a server signed against itself. Notes are each signed by the ledger's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// Two checkpoints of one ledger and one size, with different roots.
    Fork([String; 2]),
    /// Two checkpoints of one ledger, of which one was not shown to continue the other.
    Inconsistent([String; 2]),
    /// A broken promise.
    Omission(Box<Omission>),
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

    /// Keeps what a server signed against itself: the first of each kind and about each ledger. Durable
    /// when it returns.
    ///
    /// # Errors
    /// `LOG_UNAVAILABLE` when it is not.
    pub(crate) async fn keep(&self, peer: &ServerId, against: Against) -> Result<(), Reason> {
        let (incidents, named) = (self.clone(), peer.clone());
        let kept = tokio::task::spawn_blocking(move || incidents.write(&named, &against)).await;
        match kept {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => tracing::error!(event = "incident.not_kept", peer = %peer, %error),
            // Stopped, as if the process had died.
            Err(_) => tracing::error!(event = "incident.not_kept", peer = %peer),
        }
        Err(Reason::LogUnavailable)
    }

    fn write(&self, peer: &ServerId, against: &Against) -> Result<(), DiskError> {
        let (kind, about, bytes) = match against {
            Against::Fork(notes) => ("fork", origin_of(notes), notes.concat()),
            Against::Inconsistent(notes) => ("inconsistent", origin_of(notes), notes.concat()),
            Against::Omission(omission) => {
                ("omission", Digest::of(&omission.answer), omission.to_json())
            }
        };
        let name = format!("{kind}.{}.{about}", peer.to_string().replace('/', "!"));
        let path = self.dir.join(name);
        if self.disk.exists(&path)? {
            return Ok(());
        }
        durable::replace(&*self.disk, &path, bytes.as_bytes())
    }
}

/// The ledger two notes are of: their first line.
fn origin_of(notes: &[String; 2]) -> Digest {
    Digest::of(notes[0].lines().next().unwrap_or_default().as_bytes())
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
        let notes = |root: &str| ["o\n7\n", "o\n7\n"].map(|note| note.to_owned() + root);
        let inconsistent = Against::Inconsistent(notes("a"));
        open().write(&peer, &inconsistent).unwrap();
        assert_eq!(open().forked(), []);
        for root in ["a", "b"] {
            open().write(&peer, &Against::Fork(notes(root))).unwrap();
        }
        // Of one ledger once: who has forked could go on for ever.
        assert_eq!(open().forked(), [peer]);
        let kept = std::fs::read_dir(dir.path().join("incidents")).unwrap();
        assert_eq!(kept.count(), 2);
    }
}
