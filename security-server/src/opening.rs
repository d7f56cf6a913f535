//! Opening the ledger at a start: the newest of this server's shards, once it is known to be that. And ending
//! one.

use std::sync::Arc;
use std::time::Duration;

use entente_directory::{Mode, Policy};
use entente_evidence::statement::LogOrigin;
use entente_follow::Follower;
use entente_keys::KeyStore;
use entente_ledger::disk::Disk;
use entente_ledger::log::LogError;
use entente_ledger::note::NoteKey;
use entente_ledger::{Ledger, LedgerConfig, LedgerError};
use entente_reason::Reason;
use entente_sidecar::Sidecar;

use crate::backup::restored::{Restored, Standing as PutBack};
use crate::config::Config;
use crate::enrol::ServerKeys;
use crate::mark::Mark;
use crate::server::Server;
use crate::shard::{self, Ended, Standing};
use crate::stamping::Stamping;
use crate::start::{Deps, StartError};
use crate::witnessing::Witnessing;

/// A ledger that is open, and the newest of its shard there is.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) origin: LogOrigin,
    pub(crate) ledger: Ledger,
    pub(crate) sidecar: Sidecar,
    pub(crate) mark: Mark,
    /// Who vouches for it.
    pub(crate) witnessing: Witnessing,
    pub(crate) stamping: Option<Stamping>,
}

/// Opens the ledger of this server's shard. One that is not the newest there was is left as it is, and the
/// next shard is opened in its place.
pub(crate) async fn open(
    config: &Config,
    deps: &Deps,
    keys: &ServerKeys,
    follower: &Follower,
    stamping: Option<Stamping>,
) -> Result<Opened, StartError> {
    let (clock, disk) = (&deps.clock, &deps.disk);
    let data = config.data.as_path();
    let kek = KeyStore::open(config.keys.as_path())?.within("kek")?;
    let sidecar = Sidecar::open(Arc::clone(disk), data.join("sidecar"), kek)?;
    let ledgers = data.join("ledger");
    let directory = follower.directory();
    // A copy of the directory that is old, or was put back with the rest, may know neither the newest shard
    // nor the witnesses.
    shard::hear_registry(&directory).await;
    shard::open_first(&config.server, keys, follower, &**clock).await?;
    let mark = Mark::open(Arc::clone(disk), config.keys.as_path())?;
    let witnessing = Witnessing::new(Arc::clone(&deps.net), Arc::clone(clock), mark.clone());
    let mut restored = Restored::read(&**disk, data)?;
    let mut tick = tokio::time::interval(AGAIN);
    let mut opened = 0;
    loop {
        tick.tick().await;
        // Each time anew: the registry may have been heard, and the registrar may have named others.
        let view = directory.view();
        witnessing.begin(view.state.policy());
        let shards = view.state.shards(&config.server, Mode::Live);
        let Some((open, earlier)) = shards.split_last() else {
            return Err(shard::not_registered(&config.server));
        };
        let origin: LogOrigin = open
            .origin
            .parse()
            .map_err(|_| shard::not_registered(&config.server))?;
        let sidecar = sidecar.clone().in_shard(earlier.len() as u64);
        let folder = ledgers.join(shard::folder_of(&origin));
        let key = NoteKey::new(origin.as_str(), keys.ledger.verifying_key().clone());
        let key = key.map_err(|_| StartError::Log(Reason::InternalFault))?;
        let standing = shard::judge(disk, &folder, &key, earlier, &mark, witnessing.witnesses());
        let standing = standing.await?;
        let put_back = match &restored {
            None => PutBack::Untouched,
            Some(restored) => {
                let marked = mark.newest(key.key())?;
                let marked = marked.filter(|marked| marked.checkpoint().origin == key.name());
                let begun = shard::has_begun(&**disk, &ledgers, earlier)?;
                restored.judge(disk, &folder, marked.as_ref(), begun)
            }
        };
        let ended = match standing {
            Standing::Unknown { awaited } => {
                tracing::warn!(event = "start.waiting", awaited);
                continue;
            }
            Standing::Behind(newer) => Ended::by_an_older_copy(origin, newer),
            Standing::Newest if put_back == PutBack::Short => {
                let note = shard::last_note(Arc::clone(disk), &folder);
                Ended::by_a_backup(origin, note)
            }
            Standing::Newest | Standing::Unreadable => {
                if put_back == PutBack::Whole {
                    Restored::settle(&**disk, data)?;
                    restored = None;
                }
                let ledger_config = LedgerConfig {
                    cosigner: Some(witnessing.cosigner()),
                    ..LedgerConfig::new(
                        folder.clone(),
                        origin.as_str(),
                        Arc::clone(&keys.ledger),
                        Arc::clone(disk),
                        Box::new(sidecar.clone()),
                        Arc::clone(clock),
                    )
                };
                match Ledger::open(ledger_config, deps.runner).await {
                    // What could not be compared is not gone on in. Dropped, nothing is signed.
                    Ok(_) if matches!(standing, Standing::Unreadable) => {
                        return Err(StartError::Log(Reason::LogUnavailable));
                    }
                    Ok(ledger) => {
                        return Ok(Opened {
                            origin,
                            ledger,
                            sidecar,
                            mark,
                            witnessing,
                            stamping,
                        });
                    }
                    Err(LedgerError::Log(LogError::Lost { .. })) => {
                        let note = shard::last_note(Arc::clone(disk), &folder);
                        Ended::by_loss(origin, note)
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        if opened == SHARDS_IN_A_START {
            return Err(StartError::Log(Reason::LogForked));
        }
        opened += 1;
        let next = shard::open_next(
            &config.server,
            keys,
            follower,
            &**clock,
            &**disk,
            &ledgers,
            &ended,
        );
        next.await?;
        tick.reset_immediately();
    }
}

/// Ends the shard that is over, when everything begun in it has its end there; the next start takes up the
/// new one.
pub(crate) async fn end(
    server: &Server,
    keys: &ServerKeys,
    follower: &Follower,
    disk: &dyn Disk,
) -> Result<(), StartError> {
    let ledger = server.journal.ledger();
    // Nobody cosigns it any more once it is closed, and only what is final counts for peers. A server that
    // has no quorum for longer than this would serve nobody either.
    let policy = server.witnessing.witnesses().policy();
    let began = server.clock.now();
    let patience = follower.directory().view();
    let patience = patience.state.policy().map(Policy::cosigned_within);
    let mut tick = tokio::time::interval(AGAIN);
    loop {
        tick.tick().await;
        ledger.publish_now().await?;
        let is_final = ledger
            .finality()
            .borrow()
            .as_ref()
            .is_some_and(|last| last.size() == ledger.size());
        let waited = server.clock.now().since(began);
        if is_final || policy.fewest() == 0 || patience.is_none_or(|most| waited > most) {
            break;
        }
    }
    // The newest it signed, final or not: a shorter end would break what was promised since.
    let last = ledger.checkpoint().borrow().clone();
    let ended = Ended::in_time(
        server.journal.origin().clone(),
        last.map(|last| last.note().clone()),
    );
    ledger.shutdown().await?;
    let ledgers = server.config.data.as_path().join("ledger");
    let (id, clock) = (&server.id, &*server.clock);
    shard::open_next(id, keys, follower, clock, disk, &ledgers, &ended).await
}

/// How often a start looks whether it is known by now which ledger is the newest.
const AGAIN: Duration = Duration::from_secs(3);
/// Shards that one start may open, one after the other: of each a witness must have seen more than is here.
const SHARDS_IN_A_START: usize = 3;
