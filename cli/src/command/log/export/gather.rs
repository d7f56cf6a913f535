//! What the ledgers at hand hold about an exchange.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use entente_bundle::dossier::{Party, Proved, Session, Stamped, Tree};
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::Kind;
use entente_keys::{Chain, KeyStore, KeyUse, SessionCertificate};
use entente_ledger::entry::{Body, Denied, DeniedCall, Entry, TimeStamp};
use entente_ledger::note::NoteKey;
use entente_ledger::proof::InclusionProof;
use entente_ledger::receipt::CoseReceipt;
use entente_ledger::tree::leaf_hash;
use entente_ledger::{Checkpoint, Reader, SignedCheckpoint};
use entente_signing::{Digest, Signer};
use entente_timestamp::stated;

use super::super::directory::Directory;
use super::super::records::{data_of, keys_of};
use super::super::{damaged, ledgers_in, open};
use super::{ExportArgs, LABEL};
use crate::exit::{Exit, Failure};
use crate::output::Screen;
use crate::texts::{Fact, Text};

/// What was found.
pub(super) struct Gathered {
    pub(super) request: SignedStatement,
    pub(super) answer: Option<SignedStatement>,
    pub(super) consumer: Party,
    pub(super) provider: Party,
    /// Sealed records that entries of this exchange name, and the ledger they are beside.
    pub(super) records: Vec<Record>,
}

/// A sealed record of one statement.
pub(super) struct Record {
    pub(super) ledger: PathBuf,
    pub(super) origin: String,
    pub(super) kind: u8,
    pub(super) hash: Digest,
    pub(super) is_of_answer: bool,
}

/// One ledger that knows of the exchange.
struct Book {
    dir: PathBuf,
    origin: String,
    reader: Reader,
    /// Statements of the exchange, in order.
    statements: Vec<Logged>,
    /// Requests that are said to have no answer, whosever they are.
    unanswered: Vec<(u64, Digest)>,
    sessions: Vec<(u64, Vec<Bytes>)>,
    stamps: Vec<TimeStamp>,
}

/// A statement in a ledger.
struct Logged {
    index: u64,
    signed: SignedStatement,
    /// The number of the entry's kind.
    kind: u8,
    /// Whether it is in an entry that refuses it: a request, or an answer that was not used.
    is_denied: bool,
    /// Its sealed record.
    record: Option<Digest>,
}

// === impl Gathered ===

impl Gathered {
    pub(super) fn of(
        args: &ExportArgs,
        directory: &Directory,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let mut books = Vec::new();
        let mut sessions = Vec::new();
        for folder in [Some(&args.ledger), args.peer_ledger.as_ref()]
            .into_iter()
            .flatten()
        {
            for dir in ledgers_in(folder, screen)? {
                let book = Book::read(&dir, &args.transaction, screen)?;
                // A session may have been logged in the shard before.
                sessions.extend(book.sessions.iter().map(|(_, chain)| chain.clone()));
                if !book.statements.is_empty() {
                    books.push(book);
                }
            }
        }
        let all: Vec<_> = books.iter().flat_map(|book| &book.statements).collect();
        let facts: [Fact<'_>; 1] = [("transaction", &args.transaction)];
        let unknown = || Failure::new(Exit::NotFound, screen.text(Text::BundleNothing, &facts));
        // Rather one that was accepted: refused ones are logged before their id is known to be new, and who
        // sends them chooses it.
        let requests = all
            .iter()
            .filter(|logged| logged.signed.statement().kind() == Kind::Request);
        let request = requests.min_by_key(|logged| logged.is_denied);
        let request = request.ok_or_else(unknown)?.signed.clone();
        let session = |signed: &SignedStatement| session_of(signed, &sessions, directory);
        let answer = answer_to(&request, &all, session);
        let mut gathered = Self {
            consumer: Party {
                session: session(&request),
                ledger: None,
            },
            provider: Party {
                session: answer.as_ref().and_then(session),
                ledger: None,
            },
            request,
            answer,
            records: Vec::new(),
        };
        for mut book in books {
            let is_consumers = match gathered.side_of(&book.origin, directory) {
                Some(side) => side == "consumer",
                None => continue,
            };
            let tree = book.tree(&gathered, directory, screen)?;
            match is_consumers {
                true => gathered.consumer.ledger = Some(tree),
                false => gathered.provider.ledger = Some(tree),
            }
            let records = book.records(&gathered);
            gathered.records.extend(records);
        }
        Ok(gathered)
    }

    /// Whose ledger it is: the one that a side's statement names. Another shard of the same server holds no
    /// part that can be told apart from it.
    fn side_of(&self, origin: &str, directory: &Directory) -> Option<&'static str> {
        let said = self.request.statement();
        if origin == said.log.as_str() {
            return Some("consumer");
        }
        let named = self
            .answer
            .as_ref()
            .map(|answer| answer.statement().log.as_str());
        let is_providers = directory.server_of(origin) == Some(&said.receiver_server);
        (is_providers && named.is_none_or(|named| named == origin)).then_some("provider")
    }

