//! `entente log compare`: two servers' ledgers held against each other, exchange by exchange.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use clap::Args;
use entente_bundle::compare::{Judged, Side, Verdict, compare};
use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_identity::ServerId;
use entente_keys::{SessionCertificate, VerifiedSession};
use entente_ledger::entry::{Body, Entry, Session};
use entente_signing::KeyId;
use serde_json::{Value, json};

use super::directory::Directory;
use super::sound::{Reach, SoundCopy, sound_copy};
use super::{known_key, ledgers_in, open};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Hold the ledgers of two servers against each other: who dropped what
///
/// Each ledger is verified whole first, under the key that the directory binds it to, and only what its
/// signed checkpoint covers is judged: every exchange between the two, whoever asked. COMPLETE, UNDELIVERED,
/// UNANSWERED, CONSUMER_OMITTED or PROVIDER_OMITTED, and BEYOND where the other's copy ends too early. Give
/// all shards of a server, or those of one time. What both sides dropped together leaves no trace in either.
/// Exits with 6 when a side is shown to have dropped an entry, and with 7 when a ledger has no signed
/// checkpoint.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompareArgs {
    /// One server's ledger, or the folder of its ledgers
    #[arg(value_name = "DIR")]
    one: PathBuf,
    /// The other server's
    #[arg(value_name = "PEER")]
    other: PathBuf,
    /// The configuration that says which registry to believe; otherwise the nearest above the folder
    #[arg(long, value_name = "FILE", env = "ENTENTE_CONFIG")]
    config: Option<PathBuf>,
}

/// The verified ledgers of one server.
struct Party {
    server: ServerId,
    ledgers: Vec<SoundCopy>,
}

/// The sessions that ledgers name, by the key that signs.
#[derive(Default)]
struct Sessions(HashMap<KeyId, VerifiedSession>);

pub(crate) async fn run(args: &CompareArgs, screen: &Screen) -> Result<(), Failure> {
    let config = args.config.as_deref();
    let directory = Directory::open(&args.one, config, screen).await?;
    let one = party(&args.one, config, &directory, screen).await?;
    let other = party(&args.other, config, &directory, screen).await?;
    let mut sessions = Sessions::default();
    // All first: which side logged a session earlier says nothing.
    for ledger in one.ledgers.iter().chain(&other.ledgers) {
        sessions.read(ledger, &directory, screen)?;
    }
    let mine = side(&one, &other.server, &sessions, &directory, screen)?;
    let theirs = side(&other, &one.server, &sessions, &directory, screen)?;
    let ways = [
        (&mine, &theirs, compare(&mine, &theirs)),
        (&theirs, &mine, compare(&theirs, &mine)),
    ];
    let all = || ways.iter().flat_map(|(_, _, judged)| judged);
    let count = |verdict| all().filter(|judged| judged.verdict == verdict).count();
    let counts: BTreeMap<_, _> = Verdict::ALL
        .map(|verdict| (verdict.code(), count(verdict)))
        .into();
    let listed = ways.iter().flat_map(|(consumer, provider, judged)| {
        let told = judged.iter().filter(|j| j.verdict != Verdict::Complete);
        told.map(|judged| value(judged, consumer.server(), provider.server()))
    });
    let items: Vec<Value> = listed.collect();
    let ledgers = one.ledgers.iter().chain(&other.ledgers);
    // Each ledger is judged by the policy of the registry that its server is in.
    let reaches = ledgers.map(|ledger| {
        let registry = directory.ledger(ledger.origin());
        ledger.reach(registry.map(|(registry, _)| registry.view()), screen)
    });
    let reaches = reaches.collect::<Result<Vec<_>, _>>()?;
    let document = json!({
        "counts": counts,
        "exchanges": items,
        "ledgers": reaches.iter().map(Reach::value).collect::<Vec<_>>(),
    });
    screen.show("log.compare", document, |screen| {
        for reach in &reaches {
            reach.print(screen);
        }
        for item in &items {
            print_item(item, screen);
        }
        for verdict in Verdict::ALL {
            let meaning = screen.text(meaning(verdict), &[]);
            print_out(format!("  {:>8}  {meaning}", count(verdict)));
        }
    });
    let is_omitted = all().any(|judged| judged.verdict.is_omission());
    match is_omitted {
        true => {
            let what = screen.text(Text::CompareOmitted, &[]);
            let way = "entente log prove-omission …";
            Err(Failure::new(Exit::Integrity, what).note(Text::LabelDo, way))
        }
        false => Ok(()),
    }
}

