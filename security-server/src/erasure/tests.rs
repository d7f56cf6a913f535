//! Every point at which a destruction can be cut short, on a disk that loses what was not synced.

use entente_clock::{Clock, ManualClock, Timestamp};
use entente_evidence::statement::LogOrigin;
use entente_ledger::disk::Disk;
use entente_ledger::{Append, LedgerConfig, Reader, Runner};
use entente_sidecar::{RecordOf, Retention};
use entente_signing::{Digest, Ed25519Key, Signer};
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;

use super::*;
use crate::unproven::Unproven;

const ORIGIN: &str = "ss1.service-ontario.ca-on/access/2026h2.1";
const NOW: Timestamp = Timestamp::from_millis(1_795_305_600_000);
const IDS: [[u8; 16]; 3] = [[1; 16], [2; 16], [3; 16]];

async fn open(disk: &MemDisk) -> Result<Journal, Reason> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
    let sidecar = Sidecar::open(Arc::clone(&shared), "/data/sidecar", "/keys/kek");
    let sidecar = sidecar.map_err(|error| error.reason())?;
    let key: Arc<dyn Signer> = Arc::new(Ed25519Key::from_seed(&[7; 32]).unwrap());
    let companion = Box::new(sidecar.clone());
    let mut config = LedgerConfig::new(
        "/data/ledger",
        ORIGIN,
        key,
        shared,
        companion,
        Arc::clone(&clock),
    );
    config.preallocate = false;
    let ledger = Ledger::open(config, Runner::Task).await;
    let ledger = ledger.map_err(|_| Reason::LogUnavailable)?;
    let origin: LogOrigin = ORIGIN.parse().unwrap();
    let unproven = Unproven::default();
    Ok(Journal::new(ledger, sidecar, origin, clock, None, unproven))
}

fn of(id: &[u8; 16]) -> RecordOf<'_> {
    RecordOf {
        origin: ORIGIN,
        message_id: id,
        kind: 1,
    }
}

/// A ledger with three records, the last of which stays; and their hashes.
async fn stored(disk: &MemDisk) -> Vec<Digest> {
    let journal = open(disk).await.unwrap();
    let mut hashes = Vec::new();
    for (id, class) in IDS.iter().zip(["short.30d", "short.30d", "long.730d"]) {
        let retention: Retention = class.parse().unwrap();
        let sealed = journal.sidecar().seal(&retention, NOW.day(), &of(id), b"x");
        let sealed = sealed.unwrap();
        let entry = sealed.hash.as_bytes().to_vec().into();
        let attachment = Some(sealed.attachment);
        let append = Append { entry, attachment };
        journal.ledger().append(append).await.unwrap();
        hashes.push(sealed.hash);
    }
    journal.ledger().shutdown().await.unwrap();
    hashes
}

fn plans(hashes: &[Digest]) -> [Plan; 2] {
    let plan = |targets| Plan {
        authority: "a test".to_owned(),
        origin: ORIGIN.to_owned(),
        since: 3,
        targets,
    };
    let name = format!("short.30d/{}/1", NOW.day());
    let period = Target::Key(name.parse().unwrap());
    let record = |hash: &Digest| Target::Record {
        hash: *hash,
        retention: "short.30d".parse().unwrap(),
        day: NOW.day(),
    };
    [
        plan(vec![period]),
        plan(vec![record(&hashes[0]), record(&hashes[1])]),
    ]
}

/// Plans and finishes, until the disk says no.
async fn destroy(disk: &MemDisk, plan: &Plan) -> bool {
    let Ok(journal) = open(disk).await else {
        return false;
    };
    let planned = journal.sidecar().plan(plan).is_ok();
    planned && finish(&journal).await.is_ok()
}

/// What SHRED entries of a ledger name.
fn shreds(disk: &MemDisk) -> Vec<Digest> {
    let mut reader = Reader::open(Arc::new(disk.clone()), "/data/ledger").unwrap();
    let entries = reader.entries(0).map(|entry| entry.unwrap().1);
    let shreds = entries.filter_map(|bytes| shred_in(&bytes));
    shreds.map(|shred| shred.key_hash).collect()
}

#[tokio::test]
async fn wherever_it_stops_nothing_is_gone_without_its_entry_and_what_is_logged_goes() {
    let before = MemDisk::new();
    let hashes = stored(&before).await;
    for plan in plans(&hashes) {
        let whole = before.restart();
        let from = whole.operations();
        assert!(destroy(&whole, &plan).await);
        for at in from..whole.operations() {
            let disk = before.restart();
            disk.fail_at(disk.operations() + at - from, Fault::Crash);
            destroy(&disk, &plan).await;
            for image in disk.crash_images(at).chain([disk.restart()]) {
                check(&image, &plan, &hashes).await;
            }
        }
    }
}

async fn check(image: &MemDisk, plan: &Plan, hashes: &[Digest]) {
    let logged = shreds(image).len();
    let journal = open(image).await.unwrap();
    let opens = |journal: &Journal, at: usize| {
        let opened = journal.sidecar().open_record(&hashes[at], &of(&IDS[at]));
        opened.is_ok()
    };
    let whole = opens(&journal, 0) && opens(&journal, 1);
    assert!(
        whole || logged == plan.targets.len(),
        "gone without its entry"
    );
    let planned = journal.sidecar().planned().unwrap().is_some();
    finish(&journal).await.unwrap();
    assert!(opens(&journal, 2), "what stays is lost");
    let gone = !opens(&journal, 0) && !opens(&journal, 1);
    journal.ledger().shutdown().await.unwrap();
    let found = shreds(image);
    if planned || logged > 0 {
        let targets = plan.targets.iter();
        let wanted: Vec<Digest> = targets.map(Target::key_hash).collect();
        assert_eq!(found, wanted, "each is logged once");
        assert!(gone, "logged, and not destroyed");
    } else {
        assert_eq!(found, []);
        assert!(!gone);
    }
}