    /// Whether it is one of the two statements.
    fn holds(&self, logged: &Logged) -> bool {
        let both = [Some(&self.request), self.answer.as_ref()];
        let mut both = both.into_iter().flatten();
        both.any(|signed| signed.bytes() == logged.signed.bytes())
    }

    /// The certificates in it.
    fn certificates(&self) -> impl Iterator<Item = &Bytes> {
        let parties = [&self.consumer, &self.provider].into_iter();
        let sessions = parties.filter_map(|party| party.session.as_ref());
        sessions.map(|session| &session.certificate)
    }
}

// === impl Book ===

impl Book {
    fn read(dir: &Path, transaction: &str, screen: &Screen) -> Result<Self, Failure> {
        let mut reader = open(dir, screen)?;
        let origin = reader.origin().unwrap_or("-").to_owned();
        let mut found = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (statements, unanswered, sessions, stamps) = &mut found;
        for entry in reader.entries(0) {
            let (index, bytes) = entry.map_err(|error| damaged(dir, &error, screen))?;
            let Ok(entry) = Entry::decode(&bytes) else {
                continue;
            };
            let kind = entry.body.kind() as u8;
            let is_denied = matches!(entry.body, Body::Denied(_));
            let (statement, record) = match entry.body {
                Body::In(body) => (body.statement, body.sidecar),
                Body::Out(body) => (body.statement, body.sidecar),
                // A request that was refused, or an answer that was not used.
                Body::Denied(Denied {
                    call: DeniedCall::Statement(statement),
                    sidecar,
                    ..
                }) => (statement, sidecar),
                Body::Outcome(outcome) => {
                    unanswered.push((index, outcome.request));
                    continue;
                }
                Body::Session(session) => {
                    sessions.push((index, session.chain));
                    continue;
                }
                Body::TimeStamp(stamp) => {
                    stamps.push(stamp);
                    continue;
                }
                _ => continue,
            };
            let id = SignedStatement::message_id_of(&statement);
            if id.is_none_or(|id| id.to_string() != transaction) {
                continue;
            }
            let Ok(signed) = SignedStatement::parse(statement) else {
                continue;
            };
            statements.push(Logged {
                index,
                signed,
                kind,
                is_denied,
                record,
            });
        }
        let (statements, unanswered, sessions, stamps) = found;
        Ok(Self {
            dir: dir.to_owned(),
            origin,
            reader,
            statements,
            unanswered,
            sessions,
            stamps,
        })
    }

    /// Its entries that are about the exchange, sessions not included.
    fn about(&self, gathered: &Gathered) -> Vec<u64> {
        let statements = self
            .statements
            .iter()
            .filter(|logged| gathered.holds(logged));
        let request = gathered.request.hash();
        let outcomes = self.unanswered.iter().filter(|(_, of)| *of == request);
        let statements = statements.map(|logged| logged.index);
        statements
            .chain(outcomes.map(|(index, _)| *index))
            .collect()
    }

    fn records(&self, gathered: &Gathered) -> Vec<Record> {
        let statements = self
            .statements
            .iter()
            .filter(|logged| gathered.holds(logged));
        let records = statements.filter_map(|logged| {
            Some(Record {
                ledger: self.dir.clone(),
                origin: self.origin.clone(),
                kind: logged.kind,
                hash: logged.record?,
                is_of_answer: logged.signed.statement().kind() != Kind::Request,
            })
        });
        records.collect()
    }

