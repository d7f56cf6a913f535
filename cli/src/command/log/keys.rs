//! Which key a ledger must be signed with. The folder itself is never asked: whoever altered it
//! could have put another key there.

use std::ops::Deref;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use entente_clock::{Clock as _, SystemClock};
use entente_follow::{Anchor, View};
use entente_ledger::note::NoteKey;
use entente_signing::VerifyingKey;

use super::super::desk::{DeskFile, Reading};
use super::directory::Directory;
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

/// The key of the ledger `origin`: the one given, or the one that a copy of the registry names, or of one that it
/// recognises, which are verified from its anchor. `config` says which registry; without it, the nearest
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
    let source = Source::of(&file)?;
    if origin == source.anchor.origin() {
        return Ok(registry_key(&file, source, screen).await);
    }
    // What is held is looked at before anybody is asked, and one's own registry before others.
    let mut directory = Directory::held(source.clone(), screen).await?;
    if directory.ledger(origin).is_none() {
        directory.look_abroad(false, screen).await?;
    }
    if directory.ledger(origin).is_none() {
        directory = Directory::read(source, screen).await?;
    }
    let (registry, key) = directory.ledger(origin).ok_or_else(unknown)?;
    let home = directory.home().anchor().origin();
    let named = registry.anchor().origin();
    let file = file.display();
    let from = if named == home {
        screen.text(
            Text::KeyOfRegistry,
            &[("file", &file), ("registry", &named)],
        )
    } else {
        let facts: [crate::texts::Fact<'_>; 3] =
            [("file", &file), ("home", &home), ("registry", &named)];
        screen.text(Text::KeyOfRecognised, &facts)
    };
    Ok(Known {
        key,
        from,
        view: Some(registry.held_view()),
    })
}

/// The key of the registry's own ledger: the anchor's, unless another is known to have taken its place.
async fn registry_key(file: &Path, source: Source, screen: &Screen) -> Known {
    let anchor = source.anchor.clone();
    let directory = Directory::read_home(source, screen).await;
    let newer = directory
        .ok()
        .map(|directory| directory.home().ledger_key());
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
    let directory = async {
        let source = Source::of(&file)?;
        match is_refreshed {
            true => Directory::read_home(source, screen).await,
            false => Directory::held(source, screen).await,
        }
    };
    match directory.await {
        Ok(directory) => Ok(Some(directory.home().held_view())),
        // What merely lies above the folder may be of somebody else, and no more than a part.
        Err(_) if !is_given => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A view, with the copy that it reads documents and contracts from when it is asked for one.
#[derive(Clone, Debug)]
pub(crate) struct HeldView {
    view: Arc<View>,
    _copy: Arc<Scratch>,
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

/// Which registry the owner of a configuration believes, and where the owner's copies are.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) anchor: Anchor,
    /// Of that registry.
    pub(super) copy: PathBuf,
    /// Of those that it recognises, each in a folder of its own.
    pub(super) abroad: PathBuf,
}

// === impl Source ===

impl Source {
    pub(super) fn of(file: &Path) -> Result<Self, Failure> {
        let is_server = std::fs::read_to_string(file)
            .is_ok_and(|text| text.lines().any(|line| line.starts_with("server:")));
        if is_server {
            let config = entente_security_server::Config::load(file)?;
            let data = config.data.as_path();
            return Ok(Self {
                anchor: Anchor::load(config.anchor.as_path())?,
                copy: data.join("directory"),
                abroad: data.join("abroad"),
            });
        }
        let file = DeskFile::load(file)?;
        Ok(Self {
            anchor: file.anchor()?,
            copy: file.copy(),
            abroad: file.copy().join("abroad"),
        })
    }
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
