//! `aics-witness` from PyPI: a whole C2SP `tlog-witness`, with a folder and a port of its own.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::installed;

/// A witness's folder: its key, its memory and the logs it trusts. It lives on while no process runs.
#[derive(Clone, Debug)]
pub struct Witness {
    dir: PathBuf,
    /// Its key, as a `vkey` of type 0x04.
    pub vkey: String,
}

/// A witness that listens. Killed when dropped.
#[derive(Debug)]
pub struct WitnessProcess {
    child: Child,
    /// Where it listens; submissions go to `http://<address>/add-checkpoint`.
    pub address: SocketAddr,
}

/// What a witness answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`, when there is one.
    pub content_type: Option<String>,
    /// The body.
    pub body: String,
}

// === impl Witness ===

impl Witness {
    /// Makes a new witness of this name in `dir`.
    ///
    /// # Errors
    /// When the program is missing or refuses.
    pub async fn create(dir: &Path, name: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut witness = Self {
            dir: dir.to_owned(),
            vkey: String::new(),
        };
        let words = ["init", "--name", name, "--listen", "127.0.0.1:0"];
        witness.vkey = witness.run(&words).await?.trim().to_owned();
        Ok(witness)
    }

    /// Trusts a log: `vkey` is its key, named by its origin. A running process learns of it when it
    /// is started again.
    ///
    /// # Errors
    /// When the program refuses.
    pub async fn trust(&self, origin: &str, vkey: &str) -> anyhow::Result<()> {
        let words = ["add-log", "--origin", origin, "--vkey", vkey];
        self.run(&words).await.map(|_| ())
    }

    /// The log-signed requests it keeps because they contradict what it cosigned, as JSON.
    ///
    /// # Errors
    /// When the program refuses.
    pub async fn evidence(&self) -> anyhow::Result<serde_json::Value> {
        let json = self.run(&["evidence"]).await?;
        Ok(serde_json::from_str(&json)?)
    }

    /// Starts it and waits until it listens, on a free port. Its log is added to `witness.log`.
    ///
    /// # Errors
    /// When it does not listen within a minute.
    pub async fn start(&self) -> anyhow::Result<WitnessProcess> {
        let path = self.dir.join("witness.log");
        let mut log = File::options().create(true).append(true).open(&path)?;
        let mut child = self
            .command(&["serve"])?
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child.stderr.take().context("it has no stderr")?;
        let mut lines = BufReader::new(stderr).lines();
        // It says so once its socket is bound.
        let listening = async {
            while let Some(line) = lines.next_line().await? {
                writeln!(log, "{line}")?;
                if let Some((_, rest)) = line.split_once("listening on http://") {
                    let address = rest.split(' ').next().unwrap_or_default();
                    return Ok(address.parse()?);
                }
            }
            bail!("it ended: see {}", path.display())
        };
        let address = timeout(PATIENCE, listening).await.context("not ready")??;
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = writeln!(log, "{line}");
            }
        });
        Ok(WitnessProcess { child, address })
    }

    async fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let output: Output = self.command(words)?.output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "aics-witness {words:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn command(&self, words: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(installed("venv/bin/aics-witness")?);
        command.args(words).arg("--config");
        command.arg(self.dir.join("witness.json"));
        Ok(command)
    }
}

// === impl WitnessProcess ===

impl WitnessProcess {
    /// Submits a checkpoint: the size last cosigned, the consistency proof's lines, the note.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn add_checkpoint(
        &self,
        old: u64,
        proof: &[String],
        note: &str,
    ) -> anyhow::Result<Answer> {
        let proof: String = proof.iter().map(|line| format!("{line}\n")).collect();
        let body = format!("old {old}\n{proof}\n{note}");
        let length = body.len();
        self.ask(&format!(
            "POST /add-checkpoint HTTP/1.1\r\nhost: witness\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    /// Kills it. Nothing it answered is lost: it persists what it cosigns before it answers.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.child.start_kill()?;
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.context("it did not end")??;
        Ok(())
    }

    async fn ask(&self, request: &str) -> anyhow::Result<Answer> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
        let (head, body) = answer.split_once("\r\n\r\n").context("not HTTP")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        let content_type = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_it = name.eq_ignore_ascii_case("content-type");
            is_it.then(|| value.to_owned())
        });
        Ok(Answer {
            status,
            content_type,
            body: body.to_owned(),
        })
    }
}

/// Longer than anything here takes, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
