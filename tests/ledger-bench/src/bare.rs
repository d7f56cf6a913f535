//! The bare file: the bytes of each commit written and synced, and nothing else done.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use crate::subject::Source;
use crate::usage::now;

/// Writes `commits` to files in `folder`, which is removed afterwards, and answers how long that took.
///
/// Files are as long as the ledger's segments and filled with zeros ahead by another thread, as they
/// are there.
pub(crate) fn write(
    folder: &Path,
    segment_bytes: u64,
    commits: &[usize],
    source: &Source,
) -> anyhow::Result<Duration> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let (ready, files) = mpsc::sync_channel(1);
    let (here, largest) = (folder.to_owned(), commits.iter().max().copied());
    let len = segment_bytes.max(largest.unwrap_or(0) as u64);
    let fill = thread::spawn(move || fill(&here, len, &ready));
    let taken = write_all(&files, len, commits, source);
    // Tells the other thread that no more are wanted.
    drop(files);
    let filled = fill.join();
    fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    filled.map_err(|_| anyhow::anyhow!("the filling thread panicked"))??;
    taken.context("writing the bare file")
}

fn write_all(
    files: &Receiver<File>,
    len: u64,
    commits: &[usize],
    source: &Source,
) -> io::Result<Duration> {
    let next = || files.recv().map_err(io::Error::other);
    // The first file is ready before the clock starts, as the ledger's first segment is.
    let (mut file, mut at) = (next()?, 0);
    let start = now();
    for commit in commits {
        if at + *commit as u64 > len {
            (file, at) = (next()?, 0);
        }
        for part in source.noise(*commit) {
            file.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        file.sync_data()?;
    }
    Ok(start.elapsed())
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

fn zeroed(path: &PathBuf, len: u64) -> io::Result<File> {
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
