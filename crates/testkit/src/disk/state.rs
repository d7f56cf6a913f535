//! What programs see, what is durable, and the operations in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use entente_ledger::disk::DirItem;

use super::Fault;

/// Names one file's content, whatever names it has.
pub(super) type Inode = u64;

/// A change that is not durable by itself.
#[derive(Clone, Debug)]
pub(super) enum Op {
    MakeDir {
        dir: PathBuf,
    },
    RemoveDir {
        dir: PathBuf,
    },
    Create {
        path: PathBuf,
        inode: Inode,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        inode: Inode,
    },
    Remove {
        path: PathBuf,
    },
    Write {
        inode: Inode,
        at: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        inode: Inode,
        len: u64,
    },
}

/// Names and contents.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, Inode>,
    contents: BTreeMap<Inode, Vec<u8>>,
}

/// The whole disk.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// What programs see: `durable` with all of `pending`.
    seen: Tree,
    pub(super) durable: Tree,
    pub(super) pending: Vec<Op>,
    next_inode: Inode,
    pub(super) operations: u64,
    pub(super) faults: BTreeMap<u64, Fault>,
    is_dead: bool,
    pub(super) capacity: Option<u64>,
    pub(super) locks: BTreeSet<PathBuf>,
}

// === impl Op ===

impl Op {
    /// Whether it changes content, not names.
    pub(super) const fn is_content(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::SetLen { .. })
    }

    fn is_of_file(&self, file: Inode) -> bool {
        match self {
            Self::Write { inode, .. } | Self::SetLen { inode, .. } => *inode == file,
            _ => false,
        }
    }

    /// Whether a sync of `dir` makes it durable.
    fn is_in_dir(&self, dir: &Path) -> bool {
        match self {
            Self::MakeDir { dir: path } | Self::RemoveDir { dir: path } => {
                path.parent() == Some(dir)
            }
            Self::Create { path, .. } | Self::Remove { path } => path.parent() == Some(dir),
            // A move is one step of a journal: both names change or none does.
            Self::Rename { from, to, .. } => from.parent() == Some(dir) || to.parent() == Some(dir),
            Self::Write { .. } | Self::SetLen { .. } => false,
        }
    }
}

// === impl Tree ===

impl Tree {
    /// Applies an operation as far as it makes sense here.
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::MakeDir { dir } => {
                self.dirs.insert(dir.clone());
            }
            Op::RemoveDir { dir } => {
                self.dirs.remove(dir);
            }
            Op::Create { path, inode } => {
                self.contents.entry(*inode).or_default();
                self.names.insert(path.clone(), *inode);
            }
            Op::Rename { from, to, inode } => {
                if self.names.get(from) == Some(inode) {
                    self.names.remove(from);
                }
                self.contents.entry(*inode).or_default();
                self.names.insert(to.clone(), *inode);
            }
            Op::Remove { path } => {
                self.names.remove(path);
            }
            Op::Write { inode, at, bytes } => {
                let content = self.contents.entry(*inode).or_default();
                let (start, end) = (*at as usize, *at as usize + bytes.len());
                if content.len() < end {
                    resize(content, end);
                }
                content[start..end].copy_from_slice(bytes);
            }
            Op::SetLen { inode, len } => {
                let content = self.contents.entry(*inode).or_default();
                resize(content, *len as usize);
            }
        }
    }

    /// Forgets names in directories that are not there, and content without a name.
    fn prune(&mut self) {
        let dirs = self.dirs.clone();
        let has_dirs = |path: &Path| {
            path.ancestors().skip(1).all(|dir| {
                dir.parent().is_none() || dir.as_os_str().is_empty() || dirs.contains(dir)
            })
        };
        self.dirs.retain(|dir| has_dirs(dir));
        self.names.retain(|path, _| has_dirs(path));
        let named: BTreeSet<_> = self.names.values().copied().collect();
        self.contents.retain(|inode, _| named.contains(inode));
    }
}

/// Cuts, or fills with zeros; a whole segment at a time, which `Vec::resize` without optimisation does
/// byte by byte.
fn resize(content: &mut Vec<u8>, len: usize) {
    match len.checked_sub(content.len()) {
        Some(more) => content.extend_from_slice(&vec![0; more]),
        None => content.truncate(len),
    }
}

// === impl State ===

impl State {
    /// A disk that holds just this, all durable.
    pub(super) fn of(mut tree: Tree, next_inode: Inode, capacity: Option<u64>) -> Self {
        tree.prune();
        Self {
            seen: tree.clone(),
            durable: tree,
            next_inode,
            capacity,
            ..Self::default()
        }
    }

    pub(super) fn durable(&self) -> Self {
        Self::of(self.durable.clone(), self.next_inode, self.capacity)
    }

    /// What a process sees that starts while this one's writes are still only in memory.
    pub(super) fn restarted(&self) -> Self {
        Self {
            locks: BTreeSet::new(),
            faults: BTreeMap::new(),
            is_dead: false,
            operations: 0,
            ..self.clone()
        }
    }

