//! The registry that somebody believes, and those that it recognises or once did: whose keys were whose.
//!
//! Whether a recognition stands now is not asked here: what was signed while it did is evidence all the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_directory::Standing;
use entente_follow::{Abroad, Anchor, View, copied_entries};
use entente_identity::{Jurisdiction, ServerId};
use entente_ledger::disk::RealDisk;
use entente_ledger::note::NoteKey;
use entente_reason::Lang;
use entente_sandbox::{Desk, DeskError, Seams};
use entente_signing::{Digest, VerifyingKey};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::keys::{HeldView, Scratch, Source, copy, nearest_config};
use crate::command::desk::{Reading, desk_failure};
use crate::exit::{Exit, Failure};
use crate::output::Screen;
use crate::texts::Text;

/// What a configuration's owner could verify of the own registry, and of others.
#[derive(Debug)]
pub(crate) struct Directory {
    source: Source,
    scratch: Arc<Scratch>,
    home: Registry,
    others: Vec<Registry>,
}

/// A verified view of a registry, with the entries under it.
#[derive(Debug)]
pub(crate) struct Registry {
    anchor: Anchor,
    view: HeldView,
    entries: Vec<Bytes>,
    age: Duration,
    validity: Duration,
}

/// Whether a registry is asked for what is new. Whoever does not answer leaves us with what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Nobody,
    /// As the own one: as long as a desk waits.
    Home,
    /// As one of several.
    Briefly,
}

// === impl Directory ===

impl Directory {
    /// The registry that `config` names, or the nearest configuration above `path`, and those that it
    /// recognises; asked for what is new, when they answer.
    pub(crate) async fn open(
        path: &Path,
        config: Option<&Path>,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let unknown = || {
            Failure::new(
                Exit::Usage,
                screen.text(Text::NoDesk, &[("file", &"member.yaml")]),
            )
            .note(Text::LabelDo, "--config member.yaml")
        };
        let file = match config {
            Some(file) => file.to_owned(),
            None => nearest_config(path).ok_or_else(unknown)?,
        };
        Self::read(Source::of(&file)?, screen).await
    }

    /// As [`Self::open`] does.
    pub(super) async fn read(source: Source, screen: &Screen) -> Result<Self, Failure> {
        let mut directory = Self::read_home(source, screen).await?;
        directory.look_abroad(true, screen).await?;
        Ok(directory)
    }

    /// The own registry alone, asked for what is new.
    pub(super) async fn read_home(source: Source, screen: &Screen) -> Result<Self, Failure> {
        Self::of(source, Ask::Home, screen).await
    }

    /// The own registry alone, as its owner's copy has it.
    pub(super) async fn held(source: Source, screen: &Screen) -> Result<Self, Failure> {
        Self::of(source, Ask::Nobody, screen).await
    }

    /// As [`Self::open`], for a question about now: that the own registry does not answer is said, and without a
    /// copy there is nothing to go by then.
    pub(crate) async fn current(config: &Path, screen: &Screen) -> Result<Self, Failure> {
        let source = Source::of(config)?;
        let scratch = Scratch::copy_of(&source.copy);
        let scratch = Arc::new(scratch.map_err(|error| Failure::of(Exit::Failed, &error))?);
        let anchor = source.anchor.clone();
        let Reading { desk, view } = Reading::open(anchor.clone(), scratch.path(), screen).await?;
        let (age, validity) = (desk.directory().age(), desk.directory().validity());
        desk.close().await;
        let home = Registry {
            anchor,
            view: HeldView::new(view, &scratch),
            entries: Vec::new(),
            age,
            validity,
        };
        let mut directory = Self {
            source,
            scratch,
            home,
            others: Vec::new(),
        };
        directory.look_abroad(true, screen).await?;
        Ok(directory)
    }

    async fn of(source: Source, ask: Ask, screen: &Screen) -> Result<Self, Failure> {
        // The copy is opened as a copy of itself: its owner may be using it.
        let scratch = Scratch::copy_of(&source.copy);
        let scratch = Arc::new(scratch.map_err(|error| Failure::of(Exit::Failed, &error))?);
        let dir = scratch.path().to_owned();
        let home = Registry::open(
            source.anchor.clone(),
            dir,
            Arc::clone(&scratch),
            ask,
            screen.lang,
        );
        Ok(Self {
            home: home.await.map_err(|error| desk_failure(&error, screen))?,
            source,
            scratch,
            others: Vec::new(),
        })
    }

    /// Adds the registries that the own one recognises, or did. One whose copy cannot be opened is left out:
    /// what it alone knows is then unknown.
    pub(super) async fn look_abroad(
        &mut self,
        is_refreshed: bool,
        screen: &Screen,
    ) -> Result<(), Failure> {
        let abroad = self.scratch.path().join("abroad");
        // A desk's are in its copy already.
        if !abroad.is_dir() && self.source.abroad.is_dir() {
            let copied =
                std::fs::create_dir(&abroad).and_then(|()| copy(&self.source.abroad, &abroad));
            copied.map_err(|error| Failure::of(Exit::Failed, &error))?;
        }
        let (home, lang) = (self.home.view(), screen.lang);
        self.others = recognised(home, &abroad, &self.scratch, is_refreshed, lang).await;
        Ok(())
    }

    /// The own registry.
    pub(crate) const fn home(&self) -> &Registry {
        &self.home
    }

    /// The registries that it recognises, or did.
    pub(crate) fn others(&self) -> &[Registry] {
        &self.others
    }

