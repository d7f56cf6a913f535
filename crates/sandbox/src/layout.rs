//! Where everything in a sandbox's folder is, and who is in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use entente_identity::{MemberId, ServerId, SystemId};

use crate::across::Across;

/// A jurisdiction of the sandbox, which has a registry of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Realm {
    /// Whose names its registry speaks for.
    pub jurisdiction: &'static str,
    /// Where its registry is, from the sandbox's folder.
    registry: &'static str,
    /// Its agencies.
    pub agencies: &'static [Agency],
}

/// An agency of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agency {
    /// The jurisdiction whose registry admits it.
    pub jurisdiction: &'static str,
    /// The last part of its member name.
    pub label: &'static str,
    /// Where it is, from the sandbox's folder.
    folder: &'static str,
    /// The last part of its system's name.
    pub system: &'static str,
    /// Its name in English.
    pub en: &'static str,
    /// Its name in French.
    pub fr: &'static str,
    /// Whether its system asks others; otherwise it answers.
    pub asks: bool,
}

/// The agencies of the first jurisdiction, provider first.
pub const AGENCIES: [Agency; 3] = [
    Agency {
        jurisdiction: "ca-demo",
        label: "vital-events",
        folder: "vital-events",
        system: "registry",
        en: "Vital Events Agency",
        fr: "Agence de l’état civil",
        asks: false,
    },
    Agency {
        jurisdiction: "ca-demo",
        label: "pensions",
        folder: "pensions",
        system: "benefits",
        en: "Department of Pensions",
        fr: "Ministère des Rentes",
        asks: true,
    },
    Agency {
        jurisdiction: "ca-demo",
        label: "transport",
        folder: "transport",
        system: "licences",
        en: "Department of Transport",
        fr: "Ministère des Transports",
        asks: true,
    },
];

/// The agency of one province, which asks across.
pub const HEALTH: Agency = Agency {
    jurisdiction: "ca-demo-qc",
    label: "health",
    folder: "qc/health",
    system: "cards",
    en: "Ministry of Health",
    fr: "Ministère de la Santé",
    asks: true,
};

/// The agency of the other province, which answers across from a register of its own.
pub const DEATHS: Agency = Agency {
    jurisdiction: "ca-demo-on",
    label: "vital-events",
    folder: "on/vital-events",
    system: "registry",
    en: "Office of Vital Events",
    fr: "Bureau de l’état civil",
    asks: false,
};

/// The jurisdiction that a sandbox begins with.
pub const FEDERAL: Realm = Realm {
    jurisdiction: "ca-demo",
    registry: "registry",
    agencies: &AGENCIES,
};

/// The provinces: each recognises the first jurisdiction and is recognised by it, then each the other.
pub const PROVINCES: [Realm; 2] = [
    Realm {
        jurisdiction: "ca-demo-qc",
        registry: "qc/registry",
        agencies: &[HEALTH],
    },
    Realm {
        jurisdiction: "ca-demo-on",
        registry: "on/registry",
        agencies: &[DEATHS],
    },
];

/// The paths of a sandbox. Nothing is touched by asking for one.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

/// A folder that a sandbox may not replace or use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotASandbox {
    /// It holds files, and no sandbox made them.
    #[error("{} holds files that are not a sandbox's: nothing was touched", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be read or changed.
    #[error("using the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is none.
    #[error("there is no sandbox in {}", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
}

// === impl Agency ===

impl Agency {
    /// `ca-demo/pensions`.
    pub fn member(&self) -> MemberId {
        name(&format!("{}/{}", self.jurisdiction, self.label))
    }

    /// `ca-demo/pensions/benefits`.
    pub fn system(&self) -> SystemId {
        let Self { label, system, .. } = self;
        name(&format!("{}/{label}/{system}", self.jurisdiction))
    }

    /// `ca-demo/pensions/@ss1`.
    pub fn server(&self) -> ServerId {
        name(&format!("{}/{}/@ss1", self.jurisdiction, self.label))
    }
}

fn name<T: std::str::FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| unreachable!("names of the sandbox are names: {text}"))
}

// === impl Layout ===

