//! Each party drops each entry of an exchange, and the two ledgers together say who did.

use bytes::Bytes;
use entente_bundle::compare::{Side, Verdict, compare};
use entente_evidence::proof::SignedStatement;
use entente_identity::ServerId;
use entente_keys::VerifiedSession;
use entente_ledger::entry::{Body, Boot, Entry};
use entente_security_server::Deps;
use entente_tests::town::Town;
use entente_tests::world::{Consumer, World};

/// The n-th entry of a kind.
fn find(entries: &[Bytes], is: fn(&Body) -> bool, n: usize) -> usize {
    let found = entries.iter().enumerate().filter(|(_, entry)| {
        let entry = Entry::decode(entry).unwrap();
        is(&entry.body)
    });
    found.map(|(at, _)| at).nth(n).unwrap()
}

/// The ledger rewritten without an entry, as one must who wants to hide it: nothing stands in its place, and
/// its owner goes on writing.
fn without(entries: &[Bytes], at: usize) -> Vec<Bytes> {
    let mut altered = entries.to_vec();
    altered.remove(at);
    altered.push(later(entries));
    altered
}

/// An entry written so late that all before it must be there.
fn later(entries: &[Bytes]) -> Bytes {
    let last = Entry::decode(entries.last().unwrap()).unwrap().at;
    let at = last.saturating_add(std::time::Duration::from_secs(180));
    let boot = Boot {
        version: "later".to_owned(),
        last_size: 0,
        note: None,
    };
    let later = Entry {
        at,
        body: Body::Boot(boot),
    };
    later.encode().unwrap()
}

fn is_in(body: &Body) -> bool {
    matches!(body, Body::In(_))
}

fn is_out(body: &Body) -> bool {
    matches!(body, Body::Out(_))
}

/// The two servers' ledgers after some exchanges, and who signed in them.
struct Parties {
    servers: [ServerId; 2],
    origins: [String; 2],
    sessions: Vec<VerifiedSession>,
    ours: Vec<Bytes>,
    theirs: Vec<Bytes>,
}

impl Parties {
    fn of(world: &World) -> Self {
        let (consumer, provider) = (&world.consumer, &world.provider);
        Self {
            servers: [consumer.server.clone(), provider.server.clone()],
            origins: [consumer.origin().unwrap(), provider.origin().unwrap()],
            sessions: world.sessions(consumer).unwrap(),
            ours: consumer.encoded_entries().unwrap(),
            theirs: provider.encoded_entries().unwrap(),
        }
    }

    fn judge(&self, ours: &[Bytes], theirs: &[Bytes]) -> Vec<Verdict> {
        let [ours_in, theirs_in] = &self.origins;
        self.judge_in([ours, theirs], [ours_in, theirs_in])
    }

    /// The same, of shards with these origins.
    fn judge_in(&self, ledgers: [&[Bytes]; 2], origins: [&str; 2]) -> Vec<Verdict> {
        verdicts(
            &self.side(0, ledgers[0], origins[0]),
            &self.side(1, ledgers[1], origins[1]),
        )
    }

    /// The same, where the provider's ledger has ended with what there is.
    fn judge_ended(&self, ours: &[Bytes], theirs: &[Bytes]) -> Vec<Verdict> {
        let mut provider = self.side(1, theirs, &self.origins[1]);
        provider.end(&self.origins[1]);
        verdicts(&self.side(0, ours, &self.origins[0]), &provider)
    }

    fn side(&self, of: usize, entries: &[Bytes], origin: &str) -> Side {
        let is_signed = |signed: &SignedStatement| {
            let keys = self.sessions.iter().map(VerifiedSession::key);
            let mut signers = keys.filter(|key| key.key_id() == signed.key_id());
            signers.any(|key| signed.verify(key).is_ok())
        };
        let mut side = Side::new(&self.servers[of], &self.servers[1 - of]);
        for entry in entries {
            side.take(origin, entry, &is_signed);
        }
        side
    }
}

