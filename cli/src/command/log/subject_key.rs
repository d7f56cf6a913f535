//! `entente log subject-key`: what an authenticated person is given to find the entries about them.

use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use entente_agreement::NoticeClass;
use entente_contract::Subject as Named;
use entente_evidence::commitment::Subject;
use entente_evidence::tag::{SubjectKey, TagKey};
use entente_ledger::disk::RealDisk;
use entente_security_server::Config;
use entente_sidecar::{Span, tag_keys};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Make the keys with which one person finds the entries about them
///
/// Authenticate the person first: whoever holds the file can tell which entries are about them. It holds
/// one key for each month and retention whose notice is due, and none that is not, each with the one that
/// finds exchanges about too many persons to name. The person's identifier is read from standard input or
/// a file, never from an argument.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SubjectKeyArgs {
    /// The server's configuration
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// The kind of identifier, as contracts name it: ca.sin
    #[arg(long, value_name = "SCHEME")]
    scheme: String,
    /// Read the identifier from this file, and not from standard input
    #[arg(long, value_name = "FILE")]
    subject_file: Option<PathBuf>,
    /// Where the keys go: a new file, for its owner's eyes alone
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Deferred notice is due up to and with this month: 2026-05
    #[arg(long, value_name = "MONTH")]
    deferred_until: Option<String>,
    /// For the commissioner: with these keys, entries under withheld notice are counted, and only counted
    #[arg(long)]
    count_withheld: bool,
}

/// The file of one person's keys. Secret.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectKeys {
    schema: String,
    keys: Vec<MonthKey>,
}

/// One of them.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MonthKey {
    month: String,
    retention: String,
    notice: NoticeClass,
    /// Hexadecimal.
    key: String,
    /// Finds exchanges about too many to name. Hexadecimal.
    bulk: String,
}

/// A key of the file, ready for use.
pub(super) struct Due {
    pub(super) month: String,
    /// Whether its entries are only counted.
    pub(super) is_withheld: bool,
    /// Whether it finds exchanges about too many to name, not those about this person.
    pub(super) is_bulk: bool,
    pub(super) key: SubjectKey,
}

pub(crate) fn run(args: &SubjectKeyArgs, screen: &Screen) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    let subject = read_subject(args, screen)?;
    let folder = config.keys.as_path().join("kek");
    let secrets = tag_keys(&RealDisk, &folder);
    let secrets = secrets.map_err(|error| Failure::of(Exit::Failed, &error))?;
    let mut keys = Vec::new();
    for secret in secrets {
        let Span::Tags { month, notice } = &secret.name.period.span else {
            continue;
        };
        let Some(notice) = notice_class(notice).filter(|class| args.is_due(*class, month)) else {
            continue;
        };
        let retention = secret.name.period.retention.to_string();
        let tag_key = TagKey::new(&secret.bytes);
        keys.push(MonthKey::of(month, &retention, notice, &tag_key, &subject));
    }
    let count = keys.len();
    let file = SubjectKeys {
        schema: SCHEMA.to_owned(),
        keys,
    };
    write_new(&args.out, &file).map_err(|error| {
        let facts: [Fact<'_>; 1] = [("file", &args.out.display())];
        Failure::new(Exit::Failed, screen.text(Text::KeysNotWritten, &facts)).because(&error)
    })?;
    let value = json!({ "file": args.out, "keys": count });
    screen.show("log.subject-key", value, |screen| {
        let facts: [Fact<'_>; 2] = [("count", &count), ("file", &args.out.display())];
        print_out(screen.text(Text::KeysWritten, &facts));
    });
    Ok(())
}

// === impl SubjectKeyArgs ===

impl SubjectKeyArgs {
    fn is_due(&self, class: NoticeClass, month: &str) -> bool {
        match class {
            NoticeClass::Immediate => true,
            NoticeClass::Deferred => {
                let until = self.deferred_until.as_deref();
                until.is_some_and(|until| month <= until)
            }
            NoticeClass::Withheld => self.count_withheld,
        }
    }
}

// === impl SubjectKeys ===

impl SubjectKeys {
    /// Reads a file of keys.
    pub(super) fn load(path: &Path, screen: &Screen) -> Result<Vec<Due>, Failure> {
        let facts: [Fact<'_>; 1] = [("file", &path.display())];
        let wrong = || Failure::new(Exit::Usage, screen.text(Text::KeysUnreadable, &facts));
        let file = std::fs::File::open(path).map_err(|error| wrong().because(&error))?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
        read.map_err(|error| wrong().because(&error))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(wrong());
        }
        // What is wrong with it is not told: the message could quote a key.
        let file: Self = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        if file.schema != SCHEMA {
            return Err(wrong());
        }
        let own = file.keys.iter().map(|month| month.due(&month.key, false));
        let bulk = file.keys.iter().map(|month| month.due(&month.bulk, true));
        let due: Option<_> = own.chain(bulk).collect();
        due.ok_or_else(wrong)
    }
}

// === impl MonthKey ===

impl MonthKey {
    fn of(
        month: &str,
        retention: &str,
        notice: NoticeClass,
        tag_key: &TagKey,
        subject: &Subject,
    ) -> Self {
        let key = |of: &Subject| hex::encode(tag_key.subject_key(of).expose());
        Self {
            month: month.to_owned(),
            retention: retention.to_owned(),
            notice,
            key: key(subject),
            bulk: key(&Subject::many()),
        }
    }

    fn due(&self, key: &str, is_bulk: bool) -> Option<Due> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(key, &mut bytes).ok()?;
        Some(Due {
            is_withheld: self.notice == NoticeClass::Withheld,
            is_bulk,
            key: SubjectKey::new(bytes),
            month: self.month.clone(),
        })
    }
}

