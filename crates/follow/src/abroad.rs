//! Following the registries that one's own recognises.
//!
//! A recognition carries all that following takes, so nobody has to configure another jurisdiction: when the
//! own registry recognises it, its registry is followed, into a folder of its own; when that ends, no longer.
//! A suspended recognition is followed on, so that it counts at once when it is resumed. Whether what is
//! followed counts is not decided here: [`entente_directory::Federation`] asks the own registry at each look.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use entente_clock::Clock;
use entente_directory::{Keep, RecognitionRecord, Standing};
use entente_identity::Jurisdiction;
use entente_ledger::disk::Disk;
use entente_tls::IdentitySlot;
use entente_tls::net::Net;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::anchor::Anchor;
use crate::directory::Directory;
use crate::follower::{Follower, FollowerConfig};
use crate::view::View;

/// What following other registries takes.
#[derive(Debug)]
pub struct AbroadConfig {
    /// The own registry, which says whom to follow.
    pub home: Directory,
    /// The folder under which each gets one of its own.
    pub dir: PathBuf,
    /// How to reach them.
    pub net: Arc<dyn Net>,
    /// What to show them in TLS.
    pub identity: IdentitySlot,
    /// For ages.
    pub clock: Arc<dyn Clock>,
    /// Where the folders are.
    pub disk: Arc<dyn Disk>,
}

/// Follows them until it is dropped.
#[derive(Debug)]
pub struct Abroad {
    directories: Directories,
    task: JoinHandle<()>,
}

/// The own registry's directory and those of the others. Clones share it.
#[derive(Clone, Debug)]
pub struct Directories {
    home: Directory,
    others: Arc<ArcSwap<BTreeMap<Jurisdiction, Directory>>>,
    /// Counts: some directory has another view, or there is another directory.
    news: Arc<watch::Sender<u64>>,
}

/// One registry that is followed.
#[derive(Debug)]
struct Followed {
    anchor: Anchor,
    follower: Follower,
    /// Tells of its views; aborted when dropped.
    _passing_on: JoinSet<()>,
}

/// What the task works with.
#[derive(Debug)]
struct Following {
    config: AbroadConfig,
    directories: Directories,
    followed: BTreeMap<Jurisdiction, Followed>,
    /// Whether a copy could not be opened, and is to be tried again.
    is_short: bool,
}

// === impl Abroad ===

impl Abroad {
    /// Opens the copies of the registries recognised now, and follows whoever is recognised from now on. A
    /// copy that cannot be opened is said, and tried again: it holds up nobody else. Call it within a runtime.
    pub async fn open(config: AbroadConfig) -> Self {
        let directories = Directories::alone(config.home.clone());
        let mut following = Following {
            config,
            directories: directories.clone(),
            followed: BTreeMap::new(),
            is_short: false,
        };
        let views = directories.home.views();
        following.follow_recognised().await;
        Self {
            directories,
            task: tokio::spawn(following.run(views)),
        }
    }

    /// Where, under the folder of an [`AbroadConfig`], the copy of this registry is.
    pub fn copy_in(dir: &Path, anchor: &Anchor) -> PathBuf {
        // A registry that begins anew is another registry: its copy does not mix with the old one's.
        let genesis = anchor.genesis.to_string();
        dir.join(format!("{}-{}", anchor.jurisdiction, &genesis[..16]))
    }

    /// What is followed.
    pub fn directories(&self) -> Directories {
        self.directories.clone()
    }