fn verdicts(consumer: &Side, provider: &Side) -> Vec<Verdict> {
    let judged = compare(consumer, provider);
    let mut verdicts: Vec<_> = judged.iter().map(|judged| judged.verdict).collect();
    verdicts.sort();
    verdicts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_drops_an_entry_is_shown_by_the_other_sides_signature_where_there_is_one() {
    let town = Town::start().await.unwrap();
    for _ in 0..2 {
        town.ask().await.unwrap();
    }
    let (world, _dir) = town.stop().await;

    let parties = Parties::of(&world);
    let (ours, theirs) = (parties.ours.clone(), parties.theirs.clone());
    let judge = |ours: &[Bytes], theirs: &[Bytes]| parties.judge(ours, theirs);
    use Verdict::{Complete, ConsumerOmitted, ProviderOmitted, Unanswered, Undelivered};
    assert_eq!(judge(&ours, &theirs), [Complete, Complete]);

    // The last exchange's entries, so that no other entry moves.
    let (out_request, in_answer) = (find(&ours, is_out, 1), find(&ours, is_in, 1));
    let (in_request, out_answer) = (find(&theirs, is_in, 1), find(&theirs, is_out, 1));
    let hidden = |at| without(&ours, at);
    assert_eq!(
        judge(&hidden(out_request), &theirs),
        [Complete, ConsumerOmitted]
    );
    assert_eq!(judge(&hidden(in_answer), &theirs), [Complete, Unanswered]);
    let dropped = |at| without(&theirs, at);
    assert_eq!(
        judge(&ours, &dropped(in_request)),
        [Complete, ProviderOmitted]
    );
    assert_eq!(
        judge(&ours, &dropped(out_answer)),
        [Complete, ProviderOmitted]
    );
    // An entry moved from where it was promised is as good as dropped.
    let mut moved = theirs.clone();
    moved.swap(in_request, out_answer);
    assert_eq!(judge(&ours, &moved), [Complete, ProviderOmitted]);

    // Nothing of the provider's, while the consumer holds its answer; and while it holds none.
    let nothing = without(&dropped(out_answer), in_request);
    assert_eq!(judge(&ours, &nothing), [Complete, ProviderOmitted]);
    let waiting = hidden(in_answer);
    assert_eq!(judge(&waiting, &nothing), [Complete, Undelivered]);
    // The consumer hides both of its entries: the provider holds its signature.
    let silent = without(&hidden(in_answer), out_request);
    assert_eq!(judge(&silent, &theirs), [Complete, ConsumerOmitted]);
    // A copy that ends before the promised entry, or before the request, accuses nobody.
    let beyond = [Complete, Verdict::Beyond];
    assert_eq!(judge(&ours, &theirs[..in_request]), beyond);
    let early = &ours[..find(&ours, is_out, 1)];
    assert_eq!(judge(early, &theirs), beyond);
    // So with one that was taken between its request and its answer, and one of the next shard alone.
    assert_eq!(judge(&ours, &theirs[..out_answer]), beyond);
    let next = [later(&ours)];
    let alone = parties.judge_in(
        [&next, &theirs],
        ["another/access/2027h1.1", &parties.origins[1]],
    );
    assert_eq!(alone, [Verdict::Beyond, Verdict::Beyond]);
    // Where the directory says that the ledger ended there, no newer copy will come.
    let omitted = [Complete, ProviderOmitted];
    assert_eq!(parties.judge_ended(&ours, &theirs[..in_request]), omitted);
    assert_eq!(parties.judge_ended(&ours, &theirs[..out_answer]), omitted);
    assert_eq!(parties.judge_ended(&ours, &theirs), [Complete, Complete]);
    // Both together: nothing is left to see, and that is said in the guide.
    assert_eq!(judge(&silent, &nothing), [Complete]);
}

/// A refused call has no OUT of its fault at the provider: DENIED is what the fault promises.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_call_is_complete_and_a_refusal_that_was_dropped_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let consumer = world.start(&world.consumer, Deps::real()).await.unwrap();
    // The provider holds a fork of the consumer's ledger, and so refuses it.
    let incidents = world.provider.dir.join("data/incidents");
    std::fs::create_dir_all(&incidents).unwrap();
    let peer = world.consumer.server.to_string().replace('/', "!");
    let fork = format!("fork.{peer}.{}", entente_signing::Digest::of(b"seen"));
    std::fs::write(incidents.join(fork), "two notes").unwrap();
    let provider = world.start(&world.provider, Deps::real()).await.unwrap();
    let refused = Consumer::of(&world.consumer).look_up().await;
    assert!(format!("{refused:?}").contains("LOG_FORKED"), "{refused:?}");
    consumer.shutdown().await;
    provider.shutdown().await;

    let parties = Parties::of(&world);
    let (ours, theirs) = (&parties.ours, &parties.theirs);
    assert_eq!(parties.judge(ours, theirs), [Verdict::Complete]);
    let denied = find(theirs, |body| matches!(body, Body::Denied(_)), 0);
    assert_eq!(
        parties.judge(ours, &without(theirs, denied)),
        [Verdict::ProviderOmitted]
    );
    let mut moved = theirs.clone();
    moved.swap(denied, denied - 1);
    assert_eq!(parties.judge(ours, &moved), [Verdict::ProviderOmitted]);
    let request = find(ours, is_out, 0);
    assert_eq!(
        parties.judge(&without(ours, request), theirs),
        [Verdict::ConsumerOmitted]
    );
}