    /// The registry that speaks for a jurisdiction's names.
    pub(crate) fn of_jurisdiction(&self, jurisdiction: &Jurisdiction) -> Option<&Registry> {
        let mut all = self.all();
        all.find(|registry| registry.anchor.jurisdiction == *jurisdiction)
    }

    /// A ledger's key, and the registry that says so: of the ledgers of servers that it speaks for, or its own.
    pub(crate) fn ledger(&self, origin: &str) -> Option<(&Registry, VerifyingKey)> {
        self.all().find_map(|registry| {
            let key = Desk::ledger_key(&registry.view, &registry.anchor, origin)?;
            let owner = registry.owner_of(origin);
            let is_own = origin == registry.anchor.origin();
            (is_own || owner.is_some()).then_some((registry, key))
        })
    }

    /// The keys that ever certified a server's sessions, newest first: what it signed under one it has no
    /// more is evidence all the same.
    pub(crate) fn server_keys(&self, server: &ServerId) -> Vec<VerifyingKey> {
        let registry = self.of_jurisdiction(&server.jurisdiction());
        let record = registry.and_then(|registry| registry.view.state.server(server));
        let keys = record
            .into_iter()
            .flat_map(|record| record.keys.iter().rev());
        keys.map(|key| key.value.clone()).collect()
    }

    /// The server whose ledger this is.
    pub(crate) fn server_of(&self, origin: &str) -> Option<&ServerId> {
        self.all().find_map(|registry| registry.owner_of(origin))
    }

    /// SHA-256 of a ledger's last checkpoint, where its registry says that it has ended.
    pub(crate) fn shard_end(&self, origin: &str) -> Option<&Digest> {
        let (registry, _) = self.ledger(origin)?;
        registry.view.state.shard_end(origin)
    }

    fn all(&self) -> impl Iterator<Item = &Registry> {
        std::iter::once(&self.home).chain(&self.others)
    }
}

/// The registries that one recognises or once did, by jurisdiction, each from its copy under `copies`, which is
/// in `scratch`; asked for what is new, or not. One whose copy cannot be opened is left out.
pub(crate) async fn recognised(
    home: &View,
    copies: &Path,
    scratch: &Arc<Scratch>,
    is_refreshed: bool,
    lang: Lang,
) -> Vec<Registry> {
    let mut opening = JoinSet::new();
    for record in home.state.recognitions() {
        let Some(anchor) = Anchor::abroad(record) else {
            continue;
        };
        let ask = match record.standing {
            Standing::Active | Standing::Suspended if is_refreshed => Ask::Briefly,
            _ => Ask::Nobody,
        };
        let (dir, scratch) = (Abroad::copy_in(copies, &anchor), Arc::clone(scratch));
        opening.spawn(Registry::open(anchor, dir, scratch, ask, lang));
    }
    let opened = opening.join_all().await.into_iter().flatten();
    let mut opened: Vec<_> = opened.collect();
    opened.sort_by(|one, other| {
        let [one, other] = [one, other].map(|registry| &registry.anchor.jurisdiction);
        one.cmp(other)
    });
    opened
}

// === impl Registry ===

impl Registry {
    async fn open(
        anchor: Anchor,
        dir: PathBuf,
        scratch: Arc<Scratch>,
        ask: Ask,
        lang: Lang,
    ) -> Result<Self, DeskError> {
        let desk = Desk::open(anchor.clone(), &dir, &Seams::real(), lang).await?;
        match ask {
            Ask::Nobody => {}
            Ask::Home => drop(desk.refresh().await),
            Ask::Briefly => drop(timeout(BRIEFLY, desk.refresh()).await),
        }
        let (view, directory) = (desk.view(), desk.directory());
        let (age, validity) = (directory.age(), directory.validity());
        desk.close().await;
        // Of one never heard there are none.
        let entries = copied_entries(&RealDisk, &dir).unwrap_or_default();
        Ok(Self {
            anchor,
            view: HeldView::new(view, &scratch),
            entries,
            age,
            validity,
        })
    }

    /// What it is known by.
    pub(crate) const fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// The verified view.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The key that signed its checkpoint under this view.
    pub(crate) fn ledger_key(&self) -> NoteKey {
        let key = self.view.ledger_key();
        key.unwrap_or_else(|| self.anchor.ledger.clone())
    }

    /// The view, to be kept.
    pub(crate) fn held_view(&self) -> HeldView {
        self.view.clone()
    }

    /// How long ago it was heard to have nothing newer; the longest time of all when it never was.
    pub(crate) const fn age(&self) -> Duration {
        self.age
    }

    /// How long its last word counts: as long as its own policy says, and its anchor or recognition allows.
    pub(crate) const fn validity(&self) -> Duration {
        self.validity
    }

    /// The entries under the view, in order.
    pub(crate) fn entries(&self) -> &[Bytes] {
        let held = usize::try_from(self.view.size).unwrap_or(usize::MAX);
        &self.entries[..held.min(self.entries.len())]
    }

    /// The server whose ledger this is, when the registry speaks for it.
    fn owner_of(&self, origin: &str) -> Option<&ServerId> {
        let shard = self.view.state.shard_by_origin(origin)?;
        (shard.server.jurisdiction() == self.anchor.jurisdiction).then_some(&shard.server)
    }
}

/// How long one of several registries is waited for.
const BRIEFLY: Duration = Duration::from_secs(2);
