//! One random contract with one random agreement, and what is asked and answered under it.

use std::collections::BTreeSet;

use bytes::Bytes;
use entente_identity::{ElementName, MethodName, ServiceName};
use entente_signing::Digest;
use entente_testkit::contracts::{
    Entropy, STEM, Secrets, clear, compile_source, elements, noisy_encode, random_message,
    random_source, source_of,
};
use entente_tests::offer::{Terms, agree, offer};
use entente_tests::plain::{Says, Seen, framed};
use entente_tests::world::World;
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use super::margins::{CARELESS, check_reserved, check_told, decorate, refusal};
use super::stage::Stage;

/// A contract and an agreement over it.
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) method: MethodName,
    service: ServiceName,
    name: String,
    set: Bytes,
    input: MessageDescriptor,
    output: MessageDescriptor,
    asked: BTreeSet<String>,
    released: BTreeSet<String>,
    agreement: Option<Digest>,
}

/// A random answer.
pub(super) struct Drawn {
    /// As a careless or hostile system writes it.
    pub(super) wire: Vec<u8>,
    /// What may cross of it.
    pub(super) expected: DynamicMessage,
    /// The same, as an honest system writes it.
    pub(super) clean: Vec<u8>,
}

// === impl Case ===

impl Case {
    /// The case of this seed: the first contract that follows from it with anything to release.
    pub(super) fn draw(seed: u64) -> Self {
        let package = format!("test.case{seed}.v1");
        (0..)
            .find_map(|attempt| Self::attempt(seed, &package, attempt))
            .expect("one contract in many has an element")
    }

    fn attempt(seed: u64, package: &str, attempt: u64) -> Option<Self> {
        let mut entropy = Entropy::seeded(seed.wrapping_mul(1_000).wrapping_add(attempt), 600);
        let set = compile_source(&source_of(package, &random_source(&mut entropy)));
        let pool = DescriptorPool::decode(&set[..]).unwrap();
        let service = pool.get_service_by_name(&format!("{package}.S")).unwrap();
        let method = service.methods().next().unwrap();
        let (input, output) = (method.input(), method.output());
        let mut some = |from: BTreeSet<String>, all: usize| {
            let chosen = from.into_iter().filter(|_| entropy.below(3) < all);
            chosen.collect::<BTreeSet<String>>()
        };
        let asked = some(elements(&input), 2);
        let released = some(elements(&output), 1);
        if released.is_empty() {
            return None;
        }
        Some(Self {
            seed,
            method: format!("{package}.S/M").parse().unwrap(),
            service: format!("{package}.S").parse().unwrap(),
            name: format!("CASE-{seed}"),
            set: set.into(),
            input,
            output,
            asked,
            released,
            agreement: None,
        })
    }

    /// Fresh choices for one thing that is tried.
    pub(super) fn entropy(&self, round: u64) -> Entropy {
        Entropy::seeded(self.seed ^ ((round + 1) << 48), 1_500)
    }

