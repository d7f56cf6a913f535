//! What may happen to a federation.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::cast::{Machine, Pair};

/// One thing that happens. What cannot happen as things stand, such as the restart of a machine that runs,
/// does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The registrar suspends a member.
    Suspend(Machine),
    /// The registrar resumes it.
    Resume(Machine),
    /// The provider suspends an agreement, in its own registry.
    SuspendAgreement(Pair),
    /// The provider resumes it.
    ResumeAgreement(Pair),
    /// The provider revokes an agreement for ever.
    RevokeAgreement(Pair),
    /// Both parties sign another in its place.
    AgreeAnew(Pair),
    /// A registry's registrar suspends its recognition of the other registry.
    SuspendRecognition(Machine),
    /// It resumes it.
    ResumeRecognition(Machine),
    /// A member revokes every session of its server that has begun: somebody may have its keys.
    RevokeSessions(Machine),
    /// Nothing passes between two machines from here on.
    Cut(Machine, Machine),
    /// What passes between them passes again.
    Mend(Machine, Machine),
    /// A machine loses power: what was not synced is lost.
    Crash(Machine),
    /// It has power again.
    Restart(Machine),
    /// A machine's clock is set wrong by so many seconds.
    SetClock(Machine, i64),
    /// So many minutes pass at once, on every clock.
    Pass(u32),
    /// Nothing happens for a while, in milliseconds.
    Wait(u32),
}

/// A run of things that happen, with time between them.
pub(super) fn ops(many: usize) -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(op(), many)
}

/// The longest a clock is set wrong by: what peers accept of each other's statements.
pub(super) const SKEW: Duration = Duration::from_secs(20);

fn op() -> impl Strategy<Value = Op> {
    let any_machine = || select(&Machine::ALL[..]);
    let server = || select(&Machine::SERVERS[..]);
    let registry = || select(&Machine::REGISTRIES[..]);
    let pair = || select(&Pair::ALL[..]);
    let skew = i64::try_from(SKEW.as_secs()).unwrap_or_default();
    prop_oneof![
        2 => server().prop_map(Op::Suspend),
        6 => server().prop_map(Op::Resume),
        2 => pair().prop_map(Op::SuspendAgreement),
        4 => pair().prop_map(Op::ResumeAgreement),
        1 => pair().prop_map(Op::RevokeAgreement),
        2 => pair().prop_map(Op::AgreeAnew),
        2 => registry().prop_map(Op::SuspendRecognition),
        5 => registry().prop_map(Op::ResumeRecognition),
        2 => server().prop_map(Op::RevokeSessions),
        5 => (server(), registry()).prop_map(|(server, registry)| Op::Cut(server, registry)),
        2 => (any_machine(), any_machine()).prop_map(|(one, other)| Op::Cut(one, other)),
        5 => (server(), registry()).prop_map(|(server, registry)| Op::Mend(server, registry)),
        4 => (any_machine(), any_machine()).prop_map(|(one, other)| Op::Mend(one, other)),
        2 => any_machine().prop_map(Op::Crash),
        5 => any_machine().prop_map(Op::Restart),
        2 => (any_machine(), -skew..=skew).prop_map(|(machine, by)| Op::SetClock(machine, by)),
        1 => (1_u32..90).prop_map(Op::Pass),
        12 => (100_u32..4_000).prop_map(Op::Wait),
        2 => (4_000_u32..12_000).prop_map(Op::Wait),
    ]
}
