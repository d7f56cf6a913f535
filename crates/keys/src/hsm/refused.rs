//! That a PIN was refused, written down for the processes that come after: a supervisor that starts a
//! failing server again and again would lock its token.
//!
//! The file beside the PIN's says which state of it was refused, by its times and length, and nothing of
//! the PIN. Where it cannot be written, the process alone remembers.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use entente_config::Pkcs11Uri;
use entente_signing::Digest;

use crate::durable;

/// A token, and the file of its PIN as it is now.
#[derive(Debug)]
pub(super) struct Attempt(String);

// === impl Attempt ===

impl Attempt {
    /// Looks at the file; before its PIN is read, so that one written in between is tried.
    pub(super) fn of(uri: &Pkcs11Uri) -> io::Result<Self> {
        let file = fs::metadata(uri.pin())?;
        let (written, changed) = (
            (file.mtime(), file.mtime_nsec()),
            (file.ctime(), file.ctime_nsec()),
        );
        let state = (uri.token(), uri.serial(), file.len(), written, changed);
        let digest = Digest::of(format!("{state:?}").as_bytes());
        Ok(Self(format!("{digest}\n")))
    }

    /// Whether the token refused it before.
    pub(super) fn was_refused(&self, uri: &Pkcs11Uri) -> bool {
        let kept = durable::read(&uri.pin().with_file_name(name(uri.pin())));
        kept.is_ok_and(|kept| *kept == self.0.as_bytes())
    }

    /// Notes that the token refused it.
    ///
    /// # Errors
    /// When the folder of the PIN file cannot be written.
    pub(super) fn refuse(&self, uri: &Pkcs11Uri) -> io::Result<()> {
        let folder = uri.pin().parent().unwrap_or_else(|| Path::new("."));
        durable::replace(folder, &name(uri.pin()), self.0.as_bytes())
    }
}

/// `pin.refused` for `pin`.
fn name(pin: &Path) -> String {
    let name = pin.file_name().unwrap_or_default();
    format!("{}.refused", name.to_string_lossy())
}
