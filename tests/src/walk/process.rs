//! `walk-server` as a process of its own.

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use entente_security_server::Step;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{interval, timeout};

use crate::world::Site;

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The program `walk-server`.
    pub program: &'a Path,
    /// What comes before it on the command line: a way into another namespace, or nothing.
    pub through: Vec<OsString>,
    /// The step it aborts at.
    pub abort_at: Option<Step>,
}

/// A server that runs and listens. Killed when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// Closing it asks the server to stop.
    stdin: Option<ChildStdin>,
    /// Where its health is served.
    pub admin: SocketAddr,
}

// === impl Launch ===

impl<'a> Launch<'a> {
    /// The program, started as it is.
    pub const fn of(program: &'a Path) -> Self {
        Self {
            program,
            through: Vec::new(),
            abort_at: None,
        }
    }

    /// Starts `site`'s server and waits until it listens. Its log is added to `server.log` in the
    /// site's folder.
    ///
    /// # Errors
    /// When it does not start within 60 s.
    pub async fn start(&self, site: &Site) -> anyhow::Result<ServerProcess> {
        let log = site.dir.join("server.log");
        let log = File::options().create(true).append(true).open(log)?;
        let mut words = self.through.clone();
        words.push(self.program.into());
        words.extend(["--config".into(), site.config.clone().into()]);
        if let Some(step) = self.abort_at {
            words.extend(["--abort-at".into(), format!("{step:?}").into()]);
        }
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {words:?}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("it has no stdout")?;
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        let read = stdout.read_line(&mut line);
        timeout(PATIENCE, read).await.context("it is not ready")??;
        let ready: serde_json::Value = serde_json::from_str(&line)
            .with_context(|| format!("{} did not start: see server.log", site.server))?;
        let admin = ready["admin"].as_str().context("it names no admin port")?;
        Ok(ServerProcess {
            admin: admin.parse()?,
            child,
            stdin,
        })
    }
}

// === impl ServerProcess ===

impl ServerProcess {
    /// Stops it well.
    ///
    /// # Errors
    /// When it does not end by itself, or says that something was wrong.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        let ended = self.ended().await?;
        ensure!(ended.success(), "it ended with {ended}");
        Ok(())
    }

    /// Waits until it has aborted.
    ///
    /// # Errors
    /// When it does not, or ends otherwise.
    pub async fn aborted(mut self) -> anyhow::Result<()> {
        let ended = self.ended().await?;
        match ended.signal() {
            Some(SIGABRT) => Ok(()),
            _ => bail!("it ended with {ended}"),
        }
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// When it had ended before.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// Whether `/readyz` says it is ready.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn is_ready(&self) -> anyhow::Result<bool> {
        let mut stream = TcpStream::connect(self.admin).await?;
        let request = b"GET /readyz HTTP/1.1\r\nhost: walk\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
        let head = String::from_utf8_lossy(&answer);
        match head.split(' ').nth(1) {
            Some("200") => Ok(true),
            Some("503") => Ok(false),
            _ => bail!("/readyz answers {head:?}"),
        }
    }

    async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        Ok(ended.context("it did not end")??)
    }
}

/// Looks again and again until `look` finds what it looks for.
///
/// # Errors
/// What kept it from being found, after 20 s.
pub async fn until<T, F>(mut look: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let mut tick = interval(Duration::from_millis(20));
    let mut last = None;
    let looking = async {
        loop {
            tick.tick().await;
            match look().await {
                Ok(found) => return found,
                Err(error) => last = Some(error),
            }
        }
    };
    match timeout(Duration::from_secs(20), looking).await {
        Ok(found) => Ok(found),
        Err(_) => Err(last.unwrap_or_else(|| anyhow::anyhow!("nothing was found"))),
    }
}

const SIGABRT: i32 = 6;

/// Longer than anything here takes, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