    /// Publishes the contract and puts the agreement in force.
    pub(super) async fn register(&mut self, world: &World) {
        let offered = offer(world, &self.service, self.set.clone()).await;
        offered.unwrap_or_else(|error| panic!("seed {}: {error:?}", self.seed));
        let agreed = agree(world, &self.terms()).await;
        let id = agreed.unwrap_or_else(|error| panic!("seed {}: {error:?}", self.seed));
        self.agreement = Some(id);
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            name: &self.name,
            service: &self.service,
            contract: Digest::of(&self.set),
            method: "M",
            mode: "query",
            asked: &self.asked,
            released: &self.released,
            keeps_payload: self.seed.is_multiple_of(2),
        }
    }

    /// The agreement's hash.
    pub(super) fn agreement(&self) -> Digest {
        self.agreement.unwrap()
    }

    /// The elements released, by name.
    pub(super) fn released(&self) -> BTreeSet<ElementName> {
        let released = self.released.iter().map(|name| name.parse().unwrap());
        released.collect()
    }

    /// A random answer, and what may cross of it.
    pub(super) fn answer(&self, entropy: &mut Entropy) -> Drawn {
        self.answer_within(entropy, &self.released)
    }

    fn answer_within(&self, entropy: &mut Entropy, released: &BTreeSet<String>) -> Drawn {
        let message = random_message(entropy, &self.output, 0);
        let wire = noisy_encode(entropy, &message, &mut Secrets::new());
        let mut expected = message;
        clear(&mut expected, false, released, &mut Secrets::new());
        let clean = expected.encode_to_vec();
        Drawn {
            wire,
            expected,
            clean,
        }
    }

    /// A random request that holds nothing but what was agreed.
    pub(super) fn question(&self, entropy: &mut Entropy) -> Vec<u8> {
        let mut message = random_message(entropy, &self.input, 0);
        clear(&mut message, false, &self.asked, &mut Secrets::new());
        message.encode_to_vec()
    }

    /// A random request that holds something else too; none if chance made it an honest one.
    pub(super) fn careless_question(&self, entropy: &mut Entropy) -> Option<Bytes> {
        let message = random_message(entropy, &self.input, 0);
        let wire = noisy_encode(entropy, &message, &mut Secrets::new());
        let mut agreed = message.clone();
        clear(&mut agreed, false, &self.asked, &mut Secrets::new());
        (agreed != message).then(|| wire.into())
    }

    /// An answer as the caller reads it.
    pub(super) fn decode(&self, message: &Bytes) -> DynamicMessage {
        DynamicMessage::decode(self.output.clone(), message.clone()).unwrap()
    }

    /// Calls the method as the consumer's system does.
    pub(super) async fn ask(&self, stage: &Stage, message: &[u8], more: &[(&str, &str)]) -> Seen {
        stage.ask(self.method.as_str(), message, more).await
    }

    /// An answer crosses with what is released in it, and with nothing beside it.
    pub(super) async fn check_answer(&self, stage: &Stage, entropy: &mut Entropy) {
        let seed = self.seed;
        let question = self.question(entropy);
        // A caller may ask for less than was agreed.
        let narrowed = entropy.below(3) == 0;
        let least = usize::from(narrowed);
        let wanted = self.released.iter().rev().skip(least).cloned();
        let wanted: BTreeSet<String> = wanted.collect();
        let narrowed = narrowed && !wanted.is_empty();
        let released = if narrowed { &wanted } else { &self.released };
        let drawn = self.answer_within(entropy, released);
        stage
            .puppet
            .say(decorate(Says::message(&drawn.wire), entropy));
        let elements = wanted
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(",");
        let mut metadata = CARELESS.to_vec();
        if narrowed {
            metadata.push(("entente-elements", &elements));
        }
        let seen = self.ask(stage, &question, &metadata).await;
        check_reserved(&seen, seed);
        assert_eq!(seen.reason(), "", "seed {seed}");
        let crossed = self.decode(&seen.message().unwrap());
        assert_eq!(crossed, drawn.expected, "seed {seed}");
        let heard = stage.puppet.heard();
        let [heard] = heard.as_slice() else {
            panic!("seed {seed}: asked {} times", heard.len());
        };
        check_told(heard, seed);
        assert_eq!(heard.path, self.method.path());
        assert_eq!(heard.body, framed(&question), "seed {seed}");
    }

    /// A request with anything else in it is refused, and nobody learns what.
    pub(super) async fn check_question(&self, stage: &Stage, entropy: &mut Entropy) {
        let seed = self.seed;
        let message = random_message(entropy, &self.input, 0);
        let mut secrets = Secrets::new();
        let wire = noisy_encode(entropy, &message, &mut secrets);
        let mut agreed = message.clone();
        clear(&mut agreed, false, &self.asked, &mut secrets);
        stage.puppet.say(Says::message(&[]));
        let seen = self.ask(stage, &wire, &CARELESS).await;
        check_reserved(&seen, seed);
        assert!(!contains(&seen.body, STEM), "seed {seed}");
        let heard = stage.puppet.heard();
        if seen.reason().is_empty() {
            assert!(agreed == message && secrets.is_empty(), "seed {seed}");
            assert_eq!(heard.len(), 1, "seed {seed}");
            assert_eq!(heard[0].body, framed(&wire), "seed {seed}");
            return;
        }
        assert_eq!(seen.reason(), "FIELD_NOT_AGREED", "seed {seed}");
        assert!(heard.is_empty(), "seed {seed}");
    }

    /// Of a system's error its code crosses, and a reason of the catalogue.
    pub(super) async fn check_error(&self, stage: &Stage, entropy: &mut Entropy) {
        let seed = self.seed;
        let question = self.question(entropy);
        let (code, says) = refusal(entropy);
        stage.puppet.say(decorate(says, entropy));
        let seen = self.ask(stage, &question, &CARELESS).await;
        check_reserved(&seen, seed);
        let status = seen.status().unwrap();
        assert_eq!(status.code(), tonic::Code::from_i32(code), "seed {seed}");
        stage.puppet.heard();
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}
