//! Which key a ledger must be signed with. The folder itself is never asked: whoever altered it
//! could have put another key there.

use std::ops::Deref;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use entente_clock::{Clock as _, SystemClock};
use entente_follow::{Anchor, View, copied_entries};
use entente_identity::ServerId;
use entente_ledger::disk::RealDisk;
use entente_ledger::note::NoteKey;
use entente_sandbox::{Desk, Seams};
use entente_signing::VerifyingKey;

use super::super::desk::{DeskFile, Reading};
use crate::exit::{Exit, Failure};
use crate::output::Screen;
use crate::texts::Text;

/// A key, and on whose word.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) key: VerifyingKey,
    pub(crate) from: String,
    /// The registry's view that named it, where one did.
    pub(crate) view: Option<HeldView>,
}

/// The key of the ledger `origin`: the one given, or the one that the registry's own copy names,
/// which is verified from its anchor. `config` says which registry; without it, the nearest
/// configuration above the folder is asked, and said so.
pub(crate) async fn known_key(
    dir: &Path,
    origin: Option<&str>,
    given: &[NoteKey],
    config: Option<&Path>,
    screen: &Screen,
) -> Result<Known, Failure> {
    let fits = |key: &&NoteKey| origin.is_none_or(|origin| key.name() == origin);
    if let Some(key) = given.iter().find(fits) {
        return Ok(Known {
            key: key.key().clone(),
            from: screen.text(Text::KeyGiven, &[]),
            view: None,
        });
    }
    let unknown = || {
        let what = screen.text(Text::KeyUnknown, &[("ledger", &origin.unwrap_or("?"))]);
        Failure::new(Exit::Usage, what)
            .note(Text::LabelDo, "--key ORIGIN+HASH+KEY")
            .note(Text::LabelDo, "--config member.yaml")
    };
    let origin = origin.ok_or_else(unknown)?;
    let file = match config {
        Some(file) => file.to_owned(),
        None => nearest_config(dir).ok_or_else(unknown)?,
    };
    let (anchor, _) = read_config(&file)?;
    if origin == anchor.origin() {
        return Ok(registry_key(&file, &anchor, screen).await);
    }
    let facts: [crate::texts::Fact<'_>; 2] = [
        ("file", &file.display()),
        ("registry", &anchor.origin().to_owned()),
    ];
    let from = screen.text(Text::KeyOfRegistry, &facts);
    let mut directory = Directory::read(&file, false, screen).await?;
    if directory.ledger_key(origin).is_none() {
        directory = Directory::read(&file, true, screen).await?;
    }
    Ok(Known {
        key: directory.ledger_key(origin).ok_or_else(unknown)?,
        from,
        view: Some(directory.view),
    })
}

/// The key of the registry's own ledger: the anchor's, unless another is known to have taken its place.
async fn registry_key(file: &Path, anchor: &Anchor, screen: &Screen) -> Known {
    let view = Directory::read(file, true, screen).await;
    let view = view.ok().map(|directory| directory.view);
    let newer = view.as_ref().and_then(|view| view.view.ledger_key());
    match newer.filter(|newer| *newer != anchor.ledger) {
        None => Known {
            key: anchor.ledger.key().clone(),
            from: screen.text(Text::KeyOfAnchor, &[("file", &file.display())]),
            view: None,
        },
        Some(key) => {
            let facts: [crate::texts::Fact<'_>; 2] = [
                ("file", &file.display()),
                ("registry", &anchor.origin().to_owned()),
            ];
            Known {
                key: key.key().clone(),
                from: screen.text(Text::KeyOfRegistry, &facts),
                view: None,
            }
        }
    }
}

