//! What is so, known to nobody in the simulation: what was denied, who could reach whom, and whether a call
//! that was accepted should have been.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use entente_clock::Timestamp;
use entente_reason::Reason;

use super::cast::{Machine, Pair};

/// What a registry has accepted that denies calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Denial {
    /// A member is suspended.
    Member(Machine),
    /// An agreement is suspended or revoked.
    Agreement(Pair),
    /// A registry's recognition of the other is suspended.
    Recognition(Machine),
    /// A server's session with this number, and all before it, are revoked.
    Session(Machine, u64),
}

/// A moment, as nobody's clock shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Since the simulation began.
    pub(super) elapsed: Duration,
    /// The right time.
    pub(super) time: Timestamp,
}

/// A call that a provider's system was asked to answer.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Who asked whom.
    pub(super) pair: Pair,
    /// When.
    pub(super) at: Moment,
    /// The number of the session in which the consumer's server signs, if it runs.
    pub(super) session: Option<u64>,
    /// Whether the directory that the provider's server held then, or a second before, permits it.
    pub(super) is_permitted: bool,
    /// Whether that directory was too old to rest on.
    pub(super) is_stale: bool,
}

/// How a call ended for who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// When it was asked.
    pub(super) asked: Duration,
    /// When that was known.
    pub(super) known: Duration,
    /// What came; none when nothing came in time.
    pub(super) answer: Option<Result<(), Reason>>,
}

/// What is so.
#[derive(Debug, Default)]
pub(super) struct Truth {
    denials: BTreeMap<Denial, Duration>,
    down: BTreeSet<Machine>,
    cuts: BTreeSet<(Machine, Machine)>,
    /// By server and registry, since when one hears the other, or until when it did.
    lines: BTreeMap<(Machine, Machine), Line>,
    /// When time was last passed at once.
    passed: Option<Duration>,
    outcomes: BTreeMap<Pair, Vec<Outcome>>,
    /// How many calls were accepted.
    pub(super) accepted: usize,
    /// How many of them by a server that could not reach a registry they rest on.
    pub(super) accepted_alone: usize,
    /// How many calls were made while the consumer's server could not have known of a denial, and the
    /// provider's did.
    pub(super) refused_by_provider: usize,
    /// What happened that must not.
    pub(super) violations: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    Whole { since: Duration },
    Broken { at: Moment },
}

/// Within what a server that hears its registry has to follow what denies.
pub(super) const WITHIN: Duration = Duration::from_secs(5);

/// How long the last word of a registry counts: what its policy says.
pub(super) const VALIDITY: Duration = Duration::from_secs(3_600);

/// How much later a server may notice that it is stale: a clock that is wrong, set back by twice that; the
/// heartbeat that was under way.
const SLACK: Duration = Duration::from_secs(45);

/// How long a decision takes to reach the provider's system.
const UNDER_WAY: Duration = Duration::from_secs(1);

// === impl Truth ===

impl Truth {
    /// Everybody is down, and nothing is denied.
    pub(super) fn new() -> Self {
        let at = Moment {
            elapsed: Duration::ZERO,
            time: Timestamp::default(),
        };
        let servers = Machine::SERVERS.into_iter();
        let lines = servers.flat_map(|server| Machine::REGISTRIES.map(|to| (server, to)));
        Self {
            down: Machine::ALL.into(),
            lines: lines.map(|line| (line, Line::Broken { at })).collect(),
            ..Self::default()
        }
    }

    /// A registry accepted what denies, at this time of the simulation.
    pub(super) fn deny(&mut self, denial: Denial, since: Duration) {
        self.denials.entry(denial).or_insert(since);
    }

    /// A registry is about to be asked to take it back. Since when it was denied comes back.
    pub(super) fn permit(&mut self, denial: Denial) -> Option<Duration> {
        self.denials.remove(&denial)
    }

    /// Whether something is denied now.
    pub(super) fn is_denied(&self, denial: Denial) -> bool {
        self.denials.contains_key(&denial)
    }

    /// Whether a machine runs.
    pub(super) fn is_up(&self, machine: Machine) -> bool {
        !self.down.contains(&machine)
    }

    /// A machine serves from now on.
    pub(super) fn up(&mut self, machine: Machine, at: Moment) {
        self.change(at, |truth| {
            truth.down.remove(&machine);
        });
    }

    /// A machine does nothing from now on.
    pub(super) fn down(&mut self, machine: Machine, at: Moment) {
        self.change(at, |truth| {
            truth.down.insert(machine);
        });
    }

    /// Nothing passes between two machines from now on.
    pub(super) fn cut(&mut self, one: Machine, other: Machine, at: Moment) {
        self.change(at, |truth| {
            truth.cuts.insert(both(one, other));
        });
    }

    /// What passes between them passes from now on.
    pub(super) fn mend(&mut self, one: Machine, other: Machine, at: Moment) {
        self.change(at, |truth| {
            truth.cuts.remove(&both(one, other));
        });
    }

    /// Everybody's time moved at once.
    pub(super) fn pass(&mut self, at: Moment) {
        self.passed = Some(at.elapsed);
    }