/// Notice classes, as they stand in a key's name.
fn notice_class(name: &str) -> Option<NoticeClass> {
    let all = [
        NoticeClass::Deferred,
        NoticeClass::Immediate,
        NoticeClass::Withheld,
    ];
    all.into_iter().find(|class| class.as_str() == name)
}

fn read_subject(args: &SubjectKeyArgs, screen: &Screen) -> Result<Subject, Failure> {
    let wrong = || Failure::new(Exit::Usage, screen.text(Text::SubjectUnreadable, &[]));
    let mut text = Vec::new();
    let read = match &args.subject_file {
        Some(file) => {
            std::fs::File::open(file).and_then(|file| file.take(MAX_SUBJECT).read_to_end(&mut text))
        }
        None => std::io::stdin()
            .lock()
            .take(MAX_SUBJECT)
            .read_to_end(&mut text),
    };
    read.map_err(|error| wrong().because(&error))?;
    // Nothing of the identifier may come back in a message.
    let text = String::from_utf8(text).map_err(|_| wrong())?;
    let named = Named::named(&args.scheme, text.trim()).ok_or_else(wrong)?;
    Subject::new(named.scheme(), named.value()).map_err(|_| wrong())
}

fn write_new(path: &Path, keys: &SubjectKeys) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(serde_json::to_string_pretty(keys)?.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

const SCHEMA: &str = "entente.subject-keys/v2";

/// Longest file of keys read, in bytes: ten years of a hundred classes are 3 MiB.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Longest text read as an identifier, in bytes.
const MAX_SUBJECT: u64 = 1_024;

const EXAMPLES: &str = "\
Examples:
  entente log subject-key security-server.yaml --scheme ca.sin --out person.keys < identifier
  entente log who-looked data/ledger --keys person.keys";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_gets_the_keys_whose_notice_is_due_and_no_other() {
        let args = |deferred_until: Option<&str>, count_withheld| SubjectKeyArgs {
            config: PathBuf::new(),
            scheme: String::new(),
            subject_file: None,
            out: PathBuf::new(),
            deferred_until: deferred_until.map(str::to_owned),
            count_withheld,
        };
        let due = |args: &SubjectKeyArgs| {
            let classes = [
                NoticeClass::Immediate,
                NoticeClass::Deferred,
                NoticeClass::Withheld,
            ];
            classes.map(|class| args.is_due(class, "2026-05"))
        };
        assert_eq!(due(&args(None, false)), [true, false, false]);
        assert_eq!(due(&args(Some("2026-04"), false)), [true, false, false]);
        assert_eq!(due(&args(Some("2026-05"), false)), [true, true, false]);
        assert_eq!(due(&args(Some("2027-01"), true)), [true, true, true]);
    }

    #[test]
    fn a_file_holds_the_persons_keys_and_everybodys() {
        let subject = Subject::new("ca.sin", "046454286").unwrap();
        let tag_key = TagKey::new(&[7; 32]);
        let [own, bulk] = [&subject, &Subject::many()].map(|one| tag_key.subject_key(one));
        let month = MonthKey::of(
            "2026-05",
            "benefits.730d",
            NoticeClass::Withheld,
            &tag_key,
            &subject,
        );
        assert_eq!(month.key, hex::encode(own.expose()));
        assert_eq!(month.bulk, hex::encode(bulk.expose()));
        let due = month.due(&month.bulk, true).unwrap();
        assert!(due.is_withheld && due.is_bulk);
    }
}