    /// Durable with some of what was pending.
    pub(super) fn image<'a>(&self, ops: impl IntoIterator<Item = &'a Op>) -> Self {
        let mut tree = self.durable.clone();
        for op in ops {
            tree.apply(op);
        }
        Self::of(tree, self.next_inode, self.capacity)
    }

    pub(super) const fn new_inode(&mut self) -> Inode {
        self.next_inode += 1;
        self.next_inode
    }

    /// Counts an operation, and says whether it must fail.
    pub(super) fn next_fault(&mut self) -> Option<Fault> {
        let fault = self.faults.get(&self.operations).copied();
        self.operations += 1;
        self.is_dead |= fault == Some(Fault::Crash);
        if self.is_dead {
            Some(Fault::Crash)
        } else {
            fault
        }
    }

    pub(super) fn apply(&mut self, op: Op) -> io::Result<()> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let exists = || io::Error::from(io::ErrorKind::AlreadyExists);
        match &op {
            Op::MakeDir { dir } => self.has_parent(dir)?,
            Op::RemoveDir { dir } => {
                if !self.has_dir(dir) {
                    return Err(missing());
                }
                if !self.list(dir)?.is_empty() {
                    return Err(io::Error::from(io::ErrorKind::DirectoryNotEmpty));
                }
            }
            Op::Create { path, .. } => {
                self.has_parent(path)?;
                if self.seen.names.contains_key(path) {
                    return Err(exists());
                }
            }
            Op::Rename { to, .. } => self.has_parent(to)?,
            Op::Remove { path } => {
                self.inode(path)?;
            }
            Op::Write { inode, at, bytes } => self.has_room(*inode, *at + bytes.len() as u64)?,
            Op::SetLen { inode, len } => self.has_room(*inode, *len)?,
        }
        self.seen.apply(&op);
        self.pending.push(op);
        Ok(())
    }

    pub(super) fn sync_file(&mut self, inode: Inode) {
        self.settle(|op| op.is_of_file(inode));
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        self.settle(|op| op.is_in_dir(dir));
    }

    pub(super) fn has_dir(&self, dir: &Path) -> bool {
        // Roots are always there.
        dir.parent().is_none() || dir.as_os_str().is_empty() || self.seen.dirs.contains(dir)
    }

    pub(super) fn inode(&self, path: &Path) -> io::Result<Inode> {
        let found = self.seen.names.get(path).copied();
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    pub(super) fn content(&self, inode: Inode) -> &[u8] {
        self.seen.contents.get(&inode).map_or(&[], Vec::as_slice)
    }

    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let inode = self.inode(path)?;
        Ok(self.content(inode).to_vec())
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<DirItem>> {
        if !self.has_dir(dir) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let named = |path: &Path| {
            let name = path.file_name()?.to_str()?;
            (path.parent() == Some(dir)).then(|| name.to_owned())
        };
        let dirs = self.seen.dirs.iter().filter_map(|path| {
            Some(DirItem {
                name: named(path)?,
                is_dir: true,
                len: 0,
            })
        });
        let files = self.seen.names.iter().filter_map(|(path, inode)| {
            Some(DirItem {
                name: named(path)?,
                is_dir: false,
                len: self.content(*inode).len() as u64,
            })
        });
        let mut items: Vec<_> = dirs.chain(files).collect();
        items.sort();
        Ok(items)
    }

    pub(super) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = self.seen.names.iter();
        files
            .map(|(path, inode)| (path.clone(), self.content(*inode).to_vec()))
            .collect()
    }

    pub(super) fn overwrite(&mut self, path: &Path, content: &[u8]) {
        let inode = match self.inode(path) {
            Ok(inode) => inode,
            Err(_) => self.new_inode(),
        };
        self.sync_file(inode);
        let create = Op::Create {
            path: path.to_owned(),
            inode,
        };
        for tree in [&mut self.seen, &mut self.durable] {
            tree.apply(&create);
            tree.contents.insert(inode, content.to_vec());
        }
    }

    pub(super) fn used(&self) -> u64 {
        let named: BTreeSet<_> = self.seen.names.values().collect();
        named
            .into_iter()
            .map(|inode| self.content(*inode).len() as u64)
            .sum()
    }

    fn has_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if !self.has_dir(parent) => Err(io::Error::from(io::ErrorKind::NotFound)),
            _ => Ok(()),
        }
    }

    fn has_room(&self, inode: Inode, len: u64) -> io::Result<()> {
        let grows = len.saturating_sub(self.content(inode).len() as u64);
        match self.capacity {
            Some(capacity) if grows > 0 && self.used() + grows > capacity => {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            _ => Ok(()),
        }
    }

    fn settle(&mut self, is_settled: impl Fn(&Op) -> bool) {
        let (settled, pending): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(is_settled);
        for op in &settled {
            self.durable.apply(op);
        }
        // What was created under a name it no longer has need not come back.
        let is_moved = |op: &Op| {
            match op {
            Op::Create { path, inode } => settled.iter().any(|settled| {
                matches!(settled, Op::Rename { from, inode: moved, .. } if from == path && moved == inode)
            }),
            _ => false,
        }
        };
        self.pending = pending.into_iter().filter(|op| !is_moved(op)).collect();
    }
}
