//! What happens while the canaries are out: answers, every kind of refusal, errors, stops and restarts.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use entente_ledger::entry::Body;
use entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
use entente_signing::Digest;
use entente_tests::offer::{Terms, agree};
use entente_tests::plain::{Onlooker, Puppet, Says, Seen};
use entente_tests::walk::until;
use entente_tests::world::{METHOD, PURPOSE, World};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::roles::{Role, Roles};
use super::{
    BORN, CASE, CAUSE, DIED, ERROR, EXTRA, EXTRA_METHOD, EXTRA_NAME, EXTRA_PURPOSE, HEADER,
    INFORMANT, PANIC, PERSON, PERSON_BARE, PLACE, USER,
};

/// What was seen while it happened. Everything else lies in files.
pub(super) struct Story {
    pub(super) world: World,
    /// What each end saw, and the values it may have seen.
    pub(super) seen: Vec<(String, Vec<u8>, Vec<&'static str>)>,
    /// What operators were shown.
    pub(super) pages: Vec<(String, Vec<u8>)>,
    /// Every process that ran.
    pub(super) processes: Vec<String>,
    puppet: Puppet,
    onlooker: Onlooker,
}

/// A call that is refused before anything leaves.
struct Denied {
    reason: &'static str,
    method: String,
    message: Vec<u8>,
    metadata: Vec<(&'static str, String)>,
}

// === impl Story ===

impl Story {
    /// Runs it from the first key to the last shutdown.
    pub(super) async fn tell(federation: &Path, logs: &Path) -> Self {
        std::fs::create_dir(federation).unwrap();
        let mut world = World::build(federation).await.unwrap();
        agree_to_keep(&world).await;
        world.registry.take().unwrap().shutdown().await.unwrap();
        append(
            &federation.join("registry/registry.yaml"),
            "admin: \"127.0.0.1:0\"\n",
        );
        let puppet = Puppet::saying(answer());
        puppet.serve(&world.provider.source_socket()).await.unwrap();

        let mut roles = Roles::logging_to(logs);
        let registry = roles.registry(&world).await;
        let provider = roles.server(&world.provider, &[]).await;
        let consumer = roles.server(&world.consumer, &[]).await;
        let mut story = Self {
            onlooker: Onlooker::at(&world.consumer.caller_socket()),
            puppet,
            world,
            seen: Vec::new(),
            pages: Vec::new(),
            processes: Vec::new(),
        };
        story.answers().await;
        story.refusals().await;
        story.errors().await;
        story.end(provider).await;
        let consumer = story.stops(&mut roles, consumer).await;
        story.end(consumer).await;
        story.denial_by_the_provider(&mut roles).await;
        story.end(registry).await;
        story.heard();
        for site in [&story.world.consumer, &story.world.provider] {
            let ledger = site.ledger_dir().unwrap().join("log");
            assert!(ledger.join("checkpoint").exists(), "no checkpoint");
            assert!(ledger.join("tile").is_dir(), "nothing was integrated");
        }
        story
    }

    /// The same person twice, one answer kept by order of a clause, and what is withheld of both.
    async fn answers(&mut self) {
        for agreement in ["DEMO-001", "DEMO-001", "KEPT-001"] {
            let seen = self.call("an answer", agreement, &[DIED]).await;
            assert_eq!(seen.reason(), "");
            let message = String::from_utf8_lossy(&seen.body).into_owned();
            assert!(message.contains(DIED) && !message.contains(CAUSE));
        }
        assert_eq!(self.heard(), 3);
    }

    async fn refusals(&mut self) {
        // Beyond ten a second they would be counted together, without an entry each.
        // The first may take long to arrive; those after it must not catch up.
        let mut pace = tokio::time::interval(Duration::from_millis(125));
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let denials = denials();
        for denied in &denials {
            pace.tick().await;
            let metadata = denied.metadata.iter().map(|(k, v)| (*k, v.as_str()));
            let metadata: Vec<_> = metadata.collect();
            let path = format!("/{}", denied.method);
            let called = self.onlooker.call(&path, &metadata, &denied.message);
            let seen = called.await.unwrap();
            assert_eq!(seen.reason(), denied.reason);
            self.saw(denied.reason, &seen, &[]);
        }
        assert_eq!(self.heard(), 0);
        let reasons: Vec<_> = denials.iter().map(|denied| denied.reason).collect();
        let entries = self.world.consumer.dated_entries().unwrap();
        let logged = entries.iter().filter_map(|entry| match &entry.body {
            Body::Denied(denied) => Some(denied.reason.as_str()),
            _ => None,
        });
        assert_eq!(logged.collect::<Vec<_>>(), reasons);
    }

