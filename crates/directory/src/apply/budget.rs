//! How much one author may put into the directory, all of which every server keeps in memory.
//!
//! The bounds are on what adds. What only takes away is never refused for its number, and neither is
//! the recovery key: it is how a member comes back from whoever took its other keys. The registrar
//! answers for the registry itself.

use entente_clock::Timestamp;
use entente_identity::MemberId;

use super::takes_away;
use crate::change::{Author, KeyRole, SignedChange};
use crate::record::{AuthorPosition, ServiceRecord};
use crate::refusal::Refusal;
use crate::state::Core;

/// Where the author stands once this change is made.
pub(super) fn next_position(
    core: &Core,
    change: &SignedChange,
    role: Option<KeyRole>,
    at: Timestamp,
) -> Result<AuthorPosition, Refusal> {
    let header = change.header();
    let before = core.authors.get(&header.author);
    let today = before
        .filter(|position| position.at.day() == at.day())
        .map_or(0, |position| position.today);
    if today >= MAX_CHANGES_A_DAY && is_bounded(core, change, role) {
        return Err(spent(change, "changes of a day"));
    }
    Ok(AuthorPosition {
        sequence: header.sequence,
        last: change.hash(),
        at,
        today: today.saturating_add(1),
    })
}

/// Whether the member may have one more server.
pub(super) fn check_servers(
    core: &Core,
    change: &SignedChange,
    member: &MemberId,
) -> Result<(), Refusal> {
    if core.holdings(member).servers < MAX_SERVERS {
        Ok(())
    } else {
        Err(spent(change, "servers"))
    }
}

/// Whether the member may offer one more version of a service, and the service, if it does not yet.
pub(super) fn check_services(
    core: &Core,
    change: &SignedChange,
    record: &ServiceRecord,
    at: Timestamp,
) -> Result<(), Refusal> {
    if record.versions.len() >= MAX_VERSIONS {
        return Err(spent(change, "versions of a service"));
    }
    if record.is_offered_at(at) || core.holdings(&record.member).services < MAX_SERVICES {
        Ok(())
    } else {
        Err(spent(change, "services"))
    }
}

fn is_bounded(core: &Core, change: &SignedChange, role: Option<KeyRole>) -> bool {
    change.header().author != Author::Registrar
        && role != Some(KeyRole::Recovery)
        && !takes_away(core, change)
}

fn spent(change: &SignedChange, what: &'static str) -> Refusal {
    Refusal::Budget {
        author: change.header().author.clone(),
        what,
    }
}

/// Changes in one UTC day of the ledger's own time after which an author may only take away.
pub const MAX_CHANGES_A_DAY: u32 = 500;

/// Servers of one member; their names are never given up.
pub const MAX_SERVERS: usize = 256;

/// Services that one member offers at a time. A retired one does not count.
pub const MAX_SERVICES: usize = 256;

/// Versions of one service. Each is kept, because agreements name it.
pub const MAX_VERSIONS: usize = 256;
