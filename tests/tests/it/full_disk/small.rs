//! A file system of a few megabytes that only one server sees.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// A tmpfs in a mount namespace of its own, which a process holds open for as long as this lives.
#[derive(Debug)]
pub(super) struct SmallDisk {
    /// Whether the namespace belongs to a user namespace, because we are not root.
    is_mapped: bool,
    holder: Child,
    /// When it closes, the holder ends and the file system with it.
    _stdin: ChildStdin,
    pid: u32,
    dir: PathBuf,
}

// === impl SmallDisk ===

impl SmallDisk {
    /// Mounts one at `dir`, where only those see it who go [`SmallDisk::way_in`].
    pub(super) async fn mount(dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut refused = Vec::new();
        for is_mapped in [false, true] {
            match Self::try_mount(dir, is_mapped).await {
                Ok(disk) => return Ok(disk),
                Err(error) => refused.push(format!("{error:#}")),
            }
        }
        bail!(
            "this test needs util-linux (unshare, nsenter, mount) and the right to make a mount \
             namespace, as root or through user namespaces; neither works here: {refused:?}"
        )
    }

    async fn try_mount(dir: &Path, is_mapped: bool) -> anyhow::Result<Self> {
        let mut unshare = Command::new("unshare");
        unshare.arg("--mount");
        if is_mapped {
            unshare.arg("--map-root-user");
        }
        let script = "mount -t tmpfs -o size=$1,mode=700 small \"$2\" && echo mounted && cat >&2";
        let mut holder = unshare
            .args(["sh", "-c", script, "sh", SIZE])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting unshare")?;
        let stdin = holder.stdin.take().context("no stdin")?;
        let stdout = holder.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        ensure!(line == "mounted\n", "mounting a tmpfs is refused");
        let pid = holder.id().context("the holder has ended")?;
        Ok(Self {
            is_mapped,
            holder,
            _stdin: stdin,
            pid,
            dir: dir.to_owned(),
        })
    }

    /// The command before another that makes it see this disk.
    pub(super) fn way_in(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["nsenter".into(), "--target".into()];
        words.push(self.pid.to_string().into());
        if self.is_mapped {
            words.extend(["--user".into(), "--preserve-credentials".into()]);
        }
        words.push("--mount".into());
        words
    }

    /// Where the disk is seen from outside.
    pub(super) fn seen_at(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid));
        root.join(self.dir.strip_prefix("/").unwrap_or(&self.dir))
    }

    /// Fills it to the last byte.
    pub(super) fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::create(self.seen_at().join(FILLING))?;
        for step in [256 * 1024, 4 * 1024, 1] {
            let bytes = vec![0xff; step];
            loop {
                match file.write_all(&bytes) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("filling the disk"),
                }
            }
        }
        Ok(())
    }

    /// Frees it again.
    pub(super) fn free(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.seen_at().join(FILLING))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It ends by itself when its input does; this only hastens it.
        let _ = self.holder.start_kill();
    }
}

/// Room for two segments of the write-ahead log, the index and the copy of the directory.
const SIZE: &str = "48m";

const FILLING: &str = "filling";
