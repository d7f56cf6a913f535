//! Who takes part: two registries that recognise each other, three members with a server each, a witness.

use entente_identity::{Jurisdiction, MemberId, ServerId, SystemId};

/// A machine of the simulated federation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Machine {
    /// The registry of `ca-demo`, which also cosigns the province's.
    Federal,
    /// The registry of `ca-demo-qc`, which also cosigns the federal one's.
    Province,
    /// The server of `ca-demo/pensions`, which asks.
    Pensions,
    /// The server of `ca-demo/vital-events`, which answers.
    Vital,
    /// The server of `ca-demo-qc/health`, which asks and answers.
    Health,
    /// A witness of both registries that belongs to neither.
    Watch,
}

/// Who asks whom, each under an agreement of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pair {
    /// Pensions asks vital events: within one jurisdiction.
    Home,
    /// Health asks vital events: into the federal jurisdiction.
    Inward,
    /// Pensions asks health: out of it.
    Outward,
}

// === impl Machine ===

impl Machine {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Federal,
        Self::Province,
        Self::Pensions,
        Self::Vital,
        Self::Health,
        Self::Watch,
    ];
    /// The registries.
    pub const REGISTRIES: [Self; 2] = [Self::Federal, Self::Province];
    /// The security servers.
    pub const SERVERS: [Self; 3] = [Self::Pensions, Self::Vital, Self::Health];

    /// Its name on the network, and that of its folder.
    pub const fn host(self) -> &'static str {
        match self {
            Self::Federal => "registry-federal",
            Self::Province => "registry-province",
            Self::Pensions => "server-pensions",
            Self::Vital => "server-vital",
            Self::Health => "server-health",
            Self::Watch => "witness",
        }
    }

    /// The registry that speaks for it: its own where it is one.
    pub const fn registry(self) -> Self {
        match self {
            Self::Province | Self::Health => Self::Province,
            Self::Federal | Self::Pensions | Self::Vital | Self::Watch => Self::Federal,
        }
    }

    /// Of two registries, the one that is not this.
    pub const fn other_registry(self) -> Self {
        match self.registry() {
            Self::Federal => Self::Province,
            _ => Self::Federal,
        }
    }

    /// Whose names its registry speaks for.
    pub fn jurisdiction(self) -> Jurisdiction {
        let name = match self.registry() {
            Self::Province => "ca-demo-qc",
            _ => "ca-demo",
        };
        name.parse().expect("a jurisdiction")
    }

    /// The member whose server it is.
    pub fn member(self) -> MemberId {
        let label = match self {
            Self::Pensions => "pensions",
            Self::Vital => "vital-events",
            _ => "health",
        };
        let name = format!("{}/{label}", self.jurisdiction());
        name.parse().expect("a member")
    }

    /// The server.
    pub fn server(self) -> ServerId {
        let name = format!("{}/@ss1", self.member());
        name.parse().expect("a server")
    }

    /// The member's one system.
    pub fn system(self) -> SystemId {
        let label = match self {
            Self::Pensions => "benefits",
            Self::Vital => "registry",
            _ => "cards",
        };
        let name = format!("{}/{label}", self.member());
        name.parse().expect("a system")
    }
}

// === impl Pair ===

impl Pair {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Home, Self::Inward, Self::Outward];

    /// Whose system asks.
    pub const fn consumer(self) -> Machine {
        match self {
            Self::Home | Self::Outward => Machine::Pensions,
            Self::Inward => Machine::Health,
        }
    }

    /// Whose system answers.
    pub const fn provider(self) -> Machine {
        match self {
            Self::Home | Self::Inward => Machine::Vital,
            Self::Outward => Machine::Health,
        }
    }

    /// Whether it joins two jurisdictions.
    pub const fn is_across(self) -> bool {
        !matches!(self, Self::Home)
    }

    /// Its two machines.
    pub const fn both(self) -> [Machine; 2] {
        [self.consumer(), self.provider()]
    }

    /// The registries a call rests on.
    pub fn registries(self) -> impl Iterator<Item = Machine> {
        let registries = Machine::REGISTRIES.into_iter();
        registries.filter(move |registry| self.is_across() || *registry == Machine::Federal)
    }
}
