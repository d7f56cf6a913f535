//! The handle a server reads the directory through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use entente_clock::{Clock, Timestamp};
use entente_directory::State;
use entente_ledger::note::NoteKey;
use entente_reason::Reason;
use entente_signing::Digest;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::alarm::Alarm;
use crate::anchor::Anchor;
use crate::demand;
use crate::view::View;

/// The newest verified view of one registry, and how fresh it is. Clones share it.
#[derive(Clone, Debug)]
pub struct Directory {
    shared: Arc<Shared>,
}

/// The registry did not show what was waited for in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry has not shown size {size} yet")]
pub struct Behind {
    /// The size waited for.
    pub size: u64,
}

/// What following came to since the process started. For metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Views that were verified and published.
    pub advanced: u64,
    /// Alarms raised, repeats included.
    pub alarms: u64,
    /// Denying changes put into effect ahead of the ledger.
    pub denied_early: u64,
    /// Checkpoints left aside because they lacked cosignatures, repeats included.
    pub held: u64,
    /// Streams that were opened.
    pub sessions: u64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) anchor: Anchor,
    clock: Arc<dyn Clock>,
    view: ArcSwap<View>,
    views: watch::Sender<Arc<View>>,
    /// See [`Directory::unproven`].
    unproven: ArcSwapOption<State>,
    alarm: watch::Sender<Option<Alarm>>,
    /// When the registry was last heard to have nothing newer than the view, ms; 0 is never.
    fresh_at: AtomicU64,
    /// Whether that was in this process.
    confirmed: AtomicBool,
    /// When the newest heartbeat came, by our clock, and how far that was ahead of the registry's, in
    /// milliseconds.
    told_at: AtomicU64,
    ahead: AtomicU64,
    /// What the registry said in it, ms.
    sent_at: AtomicU64,
    /// When the registry was last heard at all, ms; 0 is never or not connected.
    heard_at: AtomicU64,
    /// Wakes a follower that waits before it tries again.
    pub(crate) nudge: Notify,
    advanced: AtomicU64,
    alarms: AtomicU64,
    denied_early: AtomicU64,
    held: AtomicU64,
    sessions: AtomicU64,
}

// === impl Directory ===

impl Directory {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The newest view, for as long as the guard is held: cheap, for each call.
    pub fn load(&self) -> Guard<Arc<View>> {
        self.shared.view.load()
    }

    /// The newest view, to keep.
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// Follows the views. A newer one may take the place of one not yet seen.
    pub fn views(&self) -> watch::Receiver<Arc<View>> {
        self.shared.views.subscribe()
    }

    /// Follows the alarms; the newest one, if any was ever raised by this process.
    pub fn alarms(&self) -> watch::Receiver<Option<Alarm>> {
        self.shared.alarm.subscribe()
    }

    /// What this follows.
    pub fn anchor(&self) -> &Anchor {
        &self.shared.anchor
    }

    /// What the view and the entries after it add up to, which the registry says it logged and no checkpoint
    /// covers yet; none when there are none, or it cannot be told. Proven by nobody's signature but its
    /// authors': nothing may be decided by it but what to sign next.
    pub fn unproven(&self) -> Option<Arc<State>> {
        self.shared.unproven.load_full()
    }

    /// The key that signs the registry's checkpoint of this size, as far as is known: entries that no
    /// checkpoint covers yet count, because a checkpoint over them is signed with the key that they name.
    pub fn ledger_at(&self, size: u64) -> NoteKey {
        let (origin, unproven) = (self.anchor().origin(), self.unproven());
        let of = |state: &State| {
            let key = state.registry()?.ledger_at(size).clone();
            NoteKey::new(origin, key).ok()
        };
        let known = unproven.and_then(|state| of(&state));
        let known = known.or_else(|| of(&self.load().state));
        known.unwrap_or_else(|| self.anchor().ledger.clone())
    }

    /// The root the registry's tree had at `size`; none while the view does not reach so far.
    pub fn root_at(&self, size: u64) -> Option<Digest> {
        self.load().root_at(size)
    }

