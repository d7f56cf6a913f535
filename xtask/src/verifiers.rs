//! Verifiers that are not ours, made ready for the tests: a Python environment with other people's
//! packages, and a small program around Go's checksum database.
//!
//! Both are made once, below the target folder; when they are there, no network is needed.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::stages::{Outcome, shown, succeeds};
use crate::{needs, workspace};

/// Makes what is missing. The tests look for it in `target/conformance`.
pub(crate) fn provide() -> anyhow::Result<Outcome> {
    let folder = workspace::target().join("conformance");
    std::fs::create_dir_all(&folder).context("making the folder for verifiers")?;
    python(&folder)?;
    go(&folder)
}

fn python(folder: &Path) -> anyhow::Result<()> {
    let required = workspace::root().join("tests/conformance/requirements.txt");
    let wanted = std::fs::read_to_string(&required).context("reading the requirements")?;
    let (venv, stamp) = (folder.join("venv"), folder.join("venv.requirements"));
    let python = venv.join("bin/python");
    let is_made = std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted);
    // An environment refers to the Python it was made with, which may be gone.
    if is_made && succeeds(Command::new(&python).args(["-c", "import cbor2, cryptography"])) {
        return Ok(());
    }
    // The stamp is removed first and written last: if we stop here, the next run makes it all anew.
    let _ = std::fs::remove_file(&stamp);
    let mut make = Command::new("python3");
    make.env("PATH", needs::path());
    shown(make.args(["-m", "venv", "--clear"]).arg(&venv))?;
    shown(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--ignore-requires-python"])
            .args(["--only-binary", ":all:", "--requirement"])
            .arg(&required),
    )
    .context(
        "the verifiers written in Python could not be installed; they come from PyPI, \
         which must be reachable once",
    )?;
    std::fs::write(&stamp, wanted).context("noting what was installed")
}

fn go(folder: &Path) -> anyhow::Result<Outcome> {
    let mut build = Command::new("go");
    build
        .current_dir(workspace::root().join("tests/conformance/go"))
        .env("PATH", needs::path())
        // Debian's code and nothing else: no module, no proxy, no network.
        .env("GO111MODULE", "off")
        .env("GOPATH", needs::GO_CODE)
        .env("GOCACHE", folder.join("go-cache"))
        .env("CGO_ENABLED", "0");
    shown(
        build
            .args(["build", "-o"])
            .arg(folder.join("tlog-check"))
            .arg("."),
    )
}
