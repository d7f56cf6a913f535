//! Opening the ledger at a start: the newest of this server's shards, once it is known to be that. And ending
//! one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use entente_evidence::statement::LogOrigin;
use entente_follow::Follower;
use entente_ledger::disk::Disk;
use entente_ledger::log::LogError;
use entente_ledger::note::{NoteKey, SignedNote};
use entente_ledger::{Ledger, LedgerConfig, LedgerError};
use entente_reason::Reason;
use entente_sidecar::Sidecar;

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
    let kek = config.keys.as_path().join("kek");
    let sidecar = Sidecar::open(Arc::clone(disk), data.join("sidecar"), kek)?;
    let ledgers = data.join("ledger");
    let mut origin = shard::open_first(&config.server, keys, follower, &**clock).await?;
    // A copy of the directory that is old, or was put back with the rest, may not know the witnesses yet.
    shard::hear_registry(&follower.directory()).await;
    let view = follower.directory().view();
    let witnessing = Witnessing::new(Arc::clone(&deps.net), Arc::clone(clock));
    witnessing.begin(view.state.policy());
    let mark = Mark::open(Arc::clone(disk), config.keys.as_path())?;
    for _ in 0..SHARDS_IN_A_START {
        let view = follower.directory().view();
        let ordinal = shard::ordinal(&view.state, &config.server, &origin);
        let sidecar = sidecar.clone().in_shard(ordinal);
        let folder = ledgers.join(shard::folder_of(&origin));
        let key = NoteKey::new(origin.as_str(), keys.ledger.verifying_key().clone());
        let key = key.map_err(|_| StartError::Log(Reason::InternalFault))?;
        let ended = match stand(disk, &folder, &key, &mark, &witnessing).await? {
            Some(newer) => Ended::by_an_older_copy(origin.clone(), newer),
            None => {
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
                        Ended::by_loss(origin.clone(), note)
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let next = shard::open_next(
            &config.server,
            keys,
            follower,
            &**clock,
            &**disk,
            &ledgers,
            &ended,
        );
        origin = next.await?;
    }
    Err(StartError::Log(Reason::LogForked))
}

/// Waits until it is known whether the ledger on the disk is the newest there was; answers with the newer
/// checkpoint when it is not.
async fn stand(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    key: &NoteKey,
    mark: &Mark,
    witnessing: &Witnessing,
) -> Result<Option<SignedNote>, StartError> {
    let mut tick = tokio::time::interval(WITNESSES_AGAIN);
    loop {
        tick.tick().await;
        match shard::judge(disk, folder, key, mark, witnessing.witnesses()).await? {
            Standing::Behind(newer) => return Ok(Some(newer)),
            Standing::Newest => return Ok(None),
            Standing::Unknown => tracing::warn!(
                event = "witnesses.awaited",
                remedy = "so many witnesses of the policy must answer that the others are no quorum, before \
                          this server signs anything"
            ),
        }
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
    ledger.publish_now().await?;
    let last = ledger.finality().borrow().clone();
    let last = last.or_else(|| ledger.checkpoint().borrow().clone());
    let ended = Ended::in_time(
        server.journal.origin().clone(),
        last.map(|last| last.note().clone()),
    );
    ledger.shutdown().await?;
    let ledgers = server.config.data.as_path().join("ledger");
    let (id, clock) = (&server.id, &*server.clock);
    shard::open_next(id, keys, follower, clock, disk, &ledgers, &ended).await?;
    Ok(())
}

/// How often witnesses are asked at a start, until enough of them answer.
const WITNESSES_AGAIN: Duration = Duration::from_secs(3);
/// Shards that one start may open, one after the other: of each a witness must have seen more than is here.
const SHARDS_IN_A_START: usize = 3;
