//! The bare file: the bytes of each commit written and synced, and nothing else done.
//!
//! The least that any log does: [`Bare::write`] has nobody who waits. [`Bare::answer`] has as many tasks as
//! the ledger has, each waiting for its own entry.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use entente_ledger::Append;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use crate::subject::Source;
use crate::usage::now;

/// Files as long as the ledger's segments, filled with zeros ahead by another thread as they are there,
/// and written one after the other.
#[derive(Debug)]
pub(crate) struct Bare {
    folder: PathBuf,
    len: u64,
    files: Receiver<File>,
    filler: JoinHandle<anyhow::Result<()>>,
    file: File,
    at: u64,
}

/// An entry, and who waits for it.
pub(crate) type Waiting = (Append, oneshot::Sender<()>);

// === impl Bare ===

impl Bare {
    /// Makes the folder and the first file.
    pub(crate) fn start(folder: PathBuf, len: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let (ready, files) = mpsc::sync_channel(1);
        let here = folder.clone();
        let filler = thread::spawn(move || fill(&here, len, &ready));
        let file = files.recv().context("no file was filled")?;
        Ok(Self {
            folder,
            len,
            files,
            filler,
            file,
            at: 0,
        })
    }

    /// Writes each commit and syncs it; answers how long all took.
    pub(crate) fn write(&mut self, commits: &[usize], source: &Source) -> io::Result<Duration> {
        let start = now();
        for commit in commits {
            self.commit(*commit, source.noise(*commit))?;
        }
        Ok(start.elapsed())
    }

    /// A thread's work: whatever waits is written, synced, and given back to be answered.
    pub(crate) fn answer(
        mut self,
        mut waiting: UnboundedReceiver<Waiting>,
        done: &UnboundedSender<Vec<Waiting>>,
    ) -> io::Result<Self> {
        let mut bytes = Vec::new();
        loop {
            let mut group = Vec::new();
            if waiting.blocking_recv_many(&mut group, GROUP) == 0 {
                return Ok(self);
            }
            bytes.clear();
            for (append, _) in &group {
                bytes.extend_from_slice(&append.entry);
                bytes.extend_from_slice(append.attachment.as_deref().unwrap_or_default());
            }
            self.commit(bytes.len(), [bytes.as_slice()])?;
            // Answered on the tasks' own runtime, at one wake for all, as the ledger does.
            let _ = done.send(group);
        }
    }

    fn commit<'a>(
        &mut self,
        len: usize,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        if self.at + len as u64 > self.len {
            self.file = self.files.recv().map_err(io::Error::other)?;
            self.at = 0;
        }
        for part in parts {
            self.file.write_all_at(part, self.at)?;
            self.at += part.len() as u64;
        }
        self.file.sync_data()
    }

    /// Removes the files.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        // Tells the other thread that no more are wanted.
        drop(self.files);
        let filled = self.filler.join();
        let removed = fs::remove_dir_all(&self.folder);
        removed.with_context(|| format!("removing {}", self.folder.display()))?;
        filled.map_err(|_| anyhow::anyhow!("the filling thread panicked"))?
    }
}

/// Prepares one file after the other, until nobody wants more.
fn fill(folder: &Path, len: u64, ready: &SyncSender<File>) -> anyhow::Result<()> {
    for number in 0.. {
        let path = folder.join(format!("{number:06}"));
        let file = zeroed(&path, len).with_context(|| format!("filling {}", path.display()))?;
        if ready.send(file).is_err() {
            break;
        }
    }
    Ok(())
}

fn zeroed(path: &Path, len: u64) -> io::Result<File> {
    const ZEROS: &[u8] = &[0; 256 * 1024];
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let mut at = 0;
    while at < len {
        let step = (len - at).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..step as usize], at)?;
        at += step;
    }
    file.sync_data()?;
    Ok(file)
}

/// The most entries of a group, as the ledger's own.
const GROUP: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_does_not_fit_goes_to_the_next_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("bare");
        let source = Source::new();
        let mut bare = Bare::start(folder.clone(), 100).unwrap();
        bare.write(&[60, 40, 1], &source).unwrap();
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let (first, second) = (read("000000"), read("000001"));
        let noise: Vec<u8> = source.noise(60).flatten().copied().collect();
        assert_eq!((&first[..60], &first[60..]), (&noise[..], &noise[..40]));
        assert_eq!((second[0], &second[1..]), (noise[0], &[0; 99][..]));
        bare.end().unwrap();
        assert!(!folder.exists());
    }
}
