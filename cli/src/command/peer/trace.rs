//! `entente peer trace`: what would happen to a call, up to the system that is asked, which is not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use entente_clock::Timestamp;
use entente_config::nearest;
use entente_directory::{Absent, Federation, Mode, ServerRecord, Standing, State, Suite};
use entente_follow::View;
use entente_identity::{MemberId, MethodName, ServerId, SystemId};
use entente_ledger::SignedCheckpoint;
use entente_ledger::note::NoteKey;
use entente_sandbox::Seams;
use entente_security_server::Config;
use entente_signing::Digest;
use entente_tls::net::Endpoint;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::ground::Ground;
use super::step::{End, Step};
use crate::command::abroad::{Bond, federation};
use crate::command::dial::{Dialled, WITHIN, dial, nobody};
use crate::command::doctor::{role_file, words};
use crate::command::log::{Directory, Registry};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Say step by step what would happen to a call to a system or a server
///
/// Names in the directory, of another jurisdiction first whether both registries recognise each other; the
/// server's record, its address, TCP, TLS with its registered key, protocol and suite, the clauses that would
/// permit it, and the peer's newest checkpoint seen here. Connects, and calls nothing. Exits by the first broken
/// step: 4 no such name, 5 nobody there, 3 another key, no agreement, or not recognised.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TraceArgs {
    /// A system, or a server: ca-demo/vital-events/registry, ca-demo/vital-events/@ss1
    #[arg(value_name = "SYSTEM|SERVER")]
    target: Target,
    /// Only clauses that permit this method
    #[arg(long, value_name = "METHOD")]
    method: Option<MethodName>,
    /// The server that would call; by default the one in this folder
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Debug)]
enum Target {
    Server(ServerId),
    System(SystemId),
}

/// What every step looks at.
struct Way<'a> {
    config: &'a Config,
    seams: &'a Seams,
    view: &'a View,
    others: &'a [Registry],
    federation: Federation,
    screen: &'a Screen,
    now: Timestamp,
}

