//! The thread that owns a module, and the queue before it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use entente_config::Pkcs11Uri;
use entente_signing::{Digest, VerifyingKey};

use super::token::Module;
use super::{HsmError, HsmKey};

/// What a token is asked to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// Find the key.
    Find,
    /// Sign a SHA-256.
    Sign(Digest),
}

/// What it did.
#[derive(Debug)]
pub(super) enum Worked {
    /// The public half of the key.
    Found(VerifyingKey),
    /// r ‖ s, as the token gave it.
    Signed([u8; 64]),
}

/// A module's thread. There is one for each module of the process, and it ends with the process: a
/// PKCS#11 module knows one application, however many keys it uses.
#[derive(Clone)]
struct Handle {
    jobs: SyncSender<Job>,
    progress: Arc<Progress>,
}

struct Job {
    uri: Pkcs11Uri,
    work: Work,
    done: SyncSender<Result<Worked, HsmError>>,
    /// Its caller gave up: it need not be done any more.
    abandoned: Arc<AtomicBool>,
}

/// How far the thread has come, in jobs.
#[derive(Default)]
struct Progress {
    begun: AtomicU64,
    ended: AtomicU64,
    /// The last job at which somebody gave up.
    given_up: AtomicU64,
}

/// Has the module's thread do it, and waits for it in patience.
pub(super) fn ask(uri: &Pkcs11Uri, work: Work) -> Result<Worked, HsmError> {
    let away = || HsmError::Away {
        token: uri.token().to_owned(),
    };
    let handle = handle(uri.module().to_owned());
    if handle.progress.hangs() {
        return Err(away());
    }
    let (done, answer) = sync_channel(1);
    let abandoned = Arc::<AtomicBool>::default();
    let job = Job {
        uri: uri.clone(),
        work,
        done,
        abandoned: Arc::clone(&abandoned),
    };
    handle.jobs.try_send(job).map_err(|_| away())?;
    match answer.recv_timeout(HsmKey::PATIENCE) {
        Ok(worked) => worked,
        Err(_) => {
            abandoned.store(true, Ordering::SeqCst);
            handle.progress.give_up();
            Err(away())
        }
    }
}

fn handle(module: PathBuf) -> Handle {
    static HANDLES: LazyLock<Mutex<HashMap<PathBuf, Handle>>> = LazyLock::new(Mutex::default);
    let mut handles = HANDLES.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = handles.entry(module);
    let path = entry.key().clone();
    entry.or_insert_with(|| Handle::start(path)).clone()
}

fn work(module: PathBuf, jobs: &Receiver<Job>, progress: &Progress) {
    let mut module = Module::at(module);
    while let Ok(job) = jobs.recv() {
        if job.abandoned.load(Ordering::SeqCst) {
            continue;
        }
        progress.begun.fetch_add(1, Ordering::SeqCst);
        let worked = module.work(&job.uri, job.work);
        progress.ended.fetch_add(1, Ordering::SeqCst);
        // Whoever no longer waits has no use for it.
        let _ = job.done.send(worked);
    }
}

// === impl Handle ===

impl Handle {
    fn start(module: PathBuf) -> Self {
        let (jobs, queue) = sync_channel(QUEUE);
        let progress = Arc::<Progress>::default();
        let seen = Arc::clone(&progress);
        // When no thread can be had, the queue has no reader, and every caller is refused at once.
        let _ = std::thread::Builder::new()
            .name("pkcs11".to_owned())
            .spawn(move || work(module, &queue, &seen));
        Self { jobs, progress }
    }
}

// === impl Progress ===

impl Progress {
    /// Whether the thread is still at the very job at which somebody gave up.
    fn hangs(&self) -> bool {
        let begun = self.begun.load(Ordering::SeqCst);
        begun != self.ended.load(Ordering::SeqCst) && begun == self.given_up.load(Ordering::SeqCst)
    }

    fn give_up(&self) {
        let begun = self.begun.load(Ordering::SeqCst);
        self.given_up.store(begun, Ordering::SeqCst);
    }
}

/// Callers that may wait for one module.
const QUEUE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_hangs_only_while_it_is_at_what_was_given_up() {
        let progress = Progress::default();
        assert!(!progress.hangs());
        progress.begun.fetch_add(1, Ordering::SeqCst);
        assert!(!progress.hangs());
        progress.give_up();
        assert!(progress.hangs());
        progress.ended.fetch_add(1, Ordering::SeqCst);
        assert!(!progress.hangs());
        progress.begun.fetch_add(1, Ordering::SeqCst);
        assert!(!progress.hangs());
    }
}