/// The registry's view that the owner of `config` holds, or of the nearest configuration above the folder;
/// none where there is no such copy. The registry is asked for news only when `is_refreshed`.
pub(super) async fn known_view(
    dir: &Path,
    config: Option<&Path>,
    is_refreshed: bool,
    screen: &Screen,
) -> Result<Option<HeldView>, Failure> {
    let (file, is_given) = match config {
        Some(file) => (file.to_owned(), true),
        None => match nearest_config(dir) {
            Some(file) => (file, false),
            None => return Ok(None),
        },
    };
    match Directory::read(&file, is_refreshed, screen).await {
        Ok(directory) => Ok(Some(directory.view)),
        // What merely lies above the folder may be of somebody else, and no more than a part.
        Err(_) if !is_given => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A verified view of a registry, from its owner's copy.
#[derive(Debug)]
pub(crate) struct Directory {
    anchor: Anchor,
    view: HeldView,
    entries: Vec<Bytes>,
}

/// A view, with the copy that it reads documents and contracts from when it is asked for one.
#[derive(Clone, Debug)]
pub(crate) struct HeldView {
    view: Arc<View>,
    _copy: Arc<Scratch>,
}

// === impl Directory ===

impl Directory {
    /// The registry that `config` names, or the nearest configuration above `path`; asked for what is
    /// new, when it answers.
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
        Self::read(&file, true, screen).await
    }

    async fn read(file: &Path, is_refreshed: bool, screen: &Screen) -> Result<Self, Failure> {
        let (anchor, copy) = read_config(file)?;
        // The copy is opened as a copy of itself: its owner may be using it.
        let scratch = Scratch::copy_of(&copy).map_err(|error| Failure::of(Exit::Failed, &error))?;
        let seams = Seams::real();
        let desk = Desk::open(anchor.clone(), &scratch.0, &seams, screen.lang).await;
        let desk = desk.map_err(|error| super::super::desk::desk_failure(&error, screen))?;
        if is_refreshed {
            // Whoever does not answer leaves us with what is known.
            let _ = desk.refresh().await;
        }
        let view = desk.view();
        desk.close().await;
        let entries = copied_entries(&RealDisk, &scratch.0);
        let view = HeldView::new(view, &Arc::new(scratch));
        Ok(Self {
            anchor,
            view,
            entries: entries.map_err(|error| Failure::of(Exit::Failed, &error))?,
        })
    }

    /// The verified view.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The key that signed the registry's checkpoint under this view.
    pub(crate) fn registry(&self) -> NoteKey {
        let key = self.view.ledger_key();
        key.unwrap_or_else(|| self.anchor.ledger.clone())
    }

    /// The registry's entries under the view, in order.
    pub(crate) fn entries(&self) -> &[Bytes] {
        let held = usize::try_from(self.view.size).unwrap_or(usize::MAX);
        &self.entries[..held.min(self.entries.len())]
    }

    /// The key of a ledger.
    pub(crate) fn ledger_key(&self, origin: &str) -> Option<VerifyingKey> {
        Desk::ledger_key(&self.view, &self.anchor, origin)
    }

    /// The keys that ever certified a server's sessions, newest first: what it signed under one it has no
    /// more is evidence all the same.
    pub(crate) fn server_keys(&self, server: &ServerId) -> Vec<VerifyingKey> {
        let record = self.view.state.server(server);
        let keys = record
            .into_iter()
            .flat_map(|record| record.keys.iter().rev());
        keys.map(|key| key.value.clone()).collect()
    }

    /// The server whose ledger this is.
    pub(crate) fn server_of(&self, origin: &str) -> Option<&ServerId> {
        let shard = self.view.state.shard_by_origin(origin)?;
        Some(&shard.server)
    }
}

// === impl HeldView ===

impl HeldView {
    /// A view that was followed in this copy.
    pub(crate) fn new(view: Arc<View>, copy: &Arc<Scratch>) -> Self {
        let copy = Arc::clone(copy);
        Self { view, _copy: copy }
    }

    /// The view in somebody's copy of the registry, which is opened as a copy of itself: its owner may be using
    /// it. One that is not there is not needed, when the registry answers.
    pub(crate) async fn borrow(
        anchor: Anchor,
        copy: &Path,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let scratch = match copy.is_dir() {
            true => Scratch::copy_of(copy),
            false => Scratch::empty(),
        };
        let scratch = scratch.map_err(|error| Failure::of(Exit::Failed, &error))?;
        let Reading { desk, view } = Reading::open(anchor, scratch.path(), screen).await?;
        desk.close().await;
        Ok(Self::new(view, &Arc::new(scratch)))
    }
}

impl Deref for HeldView {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

/// The nearest file, from the folder upwards, that says which registry its owner believes.
pub(super) fn nearest_config(dir: &Path) -> Option<PathBuf> {
    let dir = std::path::absolute(dir).ok()?;
    let files = ["security-server.yaml", "member.yaml", "registry.yaml"];
    let above = dir.ancestors().take(LEVELS);
    above
        .flat_map(|folder| files.map(|file| folder.join(file)))
        .find(|file| file.is_file())
}

pub(super) fn read_config(file: &Path) -> Result<(Anchor, PathBuf), Failure> {
    let is_server = std::fs::read_to_string(file)
        .is_ok_and(|text| text.lines().any(|line| line.starts_with("server:")));
    if is_server {
        let config = entente_security_server::Config::load(file)?;
        let copy = config.data.as_path().join("directory");
        return Ok((Anchor::load(config.anchor.as_path())?, copy));
    }
    let file = DeskFile::load(file)?;
    Ok((file.anchor()?, file.copy()))
}

/// A folder of our own that nobody else may enter, gone when done with.
#[derive(Debug)]
pub(crate) struct Scratch(pub(super) PathBuf);

// === impl Scratch ===

impl Scratch {
    pub(crate) fn copy_of(dir: &Path) -> std::io::Result<Self> {
        let own = Self::empty()?;
        copy(dir, &own.0)?;
        Ok(own)
    }

    pub(crate) fn empty() -> std::io::Result<Self> {
        let name = format!(
            "entente-{}-{}-{}",
            std::process::id(),
            SystemClock.now().as_millis(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let own = Self(std::env::temp_dir().join(name));
        std::fs::DirBuilder::new().mode(0o700).create(&own.0)?;
        Ok(own)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind, it is only a copy in a folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Copies a folder. What vanishes meanwhile, because its owner moves files, is passed over.
pub(crate) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let items = match std::fs::read_dir(from) {
        Err(error) if gone(&error) => return Ok(()),
        items => items?,
    };
    for item in items {
        let item = item?;
        let target = to.join(item.file_name());
        if item.file_type()?.is_dir() {
            std::fs::create_dir_all(&target)?;
            copy(&item.path(), &target)?;
        } else {
            match std::fs::copy(item.path(), &target) {
                Err(error) if gone(&error) => {}
                copied => {
                    copied?;
                }
            }
        }
    }
    Ok(())
}

/// Folders made by this process: no two have one name.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Folders looked at above a ledger.
const LEVELS: usize = 6;