impl Layout {
    /// The layout of a sandbox in `root`.
    pub fn of(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Says that a sandbox made this folder, and so may replace it.
    pub fn marker(&self) -> PathBuf {
        self.root.join(".entente-sandbox")
    }

    /// Held by the process that runs the sandbox.
    pub fn lock(&self) -> PathBuf {
        self.root.join("sandbox.lock")
    }

    /// Where that process listens, for `sandbox status`.
    pub fn status(&self) -> PathBuf {
        self.root.join("status.json")
    }

    /// What that process logs.
    pub fn log(&self) -> PathBuf {
        self.root.join("sandbox.log")
    }

    /// A registry's folder.
    pub fn registry(&self, realm: &Realm) -> PathBuf {
        self.root.join(realm.registry)
    }

    /// `registry.yaml`.
    pub fn registry_config(&self, realm: &Realm) -> PathBuf {
        self.registry(realm).join("registry.yaml")
    }

    /// The anchor that the registry writes.
    pub fn anchor(&self, realm: &Realm) -> PathBuf {
        self.registry(realm).join("anchor.yaml")
    }

    /// An agency's folder.
    pub fn agency(&self, agency: &Agency) -> PathBuf {
        self.root.join(agency.folder)
    }

    /// An agency's `member.yaml`.
    pub fn member_file(&self, agency: &Agency) -> PathBuf {
        self.agency(agency).join("member.yaml")
    }

    /// An agency's `security-server.yaml`.
    pub fn server_config(&self, agency: &Agency) -> PathBuf {
        self.agency(agency).join("security-server.yaml")
    }

    /// An agency's data folder.
    pub fn data(&self, agency: &Agency) -> PathBuf {
        self.agency(agency).join("data")
    }

    /// An agency's ledgers, one folder a shard.
    pub fn ledgers(&self, agency: &Agency) -> PathBuf {
        self.data(agency).join("ledger")
    }

    /// The socket through which a consumer's system calls its server.
    pub fn caller_socket(&self, agency: &Agency) -> PathBuf {
        self.agency(agency).join(format!("{}.sock", agency.system))
    }

    /// The adapter of an agency that answers, with its legacy database.
    pub fn adapter(&self, agency: &Agency) -> PathBuf {
        self.agency(agency).join("adapter")
    }

    /// That agency's adapter file.
    pub fn adapter_config(&self, agency: &Agency) -> PathBuf {
        self.adapter(agency).join("vital-events.adapter.yaml")
    }

    /// The socket on which that adapter answers its server.
    pub fn adapter_socket(&self, agency: &Agency) -> PathBuf {
        self.adapter(agency).join("adapter.sock")
    }

    /// The agreement's file; one for each version, from 1.
    pub fn agreement(&self, version: u32) -> PathBuf {
        self.root.join(format!("agreement-v{version}.yaml"))
    }

    /// The file of an agreement between two jurisdictions.
    pub fn agreement_across(&self, agreement: &Across) -> PathBuf {
        self.root.join(format!("agreement-{}.yaml", agreement.id))
    }

    /// Says that the provinces were built too.
    pub(crate) fn provinces_built(&self) -> PathBuf {
        self.root.join(".provinces-built")
    }

    /// Whether the provinces were built here to the end.
    pub(crate) fn has_provinces(&self) -> bool {
        self.provinces_built().is_file()
    }

    /// The jurisdictions that were built here to the end.
    pub fn realms(&self) -> Vec<Realm> {
        let mut realms = vec![FEDERAL];
        if self.has_provinces() {
            realms.extend(PROVINCES);
        }
        realms
    }

    /// Says that everything was built, and may be started.
    pub(crate) fn built(&self) -> PathBuf {
        self.root.join(".built")
    }

    /// Whether a federation was built here to the end.
    pub fn is_built(&self) -> bool {
        self.built().is_file()
    }

    /// Whether a sandbox made this folder.
    pub fn exists(&self) -> bool {
        self.marker().is_file()
    }

    /// Makes an empty folder for a new sandbox, in the place of an older one of its own.
    ///
    /// # Errors
    /// When there is a folder of somebody else's, or it cannot be made.
    pub fn prepare(&self) -> Result<(), NotASandbox> {
        let failed = |source| NotASandbox::Folder {
            path: self.root.clone(),
            source,
        };
        if self.exists() {
            // The marker goes last: whatever remains of a removal cut short is still ours.
            for item in fs::read_dir(&self.root).map_err(failed)? {
                let item = item.map_err(failed)?;
                if item.path() == self.marker() {
                    continue;
                }
                let is_dir = item.file_type().map_err(failed)?.is_dir();
                let removed = if is_dir {
                    fs::remove_dir_all(item.path())
                } else {
                    fs::remove_file(item.path())
                };
                removed.map_err(failed)?;
            }
            return Ok(());
        }
        match fs::read_dir(&self.root) {
            Ok(mut items) => {
                if items.next().is_some() {
                    return Err(NotASandbox::Foreign {
                        path: self.root.clone(),
                    });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.root).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        fs::write(self.marker(), MARKER).map_err(failed)
    }

    /// Refuses a folder that is not a sandbox's.
    ///
    /// # Errors
    /// When it is not.
    pub fn require(&self) -> Result<(), NotASandbox> {
        if self.exists() {
            Ok(())
        } else {
            Err(NotASandbox::Missing {
                path: self.root.clone(),
            })
        }
    }
}

const MARKER: &str = "entente-sandbox 1\nThis folder was made by `entente demo` or `entente sandbox`, and they replace it.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_sandbox_are_names() {
        for realm in [FEDERAL].into_iter().chain(PROVINCES) {
            for agency in realm.agencies {
                assert_eq!(agency.jurisdiction, realm.jurisdiction);
                assert_eq!(agency.system().member(), agency.member());
                assert_eq!(agency.server().member(), agency.member());
            }
        }
    }

    #[test]
    fn replaces_its_own_folder_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::of(dir.path().join("sandbox"));
        assert!(layout.require().is_err());
        layout.prepare().unwrap();
        fs::create_dir_all(layout.data(&AGENCIES[1])).unwrap();
        layout.prepare().unwrap();
        assert!(layout.exists() && !layout.data(&AGENCIES[1]).exists());

        let foreign = Layout::of(dir.path().join("foreign"));
        fs::create_dir(foreign.root()).unwrap();
        fs::write(foreign.root().join("thesis.txt"), "mine").unwrap();
        assert!(matches!(
            foreign.prepare(),
            Err(NotASandbox::Foreign { .. })
        ));
        assert!(foreign.root().join("thesis.txt").exists());
    }
}