    fn change(&mut self, at: Moment, change: impl FnOnce(&mut Self)) {
        change(self);
        let (down, cuts) = (&self.down, &self.cuts);
        for ((server, registry), line) in &mut self.lines {
            let is_whole = !down.contains(server)
                && !down.contains(registry)
                && !cuts.contains(&both(*server, *registry));
            match (is_whole, &line) {
                (true, Line::Broken { .. }) => *line = Line::Whole { since: at.elapsed },
                (false, Line::Whole { .. }) => *line = Line::Broken { at },
                _ => {}
            }
        }
    }

    /// What denies calls of a pair, where that stands, and since when.
    fn denials_of(
        &self,
        pair: Pair,
        session: Option<u64>,
    ) -> impl Iterator<Item = (Denial, Machine, Duration)> {
        self.denials.iter().filter_map(move |(denial, since)| {
            let registry = match *denial {
                Denial::Member(member) => pair.both().contains(&member).then(|| member.registry()),
                Denial::Agreement(of) => (of == pair).then(|| pair.provider().registry()),
                Denial::Recognition(by) => {
                    // Who recognises whom is each registry's own: a server hears its own one's.
                    (pair.is_across() && by == pair.provider().registry()).then_some(by)
                }
                Denial::Session(server, revoked) => {
                    let is_same = session == Some(revoked) && pair.consumer() == server;
                    is_same.then(|| server.registry())
                }
            };
            registry.map(|registry| (*denial, registry, *since))
        })
    }

    /// Whether calls of a pair are to be refused, by whoever hears of everything.
    pub(super) fn denies(&self, pair: Pair) -> bool {
        let denied = |denial| self.is_denied(denial);
        pair.both()
            .map(Denial::Member)
            .into_iter()
            .chain([Denial::Agreement(pair)])
            .any(denied)
            || (pair.is_across()
                && Machine::REGISTRIES
                    .map(Denial::Recognition)
                    .into_iter()
                    .any(denied))
    }

    /// A provider's system was asked: was that right?
    pub(super) fn accept(&mut self, call: &Accepted) {
        let Accepted { pair, at, .. } = *call;
        self.accepted += 1;
        let provider = pair.provider();
        let mut wrong = Vec::new();
        if !call.is_permitted {
            wrong.push("the directory it holds does not permit it".to_owned());
        }
        let is_moved = self
            .passed
            .is_some_and(|passed| at.elapsed.saturating_sub(passed) <= UNDER_WAY);
        if call.is_stale && !is_moved {
            wrong.push("the directory it holds is stale".to_owned());
        }
        for (denial, registry, since) in self.denials_of(pair, call.session) {
            if let Some(Line::Whole { since: heard }) = self.lines.get(&(provider, registry)) {
                let known = since.max(*heard) + WITHIN;
                if at.elapsed > known {
                    let late = at.elapsed - known;
                    wrong.push(format!("{denial:?} should hold since {late:?}"));
                }
            }
        }
        let mut is_alone = false;
        for registry in pair.registries() {
            if let Some(Line::Broken { at: lost }) = self.lines.get(&(provider, registry)) {
                is_alone = true;
                let age = at.time.since(lost.time);
                if age > VALIDITY + SLACK && !is_moved {
                    wrong.push(format!("{registry:?} was not heard for {age:?}"));
                }
            }
        }
        self.accepted_alone += usize::from(is_alone);
        for wrong in wrong {
            let at = at.elapsed;
            self.violations
                .push(format!("{at:?} {pair:?} accepted: {wrong}"));
        }
    }

    /// A call of a pair ended. One that was answered the consumer's server had permitted: was that right?
    pub(super) fn end(&mut self, pair: Pair, outcome: Outcome) {
        let consumer = pair.consumer();
        let own = Denial::Recognition(consumer.registry());
        let own = self.denials.get(&own).filter(|_| pair.is_across());
        let own = own.map(|since| {
            (
                Denial::Recognition(consumer.registry()),
                consumer.registry(),
                *since,
            )
        });
        let line = |server, registry| self.lines.get(&(server, registry));
        let mut wrong = Vec::new();
        match outcome.answer {
            Some(Ok(())) => {
                for (denial, registry, since) in self.denials_of(pair, None).chain(own) {
                    if let Some(Line::Whole { since: heard }) = line(consumer, registry) {
                        let known = since.max(*heard) + WITHIN;
                        if outcome.asked > known {
                            wrong.push(format!("{denial:?} is known to who asked"));
                        }
                    }
                }
            }
            Some(Err(_)) => {
                let unheard = |(_, registry, _)| {
                    matches!(line(consumer, registry), Some(Line::Broken { .. }))
                        && matches!(line(pair.provider(), registry), Some(Line::Whole { .. }))
                };
                let is_unheard = self.denials_of(pair, None).any(unheard);
                self.refused_by_provider += usize::from(is_unheard);
            }
            None => {}
        }
        let at = outcome.known;
        let wrong = wrong
            .into_iter()
            .map(|wrong| format!("{at:?} {pair:?} answered: {wrong}"));
        self.violations.extend(wrong);
        self.outcomes.entry(pair).or_default().push(outcome);
    }

    /// How the calls of a pair ended.
    pub(super) fn outcomes(&self, pair: Pair) -> &[Outcome] {
        self.outcomes.get(&pair).map_or(&[], Vec::as_slice)
    }

    /// Two machines between which nothing passes.
    pub(super) fn cuts(&self) -> Vec<(Machine, Machine)> {
        self.cuts.iter().copied().collect()
    }
}

fn both(one: Machine, other: Machine) -> (Machine, Machine) {
    (one.min(other), one.max(other))
}