    /// The entries of the exchange under a checkpoint, and the time stamps over them.
    fn tree(
        &mut self,
        gathered: &Gathered,
        directory: &Directory,
        screen: &Screen,
    ) -> Result<Tree, Failure> {
        let dir = self.dir.clone();
        let unreadable = |error| damaged(&dir, &error, screen);
        let facts: [Fact<'_>; 1] = [("ledger", &self.origin.clone())];
        let unknown = || Failure::new(Exit::Usage, screen.text(Text::KeyUnknown, &facts));
        let key = directory.ledger(&self.origin).ok_or_else(unknown)?.1;
        let key = NoteKey::new(&self.origin, key);
        let key = key.map_err(|error| Failure::of(Exit::Failed, &error))?;
        let early = || Failure::new(Exit::Failed, screen.text(Text::BundleEarly, &facts));
        let about = self.about(gathered);
        let last = about.iter().max().copied();
        // Cosigned, if that reaches the exchange; the newest, if only that does.
        let reaches = |held: &SignedCheckpoint| last.is_none_or(|last| last < held.size());
        let cosigned = self.reader.finality(&key).map_err(unreadable)?;
        let checkpoint = match cosigned.filter(reaches) {
            Some(cosigned) => Some(cosigned),
            None => self.reader.checkpoint(&key).map_err(unreadable)?,
        };
        let checkpoint = checkpoint.ok_or_else(early)?;
        let signer = receipts_by(&dir, &key);
        let mut tree = empty_tree(key, &checkpoint);
        let sessions = self.sessions.iter().filter(|(_, chain)| {
            let leaf = chain.first();
            gathered.certificates().any(|held| Some(held) == leaf)
        });
        let sessions: Vec<u64> = sessions.map(|(index, _)| *index).collect();
        for index in about.into_iter().chain(sessions) {
            let proof = self.reader.inclusion(index, checkpoint.size());
            // Written a moment ago, it is under the next checkpoint.
            let proof = proof.map_err(unreadable)?.ok_or_else(early)?;
            let bytes = self.reader.entry(index).map_err(unreadable)?;
            let bytes = bytes.ok_or_else(early)?;
            let receipt = signer.as_ref().map(|signer| {
                CoseReceipt::sign(&**signer, &checkpoint, &proof, &leaf_hash(&bytes))
            });
            let receipt = receipt.transpose();
            let receipt = receipt.map_err(|error| Failure::of(Exit::Failed, &error))?;
            let mut proved = proved(&bytes, proof);
            proved.receipt = receipt.map(Bytes::from);
            tree.entries.insert(index, proved);
        }
        let entries: Vec<u64> = tree.entries.keys().copied().collect();
        for stamp in self.first_stamps(&entries) {
            let mut paths = BTreeMap::new();
            for index in entries.iter().filter(|index| **index < stamp.size) {
                let proof = self.reader.inclusion(*index, stamp.size);
                if let Some(proof) = proof.map_err(unreadable)? {
                    paths.insert(*index, proof.path);
                }
            }
            let stamped = Stamped {
                root: stamp.root,
                token: stamp.token,
                paths,
            };
            tree.stamps.insert(stamp.size, stamped);
        }
        Ok(tree)
    }

    /// Of each entry the first time stamp over it: it says most about when.
    fn first_stamps(&self, entries: &[u64]) -> Vec<TimeStamp> {
        let mut first: Vec<TimeStamp> = Vec::new();
        for index in entries {
            let over = self.stamps.iter().filter(|stamp| {
                let checkpoint = Checkpoint {
                    origin: self.origin.clone(),
                    size: stamp.size,
                    root: stamp.root,
                };
                let imprint = Digest::of(checkpoint.to_string().as_bytes());
                // A ledger holds what its owner put there: what is no token over its root is left out.
                stamp.size > *index && stated(&stamp.token, imprint).is_ok()
            });
            let Some(stamp) = over.min_by_key(|stamp| stamp.size) else {
                continue;
            };
            if !first.iter().any(|held| held.size == stamp.size) {
                first.push(stamp.clone());
            }
        }
        first
    }
}

pub(super) fn empty_tree(key: NoteKey, checkpoint: &SignedCheckpoint) -> Tree {
    Tree {
        key,
        checkpoint: checkpoint.note().to_string(),
        entries: BTreeMap::new(),
        stamps: BTreeMap::new(),
    }
}

pub(super) fn proved(bytes: &Bytes, proof: InclusionProof) -> Proved {
    Proved {
        bytes: bytes.clone(),
        path: proof.path,
        receipt: None,
    }
}

/// The key of a ledger, where it is at hand: beside the data of the server that writes it.
fn receipts_by(dir: &Path, key: &NoteKey) -> Option<Arc<dyn Signer>> {
    let keys = keys_of(&data_of(dir)?)?;
    let store = KeyStore::open(keys).ok()?;
    let signer = store.load(KeyUse::Ledger, LABEL).ok()?;
    (signer.verifying_key() == key.key()).then_some(signer)
}

/// The answer to a request. One that was not used is an answer all the same, when its signature can be
/// verified and no other is there.
fn answer_to(
    request: &SignedStatement,
    all: &[&Logged],
    session: impl Fn(&SignedStatement) -> Option<Session>,
) -> Option<SignedStatement> {
    let answers = all.iter().filter(|logged| {
        let said = logged.signed.statement();
        matches!(said.kind(), Kind::Response | Kind::Fault) && said.answers(request).is_ok()
    });
    let mut answers: Vec<_> = answers.collect();
    answers.sort_by_key(|logged| logged.is_denied);
    let shown = answers
        .iter()
        .find(|logged| session(&logged.signed).is_some());
    let used = answers.iter().find(|logged| !logged.is_denied);
    shown.or(used).map(|logged| logged.signed.clone())
}

/// The session that signed a statement, under any key its server had.
fn session_of(
    signed: &SignedStatement,
    sessions: &[Vec<Bytes>],
    directory: &Directory,
) -> Option<Session> {
    let said = signed.statement();
    let keys = directory.server_keys(&said.sender_server);
    let mut found = sessions.iter().filter_map(|chain| {
        let (leaf, above) = chain.split_first()?;
        let server_key = keys.iter().find(|key| {
            let verified = SessionCertificate::verify(leaf, key, said.issued_at);
            verified.is_ok_and(|session| session.key().key_id() == signed.key_id())
        })?;
        Some(Session {
            certificate: leaf.clone(),
            server_key: server_key.clone(),
            chain: Chain::parse(above)
                .ok()
                .filter(|chain| chain.validity().contains(said.issued_at)),
        })
    });
    found.next()
}