    /// How long ago the registry was last heard to have nothing newer than this view, across
    /// restarts; the longest time there is when it never was, or when the clock was set back since: by
    /// how much nobody can tell, and the registry will be heard again in a second if it is there.
    ///
    /// Where cosignatures are demanded, how long ago the quorum cosigned it: the time of the oldest of the
    /// newest that make the quorum. What the registry says alone makes nothing fresher then.
    pub fn age(&self) -> Duration {
        let now = self.shared.clock.now();
        match self.shared.fresh_at.load(Ordering::Relaxed) {
            0 => Duration::MAX,
            at if Timestamp::from_millis(at).since(now) > SET_BACK => Duration::MAX,
            at => now.since(Timestamp::from_millis(at)),
        }
    }

    /// When the registry was last heard to have nothing newer than this view; the beginning of time when
    /// [`Directory::age`] cannot be told.
    pub fn fresh_at(&self) -> Timestamp {
        self.shared.clock.now().saturating_sub(self.age())
    }

    /// Whether the registry has told this process that it has nothing newer than a view it showed.
    pub fn is_confirmed(&self) -> bool {
        self.shared.confirmed.load(Ordering::Acquire)
    }

    /// Whether the registry was heard in the last 5 s.
    pub fn is_connected(&self) -> bool {
        match self.shared.heard_at.load(Ordering::Relaxed) {
            0 => false,
            at => self.shared.clock.now().since(Timestamp::from_millis(at)) <= CONNECTED,
        }
    }

    /// Whether the registry, heard just now, confirms that our clock is not ahead of its own by more than
    /// five minutes. What cannot be undone when its time comes too early waits for that.
    pub fn confirms_clock(&self) -> bool {
        // In this order: a heartbeat that comes in between is not believed for an older time.
        let told_at = Timestamp::from_millis(self.shared.told_at.load(Ordering::Acquire));
        let ahead = Duration::from_millis(self.shared.ahead.load(Ordering::Acquire));
        self.shared.clock.now().since(told_at) <= CONNECTED && ahead <= AHEAD
    }

    /// What time the registry had when its newest heartbeat came, and what time it was here; none before
    /// the first. A heartbeat that comes meanwhile may move either by a second.
    pub fn registry_clock(&self) -> Option<(Timestamp, Timestamp)> {
        match self.shared.told_at.load(Ordering::Acquire) {
            0 => None,
            here => {
                let sent_at = self.shared.sent_at.load(Ordering::Acquire);
                Some((
                    Timestamp::from_millis(sent_at),
                    Timestamp::from_millis(here),
                ))
            }
        }
    }

    /// How old the view may become before nothing may rest on it: what the policy says, and never
    /// more than the anchor's floor. Where cosignatures are demanded and the registry is there, no older
    /// than the policy's freshness: it keeps them back.
    pub fn validity(&self) -> Duration {
        let floor = self.shared.anchor.floors.validity;
        let view = self.load();
        let Some(policy) = view.state.policy() else {
            return floor;
        };
        let validity = policy.validity().min(floor);
        if demand::is_made(&self.shared.anchor, Some(policy)) && self.is_connected() {
            return validity.min(policy.freshness());
        }
        validity
    }

    /// Whether the view is too old to rest on (`REGISTRY_STALE`).
    pub fn is_stale(&self) -> bool {
        self.age() > self.validity()
    }