    /// What a system says when it refuses, fails, breaks off or answers nonsense.
    async fn errors(&mut self) {
        let mut details = ErrorDetails::new();
        details
            .set_error_info(ERROR, "entente", [("at".to_owned(), ERROR.to_owned())])
            .set_debug_info(vec![format!("in {ERROR}")], ERROR)
            .add_bad_request_violation(PERSON, ERROR);
        let status = tonic::Status::with_error_details(tonic::Code::NotFound, ERROR, details);
        let refusal = || decorated(Says::refusal(5, ERROR, status.details()));
        let mut page = Says::message(&[]).header("location", ERROR);
        (page.status, page.body) = (500, ERROR.into());
        let mut nonsense = answer();
        nonsense.body = [&nonsense.body[..], CAUSE.as_bytes()].concat().into();
        let mut broken = answer();
        broken.breaks = true;
        let malformed = Says::message(&[&[0x12, 200, 1][..], CAUSE.as_bytes()].concat());
        for says in [
            refusal(),
            refusal().trailers_only(),
            page,
            nonsense,
            broken,
            malformed,
        ] {
            self.puppet.say(says);
            let seen = self.call("a source's error", "DEMO-001", &[]).await;
            assert_ne!(seen.reason(), "");
        }
        self.puppet.say(answer());
    }

    /// A panic, an abort with the answer in hand on either side, and the restarts after them.
    async fn stops(&mut self, roles: &mut Roles, consumer: Role) -> Role {
        let startled = ["--panic-at", "Opened", "--saying", PANIC];
        let provider = roles.server(&self.world.provider, &startled).await;
        self.until_reached("OUTCOME_UNKNOWN").await;
        self.end(provider).await;

        let provider = roles
            .server(&self.world.provider, &["--abort-at", "SystemAnswered"])
            .await;
        self.until_reached("OUTCOME_UNKNOWN").await;
        self.processes.push(provider.name().to_owned());
        provider.aborted().await;

        let provider = roles.server(&self.world.provider, &[]).await;
        self.until_reached("").await;
        self.end(consumer).await;
        let consumer = roles
            .server(&self.world.consumer, &["--abort-at", "Received"])
            .await;
        assert!(ask(&self.onlooker, "DEMO-001").await.is_err());
        self.processes.push(consumer.name().to_owned());
        consumer.aborted().await;

        let consumer = roles.server(&self.world.consumer, &[]).await;
        self.until_reached("").await;
        self.end(provider).await;
        consumer
    }

    /// A consumer whose registry cannot be reached asks under an agreement that has ended.
    async fn denial_by_the_provider(&mut self, roles: &mut Roles) {
        let provider = roles.server(&self.world.provider, &[]).await;
        let anchor = self.world.consumer.dir.join("anchor.yaml");
        let text = std::fs::read_to_string(&anchor).unwrap();
        std::fs::write(&anchor, text.replace("r.sock", "nobody.sock")).unwrap();
        let consumer = roles.server(&self.world.consumer, &[]).await;
        self.heard();
        self.world.revoke().await.unwrap();
        self.until_reached("AGREEMENT_REVOKED").await;
        let entries = self.world.provider.dated_entries().unwrap();
        let denied = entries.iter().any(|entry| match &entry.body {
            Body::Denied(denied) => denied.peer.is_some(),
            _ => false,
        });
        assert!(denied, "the provider denied nothing");
        self.end(consumer).await;
        self.end(provider).await;
    }

