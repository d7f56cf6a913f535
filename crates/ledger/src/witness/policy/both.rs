//! Two policies at once.

use super::{Group, Member, Needs, Witness, WitnessPolicy};

// === impl WitnessPolicy ===

impl WitnessPolicy {
    /// What both ask, together. A witness of both is one, by its key; it is asked where the first says,
    /// and counts in both. For judging and asking, not for writing down.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        if self == other || *other == Self::default() {
            return self.clone();
        }
        let mut both = self.clone();
        let mut witnesses = Vec::new();
        for witness in &other.witnesses {
            let same = |held: &Witness| held.key == witness.key;
            let place = match both.witnesses.iter().position(same) {
                Some(place) => {
                    let held = &mut both.witnesses[place];
                    held.url = held.url.take().or_else(|| witness.url.clone());
                    place
                }
                None => {
                    both.witnesses.push(Witness {
                        name: both.free_name(&witness.name),
                        ..witness.clone()
                    });
                    both.witnesses.len() - 1
                }
            };
            witnesses.push(place);
        }
        let first = both.groups.len();
        let moved = |member: &Member| match *member {
            Member::Witness(witness) => Member::Witness(witnesses[witness]),
            Member::Group(group) => Member::Group(first + group),
        };
        for group in &other.groups {
            let members = group.members.iter().map(moved).collect();
            both.groups.push(Group {
                name: both.free_name(&group.name),
                needs: group.needs,
                members,
            });
        }
        let quorum = other.quorum.as_ref().map(moved);
        both.demand(quorum);
        both
    }

    /// This, and so many of its witnesses at least, whichever. More than it names are never reached.
    #[must_use]
    pub fn and_at_least(&self, count: usize) -> Self {
        let mut next = self.clone();
        if count > 0 {
            next.groups.push(Group {
                name: next.free_name("at-least"),
                needs: Needs::Count(count),
                members: (0..next.witnesses.len()).map(Member::Witness).collect(),
            });
            next.demand(Some(Member::Group(next.groups.len() - 1)));
        }
        next
    }

    /// Asks for this too.
    fn demand(&mut self, quorum: Option<Member>) {
        let members: Vec<_> = self.quorum.into_iter().chain(quorum).collect();
        self.quorum = match members[..] {
            [] | [_] => members.first().copied(),
            _ => {
                self.groups.push(Group {
                    name: self.free_name("both"),
                    needs: Needs::All,
                    members,
                });
                Some(Member::Group(self.groups.len() - 1))
            }
        };
    }

    /// This name, or the next free one like it.
    fn free_name(&self, name: &str) -> String {
        let mut free = name.to_owned();
        while !self.is_free(&free) {
            free.push('\'');
        }
        free
    }
}