    /// What following came to.
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            advanced: read(&self.shared.advanced),
            alarms: read(&self.shared.alarms),
            denied_early: read(&self.shared.denied_early),
            held: read(&self.shared.held),
            sessions: read(&self.shared.sessions),
        }
    }

    /// Waits until the view reaches `size`, at most 2 s whatever is asked.
    ///
    /// # Errors
    /// When it does not in that time (`REGISTRY_BEHIND`).
    pub async fn catch_up(&self, size: u64, within: Duration) -> Result<Arc<View>, Behind> {
        let view = self.view();
        if view.size >= size {
            return Ok(view);
        }
        if !self.is_connected() {
            self.shared.nudge.notify_one();
        }
        let mut views = self.views();
        let reached = views.wait_for(|view| view.size >= size);
        match timeout(within.min(MAX_WAIT), reached).await {
            Ok(Ok(view)) => Ok(view.clone()),
            _ => Err(Behind { size }),
        }
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(anchor: Anchor, clock: Arc<dyn Clock>, view: View) -> Self {
        let view = Arc::new(view);
        Self {
            anchor,
            clock,
            view: ArcSwap::new(view.clone()),
            unproven: ArcSwapOption::empty(),
            views: watch::Sender::new(view),
            alarm: watch::Sender::new(None),
            fresh_at: AtomicU64::new(0),
            confirmed: AtomicBool::new(false),
            told_at: AtomicU64::new(0),
            ahead: AtomicU64::new(u64::MAX),
            sent_at: AtomicU64::new(0),
            heard_at: AtomicU64::new(0),
            nudge: Notify::new(),
            advanced: AtomicU64::new(0),
            alarms: AtomicU64::new(0),
            denied_early: AtomicU64::new(0),
            held: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Puts a view in the place of the last one. It is durable already.
    pub(crate) fn publish(&self, view: View) -> Arc<View> {
        let view = Arc::new(view);
        self.view.store(view.clone());
        self.views.send_replace(view.clone());
        view
    }

    /// Says what the entries add up to that no checkpoint covers.
    pub(crate) fn show_unproven(&self, state: Option<State>) {
        self.unproven.store(state.map(Arc::new));
    }

    /// How many entries that is.
    pub(crate) fn unproven_size(&self) -> Option<u64> {
        self.unproven.load().as_ref().map(|state| state.size())
    }

    pub(crate) fn raise(&self, alarm: Alarm) {
        self.alarms.fetch_add(1, Ordering::Relaxed);
        self.alarm.send_if_modified(|last| {
            let same = last
                .as_ref()
                .is_some_and(|last| last.kind == alarm.kind && last.evidence == alarm.evidence);
            if !same {
                *last = Some(alarm);
            }
            !same
        });
    }

    /// The registry said something.
    pub(crate) fn heard(&self) {
        let now = self.now().as_millis().max(1);
        self.heard_at.store(now, Ordering::Relaxed);
    }

    /// The stream ended.
    pub(crate) fn lost(&self) {
        self.heard_at.store(0, Ordering::Relaxed);
    }

    /// The registry had nothing newer at `at`.
    pub(crate) fn fresh(&self, at: Timestamp) {
        self.fresh_at
            .store(at.as_millis().max(1), Ordering::Relaxed);
    }

    /// The view was all there was at `at`, says a signature; an older one takes nothing back.
    pub(crate) fn fresh_since(&self, at: Timestamp) {
        let at = at.min(self.now()).as_millis().max(1);
        self.fresh_at.fetch_max(at, Ordering::Relaxed);
    }

    /// Whether the view's age is that of cosignatures.
    pub(crate) fn is_witnessed(&self) -> bool {
        demand::is_made(&self.anchor, self.view.load().state.policy())
    }

    /// The registry has told this process that the view is all there is.
    pub(crate) fn confirm(&self) {
        self.confirmed.store(true, Ordering::Release);
    }

    /// The registry said what time it has.
    pub(crate) fn told(&self, sent_at: Timestamp) {
        let now = self.now();
        let ahead = now.since(sent_at).as_millis();
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
        self.ahead.store(ahead, Ordering::Release);
        self.sent_at.store(sent_at.as_millis(), Ordering::Release);
        self.told_at.store(now.as_millis(), Ordering::Release);
    }

    pub(crate) fn count_held(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_session(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_advanced(&self) {
        self.advanced.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_denied(&self) {
        self.denied_early.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl Behind ===

impl Behind {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        Reason::RegistryBehind
    }
}

/// How far a clock may go back and still be taken for the same.
const SET_BACK: Duration = Duration::from_secs(60);

/// Heartbeats come every second; a few may be late.
const CONNECTED: Duration = Duration::from_secs(5);

/// How far our clock may be ahead of the registry's where a time that comes too early cannot be undone.
const AHEAD: Duration = Duration::from_secs(300);

/// The longest a call may wait for the registry.
const MAX_WAIT: Duration = Duration::from_secs(2);