    /// Calls until the servers have found each other again and the answer is this one.
    async fn until_reached(&mut self, reason: &str) {
        let onlooker = self.onlooker.clone();
        let seen = until(|| async {
            let seen = ask(&onlooker, "DEMO-001").await?;
            anyhow::ensure!(seen.reason() == reason, "{}", seen.reason());
            Ok(seen)
        });
        let seen = seen.await.unwrap();
        let allowed: &[&str] = if reason.is_empty() { &[DIED] } else { &[] };
        self.saw(reason, &seen, allowed);
    }

    async fn call(&mut self, what: &str, agreement: &str, allowed: &[&'static str]) -> Seen {
        let seen = ask(&self.onlooker, agreement).await.unwrap();
        self.saw(what, &seen, allowed);
        seen
    }

    fn saw(&mut self, what: &str, seen: &Seen, allowed: &[&'static str]) {
        let place = format!("what the caller saw of {what:?}");
        let bytes = [&seen.margins()[..], &seen.body].concat();
        self.seen.push((place, bytes, allowed.to_vec()));
    }

    /// What the provider's system was told since the last time, and how often.
    fn heard(&mut self) -> usize {
        let heard = self.puppet.heard();
        for heard in &heard {
            let mut bytes = format!("{} {:?}", heard.path, heard.headers).into_bytes();
            bytes.extend_from_slice(&heard.body);
            let allowed = vec![PERSON, PERSON_BARE, BORN, USER, CASE];
            let place = "what the provider's system heard".to_owned();
            self.seen.push((place, bytes, allowed));
        }
        heard.len()
    }

    /// Looks at a process's pages, and lets it end.
    async fn end(&mut self, role: Role) {
        self.pages.extend(role.pages().await);
        self.processes.push(role.name().to_owned());
        role.stop().await;
    }
}

/// A second agreement, like the first but that payloads are kept.
async fn agree_to_keep(world: &World) {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let (asked, released): (BTreeSet<String>, BTreeSet<String>) = (
        set(&["person.number", "person.birth_date"]),
        set(&["death.registered", "death.date"]),
    );
    let (service, method) = METHOD.split_once('/').unwrap();
    let terms = Terms {
        name: "KEPT-001",
        service: &service.parse().unwrap(),
        contract: Digest::of(VITAL_EVENTS_DESCRIPTOR_SET),
        method,
        mode: "query",
        asked: &asked,
        released: &released,
        keeps_payload: true,
    };
    agree(world, &terms).await.unwrap();
}

/// Calls that the consumer's server refuses, each with values that must not stay anywhere.
fn denials() -> Vec<Denied> {
    let usual = || -> Vec<(&'static str, String)> {
        let usual = usual("DEMO-001");
        usual.iter().map(|(k, v)| (*k, (*v).to_owned())).collect()
    };
    let with = |reason, change: &dyn Fn(&mut Denied)| {
        let mut denied = Denied {
            reason,
            method: METHOD.to_owned(),
            message: question(),
            metadata: usual(),
        };
        change(&mut denied);
        denied
    };
    let set = |denied: &mut Denied, name: &'static str, value: String| {
        denied.metadata.retain(|(other, _)| *other != name);
        if !value.is_empty() {
            denied.metadata.push((name, value));
        }
    };
    let says = |reason, name: &'static str, value: String| {
        with(reason, &|denied| set(denied, name, value.clone()))
    };
    let asks = |reason, method: &str| with(reason, &|denied| denied.method = method.to_owned());
    let sends = |reason, message: Vec<u8>| with(reason, &|d| d.message = message.clone());
    let service = METHOD.split('/').next().unwrap();
    let long = EXTRA.repeat(30);
    vec![
        says("PURPOSE_MISSING", "entente-purpose", String::new()),
        says("PURPOSE_NOT_AGREED", "entente-purpose", "RESEARCH".into()),
        says("METADATA_INVALID", "entente-purpose", EXTRA.into()),
        says("METADATA_INVALID", "entente-to", EXTRA.into()),
        says("METADATA_INVALID", "entente-agreement", EXTRA.into()),
        says("METADATA_INVALID", "entente-elements", EXTRA.to_uppercase()),
        says("METADATA_INVALID", "entente-user", long.clone()),
        says("METADATA_INVALID", "entente-case", long),
        says("METADATA_INVALID", "entente-person", EXTRA.into()),
        says(
            "METADATA_INVALID",
            "entente-person-bin",
            BASE64_STANDARD.encode(EXTRA),
        ),
        says("AGREEMENT_AMBIGUOUS", "entente-agreement", String::new()),
        says("NO_AGREEMENT", "entente-agreement", "NONE-001".into()),
        says(
            "CALLER_MISMATCH",
            "entente-from",
            "ca-demo/pensions/other".into(),
        ),
        says(
            "UNKNOWN_MEMBER",
            "entente-to",
            "ca-demo/nobody/registry".into(),
        ),
        says(
            "UNKNOWN_SYSTEM",
            "entente-to",
            "ca-demo/vital-events/other".into(),
        ),
        says(
            "ELEMENT_NOT_AGREED",
            "entente-elements",
            "death.cause".into(),
        ),
        // A name that nobody knows may be anything.
        says(
            "UNKNOWN_SYSTEM",
            "entente-to",
            format!("ca-demo/vital-events/{EXTRA_NAME}"),
        ),
        says("ELEMENT_NOT_AGREED", "entente-elements", EXTRA_NAME.into()),
        says(
            "PURPOSE_NOT_AGREED",
            "entente-purpose",
            EXTRA_PURPOSE.into(),
        ),
        asks("UNKNOWN_METHOD", &format!("{service}/{EXTRA_METHOD}")),
        asks("UNKNOWN_SERVICE", &format!("a.v1.{EXTRA_METHOD}/Get")),
        asks("UNKNOWN_METHOD", EXTRA),
        asks("NO_AGREEMENT", &format!("{service}/ListDeaths")),
        sends("FIELD_NOT_AGREED", [question(), field(9, EXTRA)].concat()),
        sends(
            "FIELD_NOT_AGREED",
            [question(), field(2_000, EXTRA)].concat(),
        ),
        sends("REQUEST_MALFORMED", question()[..20].to_vec()),
        sends(
            "REQUEST_MALFORMED",
            [&field(1, EXTRA)[..], &[0xff]].concat(),
        ),
        sends("MESSAGE_TOO_LARGE", field(1, &EXTRA.repeat(1_198_400))),
    ]
}

async fn ask(onlooker: &Onlooker, agreement: &str) -> anyhow::Result<Seen> {
    let (path, metadata) = (format!("/{METHOD}"), usual(agreement));
    onlooker.call(&path, &metadata, &question()).await
}

fn usual(agreement: &str) -> [(&str, &str); 7] {
    [
        ("entente-to", "ca-demo/vital-events/registry"),
        ("entente-purpose", PURPOSE),
        ("entente-agreement", agreement),
        ("entente-user", USER),
        ("entente-case", CASE),
        ("x-person", HEADER),
        ("cookie", HEADER),
    ]
}

fn question() -> Vec<u8> {
    [field(1, PERSON), field(2, BORN)].concat()
}

fn answer() -> Says {
    let informant = [field(1, INFORMANT), field(2, INFORMANT)].concat();
    let message = [
        vec![0x08, 1],
        field(2, DIED),
        field(3, PLACE),
        field(4, CAUSE),
        field(6, std::str::from_utf8(&informant).unwrap()),
        field(7, INFORMANT),
        field(99, EXTRA),
    ];
    decorated(Says::message(&message.concat()))
}

fn decorated(says: Says) -> Says {
    says.header("x-person", HEADER)
        .header("entente-source-date", HEADER)
        .header("set-cookie", HEADER)
        .trailer("x-person-too", HEADER)
        .trailer_bin("x-person-bin", HEADER.as_bytes())
}

fn field(number: u32, text: &str) -> Vec<u8> {
    let mut field = varint(number << 3 | 2);
    field.extend(varint(u32::try_from(text.len()).unwrap()));
    field.extend_from_slice(text.as_bytes());
    field
}

fn varint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn append(path: &Path, line: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, text + line).unwrap();
}