/// Copies and verifies the ledgers in a folder, which are one server's.
async fn party(
    dir: &Path,
    config: Option<&Path>,
    directory: &Directory,
    screen: &Screen,
) -> Result<Party, Failure> {
    let mut server: Option<ServerId> = None;
    let mut ledgers = Vec::new();
    for ledger in ledgers_in(dir, screen)? {
        let origin = open(&ledger, screen)?.origin().map(str::to_owned);
        // One without an origin has published nothing, and holds nobody's answers.
        let Some(origin) = origin else { continue };
        let known = known_key(&ledger, Some(&origin), &[], config, screen).await?;
        let owner = directory.server_of(&origin);
        let facts: [Fact<'_>; 1] = [("dir", &dir.display())];
        let mixed = || Failure::new(Exit::Usage, screen.text(Text::CompareOneServer, &facts));
        let owner = owner.ok_or_else(mixed)?;
        if server.as_ref().is_some_and(|server| server != owner) {
            return Err(mixed());
        }
        server = Some(owner.clone());
        ledgers.push(sound_copy(&ledger, Some(origin), known, screen)?);
    }
    let facts: [Fact<'_>; 1] = [("dir", &dir.display())];
    let none = || Failure::new(Exit::NotFound, screen.text(Text::NoLedger, &facts));
    let server = server.ok_or_else(none)?;
    Ok(Party { server, ledgers })
}

fn side(
    party: &Party,
    peer: &ServerId,
    sessions: &Sessions,
    directory: &Directory,
    screen: &Screen,
) -> Result<Side, Failure> {
    let mut side = Side::new(&party.server, peer);
    for ledger in &party.ledgers {
        ledger.read(screen, |_, bytes| {
            side.take(ledger.origin(), &bytes, &|signed| sessions.verify(signed));
        })?;
        let end = directory.shard_end(ledger.origin());
        if end == Some(&ledger.note_hash()) {
            side.end(ledger.origin());
        }
    }
    Ok(side)
}

// === impl Sessions ===

impl Sessions {
    fn read(
        &mut self,
        ledger: &SoundCopy,
        directory: &Directory,
        screen: &Screen,
    ) -> Result<(), Failure> {
        ledger.read(screen, |_, bytes| {
            if let Ok(Entry {
                at,
                body: Body::Session(session),
            }) = Entry::decode(&bytes)
            {
                self.take(&session, at, directory);
            }
        })
    }

    fn take(&mut self, session: &Session, at: Timestamp, directory: &Directory) {
        let Some(leaf) = session.chain.first() else {
            return;
        };
        let keys = directory.server_keys(&session.server);
        let certified = |key| SessionCertificate::verify(leaf, key, at).ok();
        if let Some(verified) = keys.iter().find_map(certified) {
            self.0.insert(verified.key().key_id(), verified);
        }
    }

    /// Whether a session of its sender, valid at the time it names, signed a statement.
    fn verify(&self, signed: &SignedStatement) -> bool {
        let says = signed.statement();
        self.0.get(&signed.key_id()).is_some_and(|session| {
            *session.server() == says.sender_server
                && session.check_time(says.issued_at).is_ok()
                && signed.verify(session.key()).is_ok()
        })
    }
}

fn value(judged: &Judged, consumer: &ServerId, provider: &ServerId) -> Value {
    json!({
        "transaction": judged.transaction.map(|id| id.to_string()),
        "request": judged.request.to_string(),
        "consumer": consumer,
        "provider": provider,
        "verdict": judged.verdict.code(),
    })
}

fn print_item(item: &Value, screen: &Screen) {
    let text = |key: &str| item[key].as_str().unwrap_or("-").to_owned();
    let line = format!(
        "{:<16}  {}  {} → {}",
        text("verdict"),
        text("transaction"),
        text("consumer"),
        text("provider")
    );
    let is_omission = Verdict::ALL
        .iter()
        .any(|verdict| verdict.is_omission() && verdict.code() == text("verdict"));
    print_out(if is_omission { screen.red(&line) } else { line });
}

const fn meaning(verdict: Verdict) -> Text {
    match verdict {
        Verdict::Beyond => Text::CompareBeyond,
        Verdict::ConsumerOmitted => Text::CompareConsumerOmitted,
        Verdict::ProviderOmitted => Text::CompareProviderOmitted,
        Verdict::Unanswered => Text::CompareUnanswered,
        Verdict::Undelivered => Text::CompareUndelivered,
        _ => Text::CompareComplete,
    }
}

const EXAMPLES: &str = "\
Examples:
  entente log compare sandbox/pensions sandbox/vital-events
  entente log compare data/ledger /mnt/copy-of-theirs -o json";