    /// Stops following, and waits until every copy is closed. The directories keep their last views.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // Ends with the cancellation asked for; what the task held is dropped with it.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Abroad {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Directories ===

impl Directories {
    /// The own registry, and no other yet.
    pub fn alone(home: Directory) -> Self {
        Self {
            home,
            others: Arc::default(),
            news: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The own registry's.
    pub const fn home(&self) -> &Directory {
        &self.home
    }

    /// The directory of a jurisdiction that is followed.
    pub fn of(&self, jurisdiction: &Jurisdiction) -> Option<Directory> {
        if *jurisdiction == self.home.anchor().jurisdiction {
            return Some(self.home.clone());
        }
        self.others.load().get(jurisdiction).cloned()
    }

    /// The directory of the ledger with this origin.
    pub fn of_origin(&self, origin: &str) -> Option<Directory> {
        if origin == self.home.anchor().origin() {
            return Some(self.home.clone());
        }
        let others = self.others.load();
        let mut others = others.values();
        others
            .find(|other| other.anchor().origin() == origin)
            .cloned()
    }

    /// How long ago each other registry was heard to have nothing newer; see [`Directory::age`].
    pub fn ages(&self) -> Vec<(Jurisdiction, Duration)> {
        let others = self.others.load();
        let ages = others.iter();
        ages.map(|(jurisdiction, other)| (jurisdiction.clone(), other.age()))
            .collect()
    }

    /// The newest view of each registry, the own one first. Those without a first view are left out.
    pub fn views(&self) -> Vec<Arc<View>> {
        let others = self.others.load();
        std::iter::once(&self.home)
            .chain(others.values())
            .map(Directory::view)
            .filter(|view| view.size > 0)
            .collect()
    }

    /// Whether every registry that is recognised now was heard by this process, and had nothing newer.
    pub fn are_confirmed(&self) -> bool {
        let others = self.others.load();
        let view = self.home.load();
        let mut recognised = view.state.recognitions();
        recognised.all(|record| {
            let other = others.get(&record.jurisdiction);
            record.standing == Standing::Ended || other.is_some_and(Directory::is_confirmed)
        })
    }

    /// Changes whenever a view does.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn tell(&self) {
        self.news.send_modify(|news| *news += 1);
    }
}

// === impl Following ===

impl Following {
    async fn run(mut self, mut views: watch::Receiver<Arc<View>>) {
        loop {
            views.borrow_and_update();
            self.follow_recognised().await;
            self.directories.tell();
            let again = async {
                match self.is_short {
                    true => tokio::time::sleep(AGAIN).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = views.changed() => if changed.is_err() { return },
                () = again => {}
            }
        }
    }

    /// Follows exactly the registries that the own one recognises.
    async fn follow_recognised(&mut self) {
        let view = self.directories.home.view();
        let mut wanted: BTreeMap<Jurisdiction, Anchor> = BTreeMap::new();
        for record in view.state.recognitions() {
            let Some(anchor) = anchor_of(record) else {
                continue;
            };
            wanted.insert(record.jurisdiction.clone(), anchor);
        }
        let stale = |(jurisdiction, followed): (&Jurisdiction, &Followed)| {
            (wanted.get(jurisdiction) != Some(&followed.anchor)).then(|| jurisdiction.clone())
        };
        let stale: Vec<_> = self.followed.iter().filter_map(stale).collect();
        for jurisdiction in &stale {
            // Out of sight before its copy is closed.
            self.show_without(jurisdiction);
            if let Some(followed) = self.followed.remove(jurisdiction) {
                followed.follower.shutdown().await;
            }
        }
        self.is_short = false;
        for (jurisdiction, anchor) in wanted {
            if self.followed.contains_key(&jurisdiction) {
                continue;
            }
            match self.open(&anchor).await {
                Ok(follower) => self.take_up(jurisdiction, anchor, follower),
                Err(error) => {
                    self.is_short = true;
                    let error: &dyn std::error::Error = &error;
                    let origin = anchor.origin();
                    tracing::error!(event = "abroad.not_followed", origin, error);
                }
            }
        }
    }

    fn take_up(&mut self, jurisdiction: Jurisdiction, anchor: Anchor, follower: Follower) {
        tracing::info!(event = "abroad.followed", origin = anchor.origin());
        let directory = follower.directory();
        let mut views = directory.views();
        let directories = self.directories.clone();
        let mut passing_on = JoinSet::new();
        passing_on.spawn(async move {
            while views.changed().await.is_ok() {
                views.borrow_and_update();
                directories.tell();
            }
        });
        let mut others = self.directories.others.load().as_ref().clone();
        others.insert(jurisdiction.clone(), directory);
        self.directories.others.store(Arc::new(others));
        let followed = Followed {
            anchor,
            follower,
            _passing_on: passing_on,
        };
        self.followed.insert(jurisdiction, followed);
    }

    fn show_without(&self, jurisdiction: &Jurisdiction) {
        let mut others = self.directories.others.load().as_ref().clone();
        others.remove(jurisdiction);
        self.directories.others.store(Arc::new(others));
        self.directories.tell();
    }

    async fn open(&self, anchor: &Anchor) -> Result<Follower, crate::follower::OpenError> {
        let config = &self.config;
        Follower::open(FollowerConfig {
            anchor: anchor.clone(),
            dir: Abroad::copy_in(&config.dir, anchor),
            // The own registry's copy keeps what this server decides by.
            keep: Keep::None,
            net: Arc::clone(&config.net),
            identity: config.identity.clone(),
            clock: Arc::clone(&config.clock),
            disk: Arc::clone(&config.disk),
        })
        .await
    }
}

/// What to follow a recognised registry by; none when the recognition has ended.
fn anchor_of(record: &RecognitionRecord) -> Option<Anchor> {
    if record.standing == Standing::Ended {
        return None;
    }
    let anchor = Anchor::abroad(record);
    if anchor.is_none() {
        let jurisdiction = record.jurisdiction.as_str();
        tracing::error!(event = "abroad.anchor_unusable", jurisdiction);
    }
    anchor
}

/// When a copy could not be opened.
const AGAIN: Duration = Duration::from_secs(10);
