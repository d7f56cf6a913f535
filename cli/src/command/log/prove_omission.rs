//! `entente log prove-omission`: a provider's broken promise, as a file that anybody can check.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use entente_bundle::omission::{Omission, OmissionError, Proven, Shown};
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_keys::SessionCertificate;
use entente_ledger::Reader;
use entente_ledger::entry::{Body, Denied, DeniedCall, Entry};
use entente_ledger::note::NoteKey;
use entente_ledger::tree::leaf_hash;
use entente_signing::{Digest, VerifyingKey};
use serde_json::json;

use super::directory::Directory;
use super::keys::nearest_config;
use super::{damaged, ledgers_in, open};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Prove that a provider dropped an entry it had promised in its answer
///
/// A provider's signed answer names the place of the request in the provider's ledger. Given the answer
/// (from the consumer's ledger) and a copy of the provider's ledger with a later checkpoint, this writes
/// a proof that rests on the provider's own signatures. A server does the same by itself, and keeps what
/// it finds in `data/incidents`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProveOmissionArgs {
    /// The consumer's ledger, which holds the answer
    #[arg(value_name = "DIR", required_unless_present = "check")]
    ledger: Option<PathBuf>,
    /// The exchange
    #[arg(long, value_name = "ID", required_unless_present = "check")]
    transaction: Option<String>,
    /// A copy of the provider's ledger
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    peer_ledger: Option<PathBuf>,
    /// Where to write the proof
    #[arg(long, value_name = "FILE", default_value = "omission.json")]
    out: PathBuf,
    /// Check a proof instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ledger", "transaction", "peer_ledger"])]
    check: Option<PathBuf>,
    /// The configuration that says which registry to believe; otherwise the nearest above the folder
    #[arg(long, value_name = "FILE", env = "ENTENTE_CONFIG")]
    config: Option<PathBuf>,
}

/// Whose keys a proof rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// The server's and its ledger's, as the directory binds them.
    OfDirectory,
    /// The directory binds others.
    OfOthers,
    /// The directory binds them, and does not say that the ledger ended where the proof needs it to.
    NotEnded,
    /// There is no directory to ask.
    Unknown,
}

/// An answer with a promise in it, and the certificate of who signed it.
struct Answer {
    statement: SignedStatement,
    receipt: Receipt,
    session: Bytes,
    /// The server key that certified the session.
    server_key: VerifyingKey,
}

pub(crate) async fn run(args: &ProveOmissionArgs, screen: &Screen) -> Result<(), Failure> {
    match (
        &args.check,
        &args.ledger,
        &args.transaction,
        &args.peer_ledger,
    ) {
        (Some(file), ..) => check(file, args.config.as_deref(), screen).await,
        (None, Some(ledger), Some(transaction), Some(peer)) => {
            let proof = prove(ledger, transaction, peer, args, screen).await?;
            let proven = verify(&proof)?;
            std::fs::write(&args.out, proof.to_json()).map_err(|error| {
                Failure::new(Exit::Failed, args.out.display().to_string()).because(&error)
            })?;
            tell(&args.out, &proof, &proven, Keys::OfDirectory, screen);
            Ok(())
        }
        // Clap asks for all three.
        _ => Err(Failure::new(
            Exit::Usage,
            screen.text(Text::OmissionNeeds, &[]),
        )),
    }
}

