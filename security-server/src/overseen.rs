//! Reading under a mandate: which queries were logged, and how many more may be.
//!
//! An overseer's query is an entry of the ledger that it reads, durable before anything is answered to it:
//! who looks at everybody's accesses is looked at, too. One query is logged once, however many pages it is
//! read in.

use std::collections::{BTreeMap, VecDeque};

use entente_clock::Timestamp;
use entente_directory::SignedQuery;
use entente_identity::ServerId;
use entente_ledger::entry::{Body, Read};
use entente_reason::Reason;
use entente_signing::Digest;
use tokio::sync::Mutex;

use crate::server::Server;

/// What was read under lately. Nothing here has to survive: after a restart a query is logged once more.
#[derive(Debug, Default)]
pub(crate) struct Overseen {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Hashes of queries that are in the ledger, the newest last.
    logged: VecDeque<Digest>,
    /// How many each reader had logged in the hour that goes on.
    counted: BTreeMap<ServerId, u32>,
    hour: u64,
}

/// Queries remembered.
const MAX_LOGGED: usize = 1024;
/// Queries of one reader that are logged in an hour: it cannot fill the ledger it reads.
const MAX_AN_HOUR: u32 = 120;

// === impl Overseen ===

impl Overseen {
    /// Lets a query be read under: it is checked each time, and logged the first.
    pub(crate) async fn admit(&self, server: &Server, query: &SignedQuery) -> Result<(), Reason> {
        let now = server.clock.now();
        let adopted = server.adopted()?;
        // A mandate counts over members of the registry that gave it: ours, since we are the member.
        let home = adopted.federation().home();
        let checked = home.check_reading(query, &server.id.member(), now);
        checked.map_err(|refused| refused.reason())?;
        let hash = Digest::of(query.bytes());
        let mut memory = self.memory.lock().await;
        if memory.logged.contains(&hash) {
            return Ok(());
        }
        memory.count(&query.query().reader, now)?;
        let read = Read {
            query: query.bytes().clone(),
        };
        // If we crash here, the ledger tells of a query that nothing was answered to.
        server.journal.append(Body::Read(read)).await?;
        memory.logged.push_back(hash);
        if memory.logged.len() > MAX_LOGGED {
            memory.logged.pop_front();
        }
        Ok(())
    }
}

// === impl Memory ===

impl Memory {
    fn count(&mut self, reader: &ServerId, now: Timestamp) -> Result<(), Reason> {
        let hour = now.as_millis() / 3_600_000;
        if hour != self.hour {
            (self.hour, self.counted) = (hour, BTreeMap::new());
        }
        let counted = self.counted.entry(reader.clone()).or_default();
        if *counted >= MAX_AN_HOUR {
            return Err(Reason::Overloaded);
        }
        *counted += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_has_so_many_queries_logged_in_an_hour_and_others_have_theirs() {
        let (one, other) = ("ca/dpa/@a", "ca/dpa/@b");
        let [one, other]: [ServerId; 2] = [one, other].map(|name| name.parse().unwrap());
        let mut memory = Memory::default();
        let at = |hour: u64| Timestamp::from_millis(hour * 3_600_000);
        for _ in 0..MAX_AN_HOUR {
            memory.count(&one, at(1)).unwrap();
        }
        assert_eq!(memory.count(&one, at(1)), Err(Reason::Overloaded));
        memory.count(&other, at(1)).unwrap();
        memory.count(&one, at(2)).unwrap();
    }
}