pub(crate) async fn run(args: &TraceArgs, screen: &Screen) -> Result<(), Failure> {
    let file = role_file(args.config.as_deref(), screen)?;
    let config = Config::load(&file)?;
    let seams = Seams::real();
    let began = Instant::now();
    let directory = Directory::current(&file, screen).await?;
    let (view, others) = (directory.home().view(), directory.others());
    let facts: [Fact<'_>; 2] = [("size", &view.size), ("origin", &view.origin)];
    let found = screen.text(Text::TraceRegistry, &facts);
    let mut steps = vec![Step::passed("registry", found, began.elapsed())];
    let way = Way {
        config: &config,
        seams: &seams,
        view,
        others,
        federation: federation(view, others),
        screen,
        now: seams.clock.now(),
    };
    way.follow(&args.target, args.method.as_ref(), &mut steps)
        .await?;
    let broken = steps.iter().find_map(|step| match step.end {
        End::Broken(exit) => Some(exit),
        End::Passed | End::Skipped => None,
    });
    let value = json!({
        "from": config.server,
        "to": args.target.to_string(),
        "passes": broken.is_none(),
        "steps": steps.iter().map(Step::value).collect::<Vec<_>>(),
    });
    screen.show("peer.trace", value, |screen| {
        print_out(screen.bold(&format!("{} → {}", config.server, args.target)));
        for step in &steps {
            step.print(screen);
        }
    });
    broken.map_or(Ok(()), |exit| Err(Failure::told(exit)))
}

// === impl Way ===

impl Way<'_> {
    async fn follow(
        &self,
        target: &Target,
        method: Option<&MethodName>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Failure> {
        if !self.is_recognised(target, steps) {
            let rest = ["name", "server", "address", "tcp", "tls", "protocol"];
            steps.extend(rest.map(|name| Step::skipped(name, self.screen)));
            let rest = ["agreement", "checkpoint"];
            steps.extend(rest.map(|name| Step::skipped(name, self.screen)));
            return Ok(());
        }
        let began = Instant::now();
        let named = self.named(target);
        let (record, theirs) = match named {
            Ok((record, theirs, found)) => {
                steps.push(Step::passed("name", found, began.elapsed()));
                (record, theirs)
            }
            Err((found, remedy)) => {
                let took = began.elapsed();
                steps.push(Step::broken("name", Exit::NotFound, found, remedy, took));
                let rest = ["server", "address", "tcp", "tls", "protocol", "agreement"];
                steps.extend(rest.map(|name| Step::skipped(name, self.screen)));
                steps.push(Step::skipped("checkpoint", self.screen));
                return Ok(());
            }
        };
        steps.push(self.server(record));
        self.network(record, steps).await?;
        steps.push(self.protocol(record));
        steps.push(self.agreement(&theirs, method));
        steps.push(self.checkpoint(record));
        Ok(())
    }

    /// Of a target of another jurisdiction: whether the two registries count for each other now.
    fn is_recognised(&self, target: &Target, steps: &mut Vec<Step>) -> bool {
        const NAME: &str = "recognition";
        let began = Instant::now();
        let home = self.config.server.jurisdiction();
        let other = target.member().jurisdiction();
        if other == home {
            return true;
        }
        let lang = self.screen.lang;
        let bond = Bond::with(&other, self.view, self.others);
        let found = bond.found(&home, &other).fill(lang);
        let (remedy, took) = (bond.remedy(&home, &other), began.elapsed());
        steps.push(match &remedy {
            None => Step::passed(NAME, found, took),
            Some(remedy) => Step::broken(NAME, bond.exit(), found, remedy.fill(lang), took),
        });
        remedy.is_none()
    }

    /// The server that a call would go to, and the systems that could be asked there.
    fn named(
        &self,
        target: &Target,
    ) -> Result<(&ServerRecord, BTreeSet<SystemId>, String), (String, String)> {
        let federation = &self.federation;
        let member = target.member();
        let unknown = |list: &str| {
            let known = federation.of(&member.jurisdiction());
            let known = known.map(names).unwrap_or_default();
            let near = nearest(&target.to_string(), known.iter().map(String::as_str));
            let remedy = match near {
                Some(near) => self.screen.text(Text::TraceNear, &[("name", &near)]),
                None => list.to_owned(),
            };
            (
                self.screen.text(Text::TraceNoName, &[("name", target)]),
                remedy,
            )
        };
        match federation.standing(&member) {
            Ok(Standing::Active) => {}
            Err(Absent::Member) => return Err(unknown("entente member list")),
            Err(Absent::Jurisdiction) => {
                let found = self.screen.text(Text::TraceLimited, &[("member", &member)]);
                return Err((found, self.screen.text(Text::TraceLimitedDo, &[])));
            }
            Ok(Standing::Suspended | Standing::Ended) => {
                let found = self
                    .screen
                    .text(Text::TraceSuspended, &[("member", &member)]);
                return Err((found, self.screen.text(Text::TraceSuspendedDo, &[])));
            }
        }
        let (record, theirs) = match target {
            Target::Server(server) => {
                let record = federation.server(server);
                let record = record.ok_or_else(|| unknown("entente server list"))?;
                (record, record.systems.iter().cloned().collect())
            }
            Target::System(system) => {
                let record = federation.servers_for(system).next();
                let record = record.ok_or_else(|| unknown("entente server list"))?;
                (record, BTreeSet::from([system.clone()]))
            }
        };
        let facts: [Fact<'_>; 2] = [("name", target), ("server", &record.id)];
        let found = self.screen.text(Text::TraceName, &facts);
        Ok((record, theirs, found))
    }

    fn server(&self, record: &ServerRecord) -> Step {
        let keys = record.tls_keys().count();
        let shard = self.federation.shard(&record.id, Mode::Live);
        let ledger = shard.map_or("-", |shard| shard.origin.as_str());
        let facts: [Fact<'_>; 2] = [("keys", &keys), ("ledger", &ledger)];
        let found = self.screen.text(Text::TraceServer, &facts);
        let is_whole = keys > 0 && record.hpke_newest().is_some() && shard.is_some();
        match is_whole {
            true => Step::passed("server", found, Duration::ZERO),
            false => {
                let member = record.member();
                let remedy = self
                    .screen
                    .text(Text::TraceServerDo, &[("member", &member)]);
                Step::broken("server", Exit::Refused, found, remedy, Duration::ZERO)
            }
        }
    }

    /// Its address, a connection, and whose key is at the other end.
    async fn network(&self, record: &ServerRecord, steps: &mut Vec<Step>) -> Result<(), Failure> {
        let member = record.member();
        let ask = |text| self.screen.text(text, &[("member", &member)]);
        let address = record.addresses.first();
        let address = address.and_then(|address| address.as_str().parse::<Endpoint>().ok());
        let began = Instant::now();
        let resolved = match &address {
            Some(Endpoint::Tcp { host, port }) => resolve(host, *port).await,
            Some(Endpoint::Unix(_)) => Ok(Vec::new()),
            None => Err("-".to_owned()),
        };
        let (address, found) = match (address, resolved) {
            (Some(address), Ok(places)) => {
                let found = format!("{address}  {}", places.join(", "));
                (address, found.trim_end().to_owned())
            }
            (address, Err(why)) => {
                let address = address.map_or_else(|| "-".to_owned(), |at| at.to_string());
                let facts: [Fact<'_>; 2] = [("address", &address), ("why", &why)];
                let found = self.screen.text(Text::DoctorUnreached, &facts);
                let remedy = ask(Text::TraceAddressDo);
                let took = began.elapsed();
                steps.push(Step::broken(
                    "address",
                    Exit::Unavailable,
                    found,
                    remedy,
                    took,
                ));
                steps.extend(["tcp", "tls"].map(|name| Step::skipped(name, self.screen)));
                return Ok(());
            }
            (None, Ok(_)) => return Ok(()),
        };
        steps.push(Step::passed("address", found, began.elapsed()));
        let keys: Vec<Digest> = record.tls_keys().map(|key| key.spki_digest()).collect();
        let began = Instant::now();
        let dialled = dial(&*self.seams.net, &address, keys, &nobody()?).await;
        let took = began.elapsed();
        let connected = self.screen.text(Text::TraceConnected, &[]);
        match dialled {
            Dialled::Unreached(why) => {
                let facts: [Fact<'_>; 2] = [("address", &address), ("why", &why)];
                let found = self.screen.text(Text::DoctorUnreached, &facts);
                let remedy = ask(Text::TraceAwayDo);
                steps.push(Step::broken("tcp", Exit::Unavailable, found, remedy, took));
                steps.push(Step::skipped("tls", self.screen));
            }
            Dialled::NoTls(why) => {
                steps.push(Step::passed("tcp", connected, took));
                let found = self.screen.text(Text::TraceNoTls, &[("why", &why)]);
                let remedy = ask(Text::TraceKeyDo);
                steps.push(Step::broken("tls", Exit::Unavailable, found, remedy, took));
            }
            Dialled::OtherKey => {
                steps.push(Step::passed("tcp", connected, took));
                let found = self
                    .screen
                    .text(Text::TraceOtherKey, &[("server", &record.id)]);
                let remedy = ask(Text::TraceKeyDo);
                steps.push(Step::broken("tls", Exit::Refused, found, remedy, took));
            }
            Dialled::Proven(proven) => {
                steps.push(Step::passed("tcp", connected, proven.connected));
                let key = proven.key.to_string();
                let facts: [Fact<'_>; 2] = [("group", &proven.group), ("key", &&key[..16])];
                let found = self.screen.text(Text::TraceTls, &facts);
                steps.push(Step::passed("tls", found, proven.shaken));
            }
        }
        Ok(())
    }

    /// The highest protocol version and the suite that both have, above the floor of the policy.
    fn protocol(&self, record: &ServerRecord) -> Step {
        let own = self.view.state.server(&self.config.server);
        let policy = self.view.state.policy();
        let floor = policy.map_or(1, |policy| policy.protocol_floor);
        let ours = own.map(|own| own.protocols.clone()).unwrap_or_default();
        let common = ours
            .iter()
            .filter(|version| record.protocols.contains(version));
        let common = common.copied();
        let version = common.filter(|version| *version >= floor).max();
        let suite = record.hpke_newest().map(|key| key.suite);
        let suite =
            suite.filter(|suite| policy.is_some_and(|policy| policy.suites.contains(suite)));
        if own.is_none() {
            let server = &self.config.server;
            let found = self
                .screen
                .text(Text::DoctorServerUnknown, &[("server", server)]);
            let remedy = "entente server register --server-config security-server.yaml";
            return Step::broken("protocol", Exit::Refused, found, remedy, Duration::ZERO);
        }
        match (version, suite) {
            (Some(version), Some(suite)) => {
                let Suite::XWing = suite;
                let suite = "X-Wing";
                let facts: [Fact<'_>; 2] = [("version", &version), ("suite", &suite)];
                let found = self.screen.text(Text::TraceProtocol, &facts);
                Step::passed("protocol", found, Duration::ZERO)
            }
            _ => {
                let found = self
                    .screen
                    .text(Text::TraceNoProtocol, &[("floor", &floor)]);
                let member = record.member();
                let remedy = self
                    .screen
                    .text(Text::TraceServerDo, &[("member", &member)]);
                Step::broken("protocol", Exit::Refused, found, remedy, Duration::ZERO)
            }
        }
    }

    fn agreement(&self, theirs: &BTreeSet<SystemId>, method: Option<&MethodName>) -> Step {
        let began = Instant::now();
        let ours: BTreeSet<SystemId> = self.config.systems.keys().cloned().collect();
        let ground = Ground::of(
            self.view,
            &self.federation,
            &ours,
            theirs,
            method,
            self.now,
            self.screen,
        );
        let others = ground.others.join("; ");
        if ground.clauses.is_empty() {
            let found = match ground.others.is_empty() {
                true => self.screen.text(Text::TraceNoAgreement, &[]),
                false => others,
            };
            let remedy = self.screen.text(Text::TraceNoAgreementDo, &[]);
            return Step::broken("agreement", Exit::Refused, found, remedy, began.elapsed());
        }
        let mut found = ground.clauses.join("; ");
        if !others.is_empty() {
            found = format!("{found} ({others})");
        }
        Step::passed("agreement", found, began.elapsed())
    }

    /// The newest checkpoint of the peer that was proven here to continue the ones before.
    fn checkpoint(&self, record: &ServerRecord) -> Step {
        let began = Instant::now();
        let seen = self
            .federation
            .shard(&record.id, Mode::Live)
            .and_then(|shard| {
                let name = Digest::of(shard.origin.as_bytes()).to_string();
                let file = self.config.data.as_path().join("peers").join(name);
                let key = NoteKey::new(&shard.origin, shard.key.clone()).ok()?;
                let newest = SignedCheckpoint::verify(&fs::read(&file).ok()?, &key).ok()?;
                Some((newest.size(), written(&file)?))
            });
        let found = match seen {
            None => self.screen.text(Text::TraceNoCheckpoint, &[]),
            Some((size, at)) => {
                let age = words(self.now.since(at));
                let facts: [Fact<'_>; 2] = [("size", &size), ("age", &age)];
                self.screen.text(Text::TraceCheckpoint, &facts)
            }
        };
        Step::passed("checkpoint", found, began.elapsed())
    }
}

fn written(file: &Path) -> Option<Timestamp> {
    let at = fs::metadata(file).ok()?.modified().ok()?;
    let at = at.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(u64::try_from(at.as_millis()).ok()?))
}

/// The addresses behind a name; none to say where it is an address itself.
async fn resolve(host: &str, port: u16) -> Result<Vec<String>, String> {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(Vec::new());
    }
    let asked = timeout(WITHIN, tokio::net::lookup_host((host, port))).await;
    let found = asked.map_err(|_| format!("{} s", WITHIN.as_secs()))?;
    let found = found.map_err(|error| error.to_string())?;
    Ok(found.take(PLACES).map(|at| at.ip().to_string()).collect())
}

/// Every system and server.
fn names(state: &State) -> Vec<String> {
    let servers = state.servers().take(MOST);
    let named = servers.flat_map(|server| {
        let systems = server.systems.iter().map(ToString::to_string);
        systems.chain([server.id.to_string()])
    });
    named.collect()
}

// === impl Target ===

impl Target {
    fn member(&self) -> MemberId {
        match self {
            Self::Server(server) => server.member(),
            Self::System(system) => system.member(),
        }
    }
}

impl std::str::FromStr for Target {
    type Err = entente_identity::InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(server) => Ok(Self::Server(server)),
            Err(_) => text.parse().map(Self::System),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(server) => server.fmt(f),
            Self::System(system) => system.fmt(f),
        }
    }
}

/// Addresses of a name that are shown.
const PLACES: usize = 4;
/// Servers among whose names a mistyped one is looked for.
const MOST: usize = 10_000;
const EXAMPLES: &str = "\
Examples:
  entente peer trace ca-demo/vital-events/registry -c sandbox/pensions/security-server.yaml
  entente peer trace ca-demo/vital-events/@ss1 -c security-server.yaml -o json";