async fn prove(
    ledger: &Path,
    transaction: &str,
    peer: &Path,
    args: &ProveOmissionArgs,
    screen: &Screen,
) -> Result<Omission, Failure> {
    let directory = Directory::open(ledger, args.config.as_deref(), screen).await?;
    let mut found = None;
    for dir in ledgers_in(ledger, screen)? {
        let reader = open(&dir, screen)?;
        found = answer(&dir, reader, transaction, &directory, screen)?;
        if found.is_some() {
            break;
        }
    }
    let facts: [Fact<'_>; 1] = [("transaction", &transaction)];
    let unknown = || Failure::new(Exit::NotFound, screen.text(Text::OmissionNoAnswer, &facts));
    let answer = found.ok_or_else(unknown)?;
    let origin = answer.receipt.origin.as_str();
    let facts: [Fact<'_>; 1] = [("ledger", &origin)];
    let no_peer = || Failure::new(Exit::NotFound, screen.text(Text::OmissionNoLedger, &facts));
    let key = directory.ledger(origin).ok_or_else(no_peer)?.1;
    let key = NoteKey::new(origin, key).map_err(|error| Failure::of(Exit::Failed, &error))?;
    for dir in ledgers_in(peer, screen)? {
        let mut reader = open(&dir, screen)?;
        if reader.origin() != Some(origin) {
            continue;
        }
        let unreadable = |error| damaged(&dir, &error, screen);
        let checkpoint = reader.checkpoint(&key).map_err(unreadable)?;
        let checkpoint = checkpoint.ok_or_else(no_peer)?;
        let index = answer.receipt.index;
        let note = checkpoint.note().to_string();
        let end = directory.shard_end(origin);
        let shown = if end == Some(&Digest::of(note.as_bytes())) && checkpoint.size() <= index {
            Shown::Ended
        } else {
            let path = reader.inclusion(index, checkpoint.size());
            let path = path.map_err(unreadable)?.ok_or_else(no_peer)?.path;
            let entry = reader.entry(index).map_err(unreadable)?;
            let leaf_hash = leaf_hash(&entry.ok_or_else(no_peer)?);
            Shown::Another { leaf_hash, path }
        };
        return Ok(Omission {
            answer: answer.statement.bytes().clone(),
            session: answer.session,
            server_key: answer.server_key,
            ledger_key: key,
            checkpoint: note,
            shown,
        });
    }
    Err(no_peer())
}

/// The answer of an exchange in a ledger, with the certificate that was logged before it.
fn answer(
    dir: &Path,
    mut reader: Reader,
    transaction: &str,
    directory: &Directory,
    screen: &Screen,
) -> Result<Option<Answer>, Failure> {
    let mut sessions = Vec::new();
    for entry in reader.entries(0) {
        let (_, bytes) = entry.map_err(|error| damaged(dir, &error, screen))?;
        let statement = match Entry::decode(&bytes).map(|entry| entry.body) {
            Ok(Body::Session(session)) => {
                sessions.push(session);
                continue;
            }
            Ok(Body::In(entry)) => entry.statement,
            // An answer that was not used is a promise all the same.
            Ok(Body::Denied(Denied {
                call: DeniedCall::Statement(statement),
                ..
            })) => statement,
            _ => continue,
        };
        let Ok(statement) = SignedStatement::parse(statement) else {
            continue;
        };
        let says = statement.statement();
        let Some(receipt) = says.receipt().cloned() else {
            continue;
        };
        if says.message_id.to_string() != transaction {
            continue;
        }
        let keys = directory.server_keys(&says.sender_server);
        let signer = sessions.iter().rev().find_map(|session| {
            let leaf = session.chain.first()?;
            let certifies = |key: &&VerifyingKey| signed_by(leaf, key, &statement);
            Some((leaf.clone(), keys.iter().find(certifies)?.clone()))
        });
        return Ok(signer.map(|(session, server_key)| Answer {
            statement,
            receipt,
            session,
            server_key,
        }));
    }
    Ok(None)
}

fn signed_by(leaf: &[u8], server_key: &VerifyingKey, statement: &SignedStatement) -> bool {
    let at = statement.statement().issued_at;
    SessionCertificate::verify(leaf, server_key, at)
        .is_ok_and(|session| session.key().key_id() == statement.key_id())
}

async fn check(file: &Path, config: Option<&Path>, screen: &Screen) -> Result<(), Failure> {
    let bytes = super::super::read_file(file)?;
    let proof = Omission::from_json(&bytes).map_err(|error| Failure::of(Exit::Usage, &error))?;
    let proven = verify(&proof)?;
    // Whose keys these are is the directory's to say. Anybody can make a proof with keys of their own.
    let directory = match (config, nearest_config(file)) {
        (None, None) => None,
        _ => Some(Directory::open(file, config, screen).await?),
    };
    let keys = directory.map(|directory| {
        let is_theirs = directory
            .server_keys(&proven.server)
            .contains(&proof.server_key)
            && directory
                .ledger(proof.ledger_key.name())
                .is_some_and(|(_, key)| key == *proof.ledger_key.key());
        let end = directory.shard_end(proof.ledger_key.name());
        match is_theirs {
            true if proof.has_ended(end) => Keys::OfDirectory,
            true => Keys::NotEnded,
            false => Keys::OfOthers,
        }
    });
    let keys = keys.unwrap_or(Keys::Unknown);
    tell(file, &proof, &proven, keys, screen);
    match keys {
        Keys::OfDirectory => Ok(()),
        Keys::OfOthers => Err(Failure::new(
            Exit::Integrity,
            screen.text(Text::OmissionKeysOfOthers, &[]),
        )),
        Keys::NotEnded => Err(Failure::new(
            Exit::Integrity,
            screen.text(Text::OmissionNotEnded, &[]),
        )),
        Keys::Unknown => Err(Failure::new(
            Exit::NeedsPerson,
            screen.text(Text::OmissionKeysUnsaid, &[]),
        )
        .note(Text::LabelDo, "--config member.yaml")),
    }
}

fn verify(proof: &Omission) -> Result<Proven, Failure> {
    proof.verify().map_err(|error| {
        let exit = match error {
            // Nothing is wrong then: there is no such proof.
            OmissionError::Kept => Exit::NotFound,
            _ => Exit::Integrity,
        };
        Failure::of(exit, &error)
    })
}

fn tell(file: &Path, proof: &Omission, proven: &Proven, keys: Keys, screen: &Screen) {
    let value = json!({
        "file": file,
        "proven": keys == Keys::OfDirectory,
        "server": proven.server,
        "transaction": proven.transaction.to_string(),
        "ledger": proven.promised.origin.as_str(),
        "index": proven.promised.index,
        "promised": proven.promised.leaf_hash.to_string(),
        "found": proven.found.map(|found| found.to_string()),
        "checkpoint": proven.size,
        "server_key": proof.server_key.key_id().to_string(),
        "ledger_key": proof.ledger_key.to_string(),
        "keys_of_directory": match keys {
            Keys::OfDirectory | Keys::NotEnded => Some(true),
            Keys::OfOthers => Some(false),
            Keys::Unknown => None,
        },
    });
    screen.show("log.omission", value, |screen| {
        let transaction = proven.transaction.to_string();
        let facts: [Fact<'_>; 5] = [
            ("server", &proven.server),
            ("transaction", &transaction),
            ("index", &proven.promised.index),
            ("ledger", &proven.promised.origin.as_str()),
            ("size", &proven.size),
        ];
        let text = match (keys, proven.found) {
            (Keys::OfDirectory, Some(_)) => Text::OmissionProven,
            (Keys::OfDirectory, None) => Text::OmissionEndedProven,
            (_, Some(_)) => Text::OmissionClaimed,
            (_, None) => Text::OmissionEnded,
        };
        print_out(screen.text(text, &facts));
        let facts: [Fact<'_>; 2] = [
            ("server_key", &proof.server_key.key_id()),
            ("ledger_key", &proof.ledger_key),
        ];
        let text = match keys {
            Keys::OfDirectory | Keys::NotEnded => Text::OmissionKeysKnown,
            Keys::OfOthers | Keys::Unknown => Text::OmissionKeysUnknown,
        };
        print_out(screen.text(text, &facts));
        print_out(format!("  {}", file.display()));
    });
}

const EXAMPLES: &str = "\
Examples:
  entente log prove-omission sandbox/pensions --transaction 5f0c… --peer-ledger copy-of-their-ledger
  entente log prove-omission --check omission.json";
