//! Whether the role lives, has started, and may be given work.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Something that must hold before a role takes work. Peers are not among them: their absence is no
/// fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// The clock is within its limit of the newest entry of the ledger.
    Clock,
    /// The configuration is valid and in force.
    Config,
    /// The keys needed can be used.
    Keys,
    /// The ledger takes entries. Fails closed.
    Log,
    /// What is known of the registry is fresh enough.
    Registry,
    /// An authority has vouched for the ledger lately, where that is demanded. Fails closed.
    Time,
    /// Witnesses cosign the ledger, as far as the policy asks for any. Fails closed.
    Witnesses,
}

/// The state of a role. Clones share it.
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

/// An answer to one health question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// Whether all is well.
    pub ok: bool,
    /// One line per condition, for people.
    pub text: String,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    ready: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    conditions: BTreeMap<Condition, Standing>,
    started: bool,
    draining: bool,
    dead: Option<&'static str>,
}

/// Whether a condition holds; if not, why, without any personal value.
type Standing = Result<(), Cow<'static, str>>;

// === impl Health ===

impl Health {
    /// Neither started nor ready, until each of `conditions` was said to hold.
    pub fn new(conditions: &[Condition]) -> Self {
        let unknown = |condition: &Condition| (*condition, Err("not known yet".into()));
        Self(Arc::new(Inner {
            state: Mutex::new(State {
                conditions: conditions.iter().map(unknown).collect(),
                started: false,
                draining: false,
                dead: None,
            }),
            ready: watch::Sender::new(false),
        }))
    }

    /// Says that a condition holds.
    pub fn pass(&self, condition: Condition) {
        self.change(|state| {
            state.conditions.insert(condition, Ok(()));
        });
    }

    /// Says that a condition does not hold, and why.
    pub fn fail(&self, condition: Condition, why: impl Into<Cow<'static, str>>) {
        self.change(|state| {
            state.conditions.insert(condition, Err(why.into()));
        });
    }

    /// Says that starting is over.
    pub fn started(&self) {
        self.change(|state| state.started = true);
    }

    /// Takes no new work from now on.
    pub fn drain(&self) {
        self.change(|state| state.draining = true);
    }

    /// Says that only a restart helps.
    pub fn died(&self, why: &'static str) {
        self.change(|state| state.dead = Some(why));
    }

    /// Whether new work is taken.
    pub fn is_ready(&self) -> bool {
        *self.0.ready.borrow()
    }

    /// Follows [`Self::is_ready`], for the gRPC health service.
    pub fn watch_ready(&self) -> watch::Receiver<bool> {
        self.0.ready.subscribe()
    }

    /// `/livez`: the process is of use.
    pub fn live(&self) -> HealthReport {
        let dead = self.state().dead;
        HealthReport {
            ok: dead.is_none(),
            text: dead.map_or_else(|| "ok\n".into(), |why| format!("{why}\n")),
        }
    }

    /// `/startupz`: starting is over.
    pub fn startup(&self) -> HealthReport {
        let ok = self.state().started;
        let text = if ok { "ok\n" } else { "starting\n" };
        HealthReport {
            ok,
            text: text.into(),
        }
    }

    /// `/readyz?verbose`: new work is taken, and if not, why.
    pub fn ready(&self) -> HealthReport {
        let state = self.state();
        let ok = state.is_ready();
        let mut text = String::new();
        for (condition, standing) in &state.conditions {
            let _ = match standing {
                Ok(()) => writeln!(text, "[+] {} ok", condition.as_str()),
                Err(why) => writeln!(text, "[-] {} failed: {why}", condition.as_str()),
            };
        }
        if !state.started {
            text.push_str("[-] starting\n");
        }
        if state.draining {
            text.push_str("[-] draining\n");
        }
        text.push_str(if ok { "ready\n" } else { "not ready\n" });
        HealthReport { ok, text }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let ready = state.is_ready();
        // Within the lock, so that two changes cannot be told in the wrong order.
        self.0.ready.send_if_modified(|told| {
            let changed = *told != ready;
            *told = ready;
            changed
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn is_ready(&self) -> bool {
        self.started
            && !self.draining
            && self.dead.is_none()
            && self.conditions.values().all(Result::is_ok)
    }
}

// === impl Condition ===

impl Condition {
    /// The word shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Config => "config",
            Self::Keys => "keys",
            Self::Log => "log",
            Self::Registry => "registry",
            Self::Time => "time",
            Self::Witnesses => "witnesses",
        }
    }
}
