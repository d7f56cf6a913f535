//! The values are there, under keys: openings by every entry that keeps them, the payload where a clause
//! orders it.

use std::sync::Arc;

use entente_directory::Mode;
use entente_evidence::proof::SignedStatement;
use entente_ledger::disk::{Disk, RealDisk};
use entente_ledger::entry::Body;
use entente_sidecar::{RecordOf, Sidecar};
use entente_tests::world::World;

use super::{BORN, CASE, DIED, PERSON, PERSON_BARE, USER};

/// Opens every record of both servers.
pub(super) fn check(world: &World) {
    for site in [&world.consumer, &world.provider] {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let (data, keys) = (site.dir.join("data/sidecar"), site.dir.join("keys/kek"));
        let sidecar = Sidecar::open(disk, data, keys).unwrap();
        let view = world.view();
        let shard = view.state.shard(&site.server, Mode::Live).unwrap();
        let origin = shard.origin.clone();
        let (mut with, mut without) = (0, 0);
        for entry in site.dated_entries().unwrap() {
            let (kind, statement, hash) = match &entry.body {
                Body::In(entry) => (1, &entry.statement, entry.sidecar),
                Body::Out(entry) => (2, &entry.statement, entry.sidecar),
                _ => continue,
            };
            let Some(hash) = hash else { continue };
            let signed = SignedStatement::parse(statement.clone()).unwrap();
            let said = signed.statement();
            let of = RecordOf {
                origin: &origin,
                message_id: said.message_id.as_bytes(),
                kind,
            };
            let opened = sidecar.open_record(&hash, &of).unwrap();
            let holds = |value: &str| opened.windows(value.len()).any(|w| w == value.as_bytes());
            let request = said.request_hash().is_none();
            let kept = said.agreement != world.agreement;
            if request {
                assert!(holds(USER) && holds(CASE) && holds(PERSON_BARE));
                assert_eq!((holds(PERSON), holds(BORN)), (kept, kept));
            } else if kept {
                assert!(holds(DIED));
            } else {
                assert!(!holds(DIED));
            }
            *(if kept { &mut with } else { &mut without }) += 1;
        }
        assert!(with >= 2 && without >= 6, "{with} and {without} records");
    }
}
