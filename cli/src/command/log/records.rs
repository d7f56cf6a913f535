//! What became of the record that an entry names: there, destroyed by rule, or missing against it.
//!
//! Only the sidecar beside the ledger is looked at, and no key is used: nothing personal is opened. How
//! long a record was to be kept is the agreement's to say: its entry names it, and the registry's verified
//! copy has it. The sidecar says it too, but whoever holds its disk can change that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry};
use entente_sidecar::{Audit, Retention, Shredding, SidecarError, Standing, Violation};
use serde_json::{Value, json};

use super::keys::{HeldView, known_view, nearest_config};
use super::{Line, damaged, ledgers_in, open};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// The records beside a ledger.
#[derive(Debug)]
pub(super) struct Records {
    audit: Audit,
    /// The registry's view that says what was agreed.
    view: Option<HeldView>,
}

/// How it stands with a record, and on whose word.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) standing: Standing,
    /// Whether its class and term were compared with the agreement's.
    is_agreed: bool,
}

/// How it stands with all records of a ledger.
#[derive(Debug, Default)]
pub(super) struct Tally {
    present: u64,
    shredded: u64,
    /// Entry and what is wrong, as far as they are told.
    violations: Vec<(u64, Violation)>,
    violated: u64,
    /// Records whose class and term nobody but the sidecar says.
    unagreed: u64,
    has_keys: bool,
}

// === impl Records ===

impl Records {
    /// Those beside the ledger in `dir`; none where there is no sidecar, as beside a registry's. Without
    /// a `view`, the one that `config` leads to is taken.
    pub(super) async fn beside(
        dir: &Path,
        view: Option<HeldView>,
        config: Option<&Path>,
        screen: &Screen,
    ) -> Result<Option<Self>, Failure> {
        let Some(data) = data_of(dir) else {
            return Ok(None);
        };
        let sidecar = data.join("sidecar");
        if !sidecar.is_dir() {
            return Ok(None);
        }
        let keys = keys_of(&data).map(|keys| keys.join("kek"));
        let disk = Arc::new(RealDisk);
        let audit = Audit::open(Arc::clone(&disk) as _, &sidecar, keys.as_deref());
        let mut audit = match audit {
            // Not for everybody's eyes: what can be told without the names of the keys is.
            Err(SidecarError::Disk(_)) => Audit::open(disk, &sidecar, None),
            opened => opened,
        }
        .map_err(|error| unreadable(&sidecar, &error, screen))?;
        // A key may be destroyed years after its ledger's shard was closed: all of them are asked.
        let ledgers = ledgers_in(dir.parent().unwrap_or(dir), screen)?;
        for ledger in ledgers {
            let mut reader = open(&ledger, screen)?;
            let failed = |error| damaged(&ledger, &error, screen);
            note_shreds(&mut audit, &mut reader).map_err(failed)?;
            let noted = reader.attachments(|_, attachment| audit.note_waiting(attachment));
            noted.map_err(failed)?;
        }
        let view = match view {
            None => known_view(dir, config, false, screen).await?,
            given => given,
        };
        Ok(Some(Self { audit, view }))
    }

    /// How it stands with the record of an entry; none when the entry names none.
    pub(super) fn standing(
        &mut self,
        line: &Line,
        screen: &Screen,
    ) -> Result<Option<Judged>, Failure> {
        let Some(record) = &line.record else {
            return Ok(None);
        };
        let agreed = self.agreed(line);
        let standing = self.audit.standing(record, line.at, agreed.as_ref());
        Ok(Some(Judged {
            standing: standing.map_err(|error| unreadable(Path::new("sidecar"), &error, screen))?,
            is_agreed: agreed.is_some(),
        }))
    }

    /// How long the clause that an entry names keeps what is exchanged under it.
    fn agreed(&self, line: &Line) -> Option<Retention> {
        let said = line.statement.as_ref()?.statement();
        let agreement = self.view.as_ref()?.agreement(&said.agreement)?;
        let mut clauses = agreement.document().clauses.iter();
        let clause = clauses.find(|clause| u64::from(clause.number) == said.clause)?;
        let kept = &clause.retention;
        Retention::new(kept.class.as_str(), kept.days).ok()
    }

    /// Looks at every record of a ledger.
    pub(super) fn tally(&mut self, dir: &Path, screen: &Screen) -> Result<Tally, Failure> {
        let mut tally = Tally {
            has_keys: self.audit.has_keys(),
            ..Tally::default()
        };
        let mut reader = open(dir, screen)?;
        for entry in reader.entries(0) {
            let (index, bytes) = entry.map_err(|error| damaged(dir, &error, screen))?;
            let Some(line) = Line::read(index, &bytes) else {
                continue;
            };
            let Some(judged) = self.standing(&line, screen)? else {
                continue;
            };
            tally.unagreed += u64::from(!judged.is_agreed);
            match judged.standing {
                Standing::Present => tally.present += 1,
                Standing::Shredded(_) => tally.shredded += 1,
                Standing::Violation(violation) => {
                    tally.violated += 1;
                    if tally.violations.len() < MAX_TOLD {
                        tally.violations.push((index, violation));
                    }
                }
            }
        }
        Ok(tally)
    }
}

fn note_shreds(
    audit: &mut Audit,
    reader: &mut Reader,
) -> Result<(), entente_ledger::log::LogError> {
    let origin = reader.origin().unwrap_or("-").to_owned();
    for entry in reader.entries(0) {
        let (index, bytes) = entry?;
        let Ok(entry) = Entry::decode(&bytes) else {
            continue;
        };
        if let Body::Shred(shred) = entry.body {
            audit.note_shred(Shredding {
                origin: origin.clone(),
                index,
                at: entry.at,
                shred,
            });
        }
    }
    Ok(())
}

