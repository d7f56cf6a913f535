//! The life of an agreement: one table of states and acts, used by every registry and server.
//!
//! The table knows nothing of who acts or when; `directory` asks those questions first. An act that
//! has no row is refused.

/// Where an agreement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Signed by every party and in its dates, as far as the registry is concerned.
    Active,
    /// Signed by every party.
    Agreed,
    /// A party answered with another text.
    Countered,
    /// Being written; no registry knows it.
    Draft,
    /// Its last day has passed.
    Expired,
    /// Taken note of where a jurisdiction's rules ask for that.
    Filed,
    /// Not answered in time.
    Lapsed,
    /// Proposed by one party, not yet signed by all.
    Proposed,
    /// A party declined.
    Rejected,
    /// Ended by a party.
    Revoked,
    /// Replaced by a later version.
    Superseded,
    /// Halted by a party or an oversight body.
    Suspended,
    /// Taken back by who proposed it.
    Withdrawn,
}

/// What is done to an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// One more party signs, and others have still to.
    Accept,
    /// The last party signs.
    AcceptLast,
    /// Its first day has come.
    Activate,
    /// A party answers with another text.
    Counter,
    /// Its last day has passed.
    Expire,
    /// It is taken note of.
    File,
    /// The time to answer has passed.
    Lapse,
    /// It is put to the parties.
    Propose,
    /// A party declines.
    Reject,
    /// The halt is lifted.
    Resume,
    /// A party ends it.
    Revoke,
    /// A later version takes its place.
    Supersede,
    /// It is halted.
    Suspend,
    /// Who proposed it takes it back.
    Withdraw,
}

/// An act that does not follow from the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{act:?}` does not follow from `{state:?}`")]
pub struct NoSuchTransition {
    /// The state.
    pub state: State,
    /// The act.
    pub act: Act,
}

/// The state after an act.
///
/// # Errors
/// When the act does not follow from the state.
pub fn next(state: State, act: Act) -> Result<State, NoSuchTransition> {
    Ok(match (state, act) {
        (State::Draft, Act::Propose) | (State::Countered, Act::Propose) => State::Proposed,
        (State::Proposed, Act::Accept) => State::Proposed,
        (State::Proposed, Act::AcceptLast) => State::Agreed,
        (State::Proposed, Act::Counter) => State::Countered,
        (State::Proposed | State::Countered, Act::Reject) => State::Rejected,
        (State::Proposed | State::Countered, Act::Withdraw) => State::Withdrawn,
        (State::Proposed | State::Countered, Act::Lapse) => State::Lapsed,
        (State::Agreed, Act::File) => State::Filed,
        (State::Filed, Act::Activate) => State::Active,
        (State::Active, Act::Suspend) => State::Suspended,
        (State::Suspended, Act::Resume) => State::Active,
        // A signed agreement may be ended before it begins, so revoking follows from Agreed on.
        (State::Agreed | State::Filed | State::Active | State::Suspended, Act::Revoke) => {
            State::Revoked
        }
        (State::Agreed | State::Filed | State::Active | State::Suspended, Act::Expire) => {
            State::Expired
        }
        (State::Active | State::Suspended, Act::Supersede) => State::Superseded,
        (state, act) => return Err(NoSuchTransition { state, act }),
    })
}

// === impl State ===

impl State {
    /// Every state, alphabetically.
    pub const ALL: [Self; 13] = [
        Self::Active,
        Self::Agreed,
        Self::Countered,
        Self::Draft,
        Self::Expired,
        Self::Filed,
        Self::Lapsed,
        Self::Proposed,
        Self::Rejected,
        Self::Revoked,
        Self::Superseded,
        Self::Suspended,
        Self::Withdrawn,
    ];

    /// Whether nothing follows any more.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Expired
                | Self::Lapsed
                | Self::Rejected
                | Self::Revoked
                | Self::Superseded
                | Self::Withdrawn
        )
    }

    /// The word for it: `ACTIVE`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Agreed => "AGREED",
            Self::Countered => "COUNTERED",
            Self::Draft => "DRAFT",
            Self::Expired => "EXPIRED",
            Self::Filed => "FILED",
            Self::Lapsed => "LAPSED",
            Self::Proposed => "PROPOSED",
            Self::Rejected => "REJECTED",
            Self::Revoked => "REVOKED",
            Self::Superseded => "SUPERSEDED",
            Self::Suspended => "SUSPENDED",
            Self::Withdrawn => "WITHDRAWN",
        }
    }
}

// === impl Act ===

impl Act {
    /// Every act, alphabetically.
    pub const ALL: [Self; 14] = [
        Self::Accept,
        Self::AcceptLast,
        Self::Activate,
        Self::Counter,
        Self::Expire,
        Self::File,
        Self::Lapse,
        Self::Propose,
        Self::Reject,
        Self::Resume,
        Self::Revoke,
        Self::Supersede,
        Self::Suspend,
        Self::Withdraw,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_chain_of_the_design() {
        let acts = [
            (Act::Propose, State::Proposed),
            (Act::Counter, State::Countered),
            (Act::Propose, State::Proposed),
            (Act::Accept, State::Proposed),
            (Act::AcceptLast, State::Agreed),
            (Act::File, State::Filed),
            (Act::Activate, State::Active),
            (Act::Suspend, State::Suspended),
            (Act::Resume, State::Active),
            (Act::Revoke, State::Revoked),
        ];
        let mut state = State::Draft;
        for (act, expected) in acts {
            state = next(state, act).unwrap();
            assert_eq!(state, expected, "{act:?}");
        }
    }

    #[test]
    fn nothing_follows_from_a_final_state() {
        for state in State::ALL {
            let follows = Act::ALL.iter().any(|act| next(state, *act).is_ok());
            assert_eq!(follows, !state.is_final(), "{state:?}");
        }
    }

    #[test]
    fn only_every_party_s_signature_leads_to_an_agreement_in_force() {
        // Walk the whole table: no path from DRAFT reaches ACTIVE without AcceptLast.
        let mut reached = vec![State::Draft];
        let mut index = 0;
        while let Some(state) = reached.get(index).copied() {
            index += 1;
            for act in Act::ALL.into_iter().filter(|act| *act != Act::AcceptLast) {
                if let Ok(next) = next(state, act)
                    && !reached.contains(&next)
                {
                    reached.push(next);
                }
            }
        }
        assert!(!reached.contains(&State::Active) && !reached.contains(&State::Agreed));
    }
}
