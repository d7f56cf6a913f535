//! A SoftHSM2 token in a folder of its own, with P-256 keys in it, and signers that use them from a
//! process of their own.

use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail, ensure};
use entente_signing::{SignError, Signer, VerifyingKey};

/// A token.
#[derive(Clone, Debug)]
pub struct Token {
    folder: PathBuf,
}

/// A key of it. The process ends with it.
pub struct TokenKey {
    pipe: Mutex<Pipe>,
    public: VerifyingKey,
}

/// The process `token-key`.
pub struct Pipe {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// What the token asks for.
pub const PIN: &str = "83152647";

// === impl Token ===

impl Token {
    /// Initialises a token in `folder`, with keys of these labels.
    ///
    /// # Errors
    /// When SoftHSM2 or OpenSC does not do it.
    pub fn make(folder: &Path, labels: &[&str]) -> anyhow::Result<Self> {
        let token = Self {
            folder: folder.to_owned(),
        };
        std::fs::create_dir_all(token.objects())?;
        std::fs::write(
            token.config(),
            format!(
                "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
                token.objects().display()
            ),
        )?;
        token.set_pin(PIN)?;
        let init = [
            "--init-token",
            "--free",
            "--label",
            LABEL,
            "--so-pin",
            "5678",
        ];
        token.run("softhsm2-util", &[&init[..], &["--pin", PIN]].concat())?;
        for label in labels {
            let words = [
                "--module",
                MODULE,
                "--token-label",
                LABEL,
                "--login",
                "--pin",
                PIN,
                "--keypairgen",
                "--key-type",
                "EC:prime256v1",
                "--usage-sign",
                "--label",
                label,
            ];
            token.run("pkcs11-tool", &words)?;
        }
        Ok(token)
    }

    /// The URI of a key.
    pub fn uri(&self, label: &str) -> String {
        let pin = self.pin_file();
        format!(
            "pkcs11:token={LABEL};object={label}?module-path={MODULE}&pin-source={}",
            pin.display()
        )
    }

    /// Writes another PIN into the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_pin(&self, pin: &str) -> anyhow::Result<()> {
        std::fs::write(self.pin_file(), format!("{pin}\n"))?;
        Ok(std::fs::set_permissions(
            self.pin_file(),
            std::fs::Permissions::from_mode(0o600),
        )?)
    }

    /// Gives the token itself another PIN.
    ///
    /// # Errors
    /// When OpenSC does not do it.
    pub fn change_pin(&self, old: &str, new: &str) -> anyhow::Result<()> {
        let words = ["--module", MODULE, "--token-label", LABEL, "--login"];
        let pins = ["--pin", old, "--change-pin", "--new-pin", new];
        self.run("pkcs11-tool", &[&words[..], &pins].concat())
    }

    /// The file of the PIN.
    pub fn pin_file(&self) -> PathBuf {
        self.folder.join("pin")
    }

    /// Takes the token away, or puts it back.
    ///
    /// # Errors
    /// When it is not where it should be.
    pub fn away(&self, away: bool) -> anyhow::Result<()> {
        let (here, there) = (self.objects(), self.folder.join("away"));
        if away {
            std::fs::rename(&here, there)?;
            Ok(std::fs::create_dir(here)?)
        } else {
            std::fs::remove_dir(&here)?;
            Ok(std::fs::rename(there, here)?)
        }
    }

    /// What a process needs in its environment to find it.
    pub fn environment(&self) -> (&'static str, PathBuf) {
        ("SOFTHSM2_CONF", self.config())
    }

    fn config(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    fn run(&self, program: &str, words: &[&str]) -> anyhow::Result<()> {
        let (name, value) = self.environment();
        let output = Command::new(program)
            .args(words)
            .env(name, value)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting {program}"))?;
        ensure!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

// === impl Pipe ===

impl Pipe {
    /// Starts `program`, which is `token-key`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path, token: &Token) -> anyhow::Result<Self> {
        let (name, value) = token.environment();
        let mut child = Command::new(program)
            .env(name, value)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take().context("it has no stdin")?;
        let from = child.stdout.take().context("it has no stdout")?;
        Ok(Self {
            child,
            to,
            from: BufReader::new(from),
        })
    }

    /// Opens a key; its public half.
    ///
    /// # Errors
    /// What the key's custody said.
    pub fn open(&mut self, uri: &str) -> anyhow::Result<VerifyingKey> {
        let spki = self.ask(&format!("open {uri}"))?;
        Ok(VerifyingKey::from_spki_der(&hex::decode(spki)?)?)
    }

    /// Has it sign.
    ///
    /// # Errors
    /// What the key's custody said.
    pub fn sign(&mut self, message: &[u8]) -> anyhow::Result<[u8; 64]> {
        let signature = self.ask(&format!("sign {}", hex::encode(message)))?;
        let bytes = hex::decode(signature)?;
        bytes.try_into().ok().context("not 64 bytes")
    }

    fn ask(&mut self, line: &str) -> anyhow::Result<String> {
        writeln!(self.to, "{line}")?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        match answer.trim_end().strip_prefix("error ") {
            Some(error) => bail!("{error}"),
            None => Ok(answer.trim_end().to_owned()),
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl TokenKey ===

impl TokenKey {
    /// The key of this label, through `program`, which is `token-key`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(program: &Path, token: &Token, label: &str) -> anyhow::Result<Self> {
        let mut pipe = Pipe::start(program, token)?;
        let public = pipe.open(&token.uri(label))?;
        Ok(Self {
            pipe: Mutex::new(pipe),
            public,
        })
    }
}

impl Signer for TokenKey {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        pipe.sign(message).map_err(|error| SignError {
            key_id: self.public.key_id(),
            source: Some(error.into()),
        })
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({:?})", self.public)
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}

/// The token's label.
const LABEL: &str = "entente-test";

/// Where Debian puts it.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