/// The data folder of a ledger: `data/ledger/<shard>`.
pub(super) fn data_of(dir: &Path) -> Option<PathBuf> {
    let dir = std::fs::canonicalize(dir).ok()?;
    Some(dir.parent()?.parent()?.to_owned())
}

/// The key folder of the server whose data this is, by its configuration; `kek` in it has those of records.
pub(super) fn keys_of(data: &Path) -> Option<PathBuf> {
    let config = entente_security_server::Config::load(&nearest_config(data)?).ok()?;
    let is_its_own = std::fs::canonicalize(config.data.as_path()).is_ok_and(|own| own == data);
    is_its_own.then(|| config.keys.as_path().to_owned())
}

fn unreadable(dir: &Path, error: &SidecarError, screen: &Screen) -> Failure {
    let what = screen.text(Text::SidecarUnreadable, &[("dir", &dir.display())]);
    let exit = match error {
        SidecarError::Damaged { .. } => Exit::Integrity,
        _ => Exit::Failed,
    };
    Failure::new(exit, what).because(error)
}

// === impl Tally ===

impl Tally {
    pub(super) fn is_sound(&self) -> bool {
        self.violated == 0
    }

    pub(super) fn value(&self) -> Value {
        let violations = self.violations.iter().map(|(index, violation)| {
            let mut value = violation_value(violation);
            value["index"] = (*index).into();
            value
        });
        json!({
            "present": self.present,
            "shredded": self.shredded,
            "violated": self.violated,
            "by_sidecar_word": self.unagreed,
            "keys_seen": self.has_keys,
            "violations": violations.collect::<Vec<_>>(),
        })
    }

    pub(super) fn print(&self, screen: &Screen) {
        let facts: [Fact<'_>; 3] = [
            ("present", &self.present),
            ("shredded", &self.shredded),
            ("violated", &self.violated),
        ];
        let counts = screen.text(Text::RecordsCounted, &facts);
        print_out(format!(
            "  {:<11} {counts}",
            screen.text(Text::HeadRecords, &[])
        ));
        if !self.has_keys {
            screen.say(Text::RecordsWithoutKeys, &[]);
        }
        if self.unagreed > 0 {
            screen.say(Text::RecordsBySidecar, &[("count", &self.unagreed)]);
        }
        for (index, violation) in &self.violations {
            let told = violation_text(violation, screen);
            print_out(screen.red(&format!("  {index:>5}  {told}")));
        }
    }
}

// === impl Judged ===

impl Judged {
    /// For people.
    pub(super) fn text(&self, screen: &Screen) -> String {
        let text = match &self.standing {
            Standing::Present => screen.text(Text::RecordPresent, &[]),
            Standing::Shredded(by) => told(Text::RecordShredded, by, screen),
            Standing::Violation(violation) => screen.red(&violation_text(violation, screen)),
        };
        match self.is_agreed {
            true => text,
            false => screen.text(Text::RecordBySidecar, &[("standing", &text)]),
        }
    }

    /// For scripts.
    pub(super) fn value(&self) -> Value {
        let mut value = match &self.standing {
            Standing::Present => json!({ "standing": "present" }),
            Standing::Shredded(by) => json!({ "standing": "shredded", "shred": shred_value(by) }),
            Standing::Violation(violation) => violation_value(violation),
        };
        value["term_by"] = if self.is_agreed {
            "agreement"
        } else {
            "sidecar"
        }
        .into();
        value
    }
}

fn violation_text(violation: &Violation, screen: &Screen) -> String {
    match violation {
        Violation::Absent => screen.text(Text::RecordAbsent, &[]),
        Violation::Early(by) => told(Text::RecordEarly, by, screen),
        Violation::KeyGone => screen.text(Text::RecordKeyGone, &[]),
        Violation::NotDestroyed(by) => told(Text::RecordNotDestroyed, by, screen),
        Violation::OtherRetention { held, agreed } => {
            let facts: [Fact<'_>; 2] = [("held", held), ("agreed", agreed)];
            screen.text(Text::RecordOtherRetention, &facts)
        }
    }
}

fn violation_value(violation: &Violation) -> Value {
    let (code, by) = match violation {
        Violation::Absent => ("absent", None),
        Violation::Early(by) => ("early", Some(by)),
        Violation::KeyGone => ("key-gone", None),
        Violation::NotDestroyed(by) => ("not-destroyed", Some(by)),
        Violation::OtherRetention { .. } => ("other-retention", None),
    };
    let mut value =
        json!({ "standing": "violation", "violation": code, "shred": by.map(shred_value) });
    if let Violation::OtherRetention { held, agreed } = violation {
        value["held"] = held.to_string().into();
        value["agreed"] = agreed.to_string().into();
    }
    value
}

fn shred_value(by: &Shredding) -> Value {
    json!({
        "ledger": by.origin,
        "index": by.index,
        "time": by.at.to_string(),
        "class": by.shred.class,
        "period": by.shred.period,
        "authority": by.shred.authority,
    })
}

fn told(text: Text, by: &Shredding, screen: &Screen) -> String {
    let facts: [Fact<'_>; 4] = [
        ("index", &by.index),
        ("class", &by.shred.class),
        ("period", &by.shred.period),
        ("authority", &by.shred.authority),
    ];
    screen.text(text, &facts)
}

/// Violations told one by one; the others are counted.
const MAX_TOLD: usize = 1_000;
