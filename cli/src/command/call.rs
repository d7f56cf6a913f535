//! `entente call`: a question to another agency, from a terminal.

mod contract;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use entente_config::{DurationText, Endpoint, SecretFile};
use entente_contract::{Contract, Direction};
use entente_follow::View;
use entente_identity::{ElementName, MethodName, PurposeCode, SystemId};
use entente_reason::{Lang, Reason};
use entente_sandbox::{AskError, Door, MemberFile, Question, Refused, Seams};
use serde_json::json;

use super::desk::{DeskArgs, DeskFile, Reading};
use super::help::who;
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::Text;

/// Ask another agency's system a question, through your own security server
///
/// JSON goes in and out; your own security server signs, seals and logs the question, and the
/// answer holds only what the agreement releases.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CallArgs {
    /// The system asked: ca-demo/vital-events/registry
    target: SystemId,
    /// The method: entente.demo.vitalevents.v1.VitalEvents/LookupDeath
    method: MethodName,
    /// The request as JSON; `@FILE` reads a file, `-` reads stdin
    #[arg(short, long, value_name = "JSON", default_value = "{}")]
    data: String,
    /// Why you ask: a purpose of the agreement
    #[arg(short, long, value_name = "CODE")]
    purpose: Option<PurposeCode>,
    /// The official behind the question; sealed, never logged in clear
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Your file number; sealed, never logged in clear
    #[arg(long, value_name = "ID")]
    case: Option<String>,
    /// How strongly the official was authenticated, 0 to 4
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=4))]
    assurance: Option<u8>,
    /// Only these elements, comma separated; by default all that the clause releases
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    elements: Vec<ElementName>,
    /// The agreement relied on, when more than one permits the call
    #[arg(long, value_name = "NAME")]
    agreement: Option<String>,
    /// A trial: marked as such on both ledgers, and answered without the live source
    #[arg(long)]
    test: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10s")]
    timeout: DurationText,
    /// The system that asks, when your member file has several
    #[arg(long, value_name = "SYSTEM")]
    from: Option<SystemId>,
    /// Where your security server takes calls: unix:PATH or a loopback address
    #[arg(long, value_name = "ADDRESS", env = "ENTENTE_SERVER")]
    server: Option<Endpoint>,
    /// The file with your system's token, on loopback
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// The contract's descriptor set, instead of the one the registry holds
    #[arg(long, value_name = "FILE")]
    descriptors: Option<PathBuf>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Where the question goes in, and what its words mean.
struct Way {
    server: Endpoint,
    token: Option<SecretFile>,
    contract: Contract,
    /// The registry's view, when the contract came from there.
    view: Option<Arc<View>>,
    from: Option<SystemId>,
}

pub(crate) async fn run(args: CallArgs, screen: &Screen) -> Result<(), Failure> {
    let data = read_data(&args.data, screen)?;
    let way = args.find_way(screen).await?;
    let body = encode(&way.contract, &args.method, &data, screen)?;
    if args.dry_run {
        dry_run(&args, &way, &body, screen);
        return Ok(());
    }
    let token = way.token.as_ref().map(SecretFile::read_text).transpose();
    let token = token.map_err(|error| Failure::of(Exit::Usage, &error))?;
    let token = token.as_ref().and_then(entente_config::Secret::expose_text);
    let endpoint = super::net_endpoint(&way.server);
    let door = Door::at(&Seams::real(), endpoint, token)
        .map_err(|error| Failure::of(Exit::Usage, &error))?;
    screen.whisper(&format!("{} → {}", way.server, args.target));
    match door.ask(&args.question(body, screen.lang)).await {
        Ok(answer) => {
            let json = way
                .contract
                .encode_json(&args.method, Direction::Response, &answer.body);
            let json = json.map_err(|e| Failure::for_reason(e.reason(), &e, screen.lang))?;
            let shown = json!({
                "answer": json,
                "transaction": answer.transaction,
                "receipt": answer.receipt,
            });
            screen.show("call", shown, |_| {
                print_out(serde_json::to_string_pretty(&json).unwrap_or_default());
            });
            if let Some(transaction) = answer.transaction {
                screen.say(Text::CallLogged, &[("transaction", &transaction)]);
            }
            Ok(())
        }
        Err(AskError::Refused(refused)) => Err(explain(&refused, &args, &way, screen)),
        Err(error @ AskError::Unreachable(_)) => {
            let what = screen.text(Text::ServerSilent, &[("server", &way.server)]);
            Err(Failure::new(Exit::Unavailable, what)
                .because(root_of(&error))
                .note(Text::LabelDo, "entente sandbox status"))
        }
        Err(error) => Err(Failure::of(Exit::Usage, &error)),
    }
}

// === impl CallArgs ===

impl CallArgs {
    fn question(&self, body: Bytes, lang: Lang) -> Question {
        Question {
            purpose: self.purpose.clone(),
            agreement: self.agreement.clone(),
            elements: self.elements.iter().cloned().collect::<BTreeSet<_>>(),
            user: self.user.clone(),
            case: self.case.clone(),
            assurance: self.assurance,
            test: self.test,
            deadline: self.timeout.get().max(Duration::from_millis(1)),
            lang,
            ..Question::new(self.target.clone(), self.method.clone(), body)
        }
    }

    /// The server and the contract: from the command line when it names both, else from the member
    /// file, and the registry it follows.
    async fn find_way(&self, screen: &Screen) -> Result<Way, Failure> {
        let token = self.token.as_ref().map(SecretFile::at);
        if let (Some(server), Some(file)) = (&self.server, &self.descriptors) {
            return Ok(Way {
                server: server.clone(),
                token,
                contract: contract::read(file, &self.method, screen)?,
                view: None,
                from: self.from.clone(),
            });
        }
        let file = self.desk.find(screen)?;
        let (from, server, own_token) = match (&self.server, &file) {
            (Some(server), _) => (self.from.clone(), server.clone(), None),
            (None, DeskFile::Member(member)) => self.caller(member, screen)?,
            (None, DeskFile::Registry(_)) => {
                return Err(Failure::new(Exit::Usage, screen.text(Text::NoCaller, &[])));
            }
        };
        let (contract, view) = match &self.descriptors {
            Some(path) => (contract::read(path, &self.method, screen)?, None),
            None => {
                let reading = Reading::open(file.anchor()?, &file.copy(), screen).await?;
                let view = reading.view.clone();
                let target = self.view_of_target(&reading, screen).await;
                reading.desk.close().await;
                (self.contract_of(&*target?, screen)?, Some(view))
            }
        };
        Ok(Way {
            server,
            token: token.or(own_token),
            contract,
            view,
            from,
        })
    }

    fn caller(
        &self,
        member: &MemberFile,
        screen: &Screen,
    ) -> Result<(Option<SystemId>, Endpoint, Option<SecretFile>), Failure> {
        let mut callers = member.callers.iter();
        let found = match &self.from {
            Some(from) => member.callers.get_key_value(from),
            None if member.callers.len() == 1 => callers.next(),
            None => None,
        };
        let (system, door) = found.ok_or_else(|| {
            let systems: Vec<&str> = member.callers.keys().map(SystemId::as_str).collect();
            Failure::new(Exit::Usage, screen.text(Text::NoCaller, &[]))
                .note(Text::LabelNear, systems.join(", "))
        })?;
        Ok((
            Some(system.clone()),
            door.server.clone(),
            door.token.clone(),
        ))
    }
}

fn encode(
    contract: &Contract,
    method: &MethodName,
    data: &str,
    screen: &Screen,
) -> Result<Bytes, Failure> {
    let encoded = contract.decode_json(method, Direction::Request, data);
    encoded.map_err(|error| {
        let mut failure = Failure::of(Exit::of(error.reason()), &error);
        failure.reason = Some(error.reason());
        if let Ok(message) = contract.message(method, Direction::Request) {
            let fields: Vec<String> = message
                .fields()
                .map(|field| field.name().to_owned())
                .collect();
            return failure.note(Text::LabelFields, fields.join(", "));
        }
        let methods: Vec<&str> = contract.methods().map(|m| m.name.method()).collect();
        let near = entente_config::nearest(method.method(), methods.iter().copied());
        match near {
            Some(near) => failure.note(Text::LabelNear, near),
            None => failure.note(Text::LabelMethods, methods.join(", ")),
        }
        .explained(error.reason(), screen.lang)
    })
}

fn read_data(given: &str, screen: &Screen) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| {
        let what = screen.text(Text::DataUnreadable, &[("from", &given)]);
        Failure::new(Exit::Usage, what).because(&error)
    };
    match given.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(unreadable),
        None if given == "-" => {
            let mut text = String::new();
            let mut stdin = std::io::stdin().lock().take(MAX_DATA);
            stdin.read_to_string(&mut text).map_err(unreadable)?;
            Ok(text)
        }
        None => Ok(given.to_owned()),
    }
}

fn dry_run(args: &CallArgs, way: &Way, body: &Bytes, screen: &Screen) {
    let shown = json!({
        "server": way.server.to_string(),
        "from": way.from,
        "to": args.target,
        "method": args.method,
        "purpose": args.purpose,
        "elements": args.elements,
        "request_bytes": body.len(),
        "sent": false,
    });
    screen.show("call.dry_run", shown, |screen| {
        let facts: [crate::texts::Fact<'_>; 4] = [
            ("bytes", &body.len()),
            ("method", &args.method),
            ("to", &args.target),
            ("server", &way.server),
        ];
        print_out(screen.text(Text::CallDryRun, &facts));
    });
}

/// The last of a chain of causes: what the system itself said.
fn root_of<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> &'a (dyn std::error::Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// A refusal, as somebody can act on it: what, by whom, what to do, where to read on.
fn explain(refused: &Refused, args: &CallArgs, way: &Way, screen: &Screen) -> Failure {
    let said = match refused.reason {
        Some(reason) => reason.text(screen.lang).to_owned(),
        None => refused.text.clone(),
    };
    let what = screen.text(Text::Refused, &[("what", &said), ("code", &refused.code)]);
    let exit = refused.reason.map_or(Exit::Refused, Exit::of);
    let mut failure = Failure::new(exit, what);
    failure.reason = refused.reason;
    if let Some(at) = refused.at {
        let mut by = screen.text(who(at), &[]);
        if let Some(transaction) = &refused.transaction {
            by.push_str(&screen.text(Text::LoggedAs, &[("transaction", transaction)]));
        }
        failure = failure.note(Text::LabelWho, by);
    }
    failure = facts_of(refused, failure, screen);
    failure = agreed(refused, args, way, failure, screen);
    if let Some(reason) = refused.reason {
        failure = failure.note(Text::LabelDo, reason.remedy(screen.lang));
    }
    let more = screen.text(Text::MoreAbout, &[("code", &refused.code)]);
    failure.note(Text::LabelMore, more)
}

/// What the servers added: the rule and clause that refused, what is allowed instead, and whatever
/// else a newer server may say.
fn facts_of(refused: &Refused, mut failure: Failure, screen: &Screen) -> Failure {
    let fact = |name: &str| refused.facts.get(name).map(String::as_str);
    if let Some(allowed) = fact("allowed") {
        failure = failure.note(Text::LabelAllowed, allowed.replace(',', ", "));
    }
    if let Some(rule) = fact("rule") {
        let rule = match (fact("agreement"), fact("clause")) {
            (Some(agreement), Some(clause)) => {
                let short = agreement.get(..16).unwrap_or(agreement);
                let facts: [crate::texts::Fact<'_>; 2] =
                    [("agreement", &short), ("clause", &clause)];
                format!("{rule}, {}", screen.text(Text::EntryUnder, &facts))
            }
            _ => rule.to_owned(),
        };
        failure = failure.note(Text::LabelRule, rule);
    }
    let known = ["allowed", "rule", "agreement", "clause"];
    let rest = refused
        .facts
        .iter()
        .filter(|(key, _)| !known.contains(&key.as_str()));
    for (key, value) in rest {
        failure = failure.note(Text::LabelFacts, format!("{key} {value}"));
    }
    failure
}

/// What the agreements between the two systems do permit, and who could change that.
fn agreed(
    refused: &Refused,
    args: &CallArgs,
    way: &Way,
    mut failure: Failure,
    screen: &Screen,
) -> Failure {
    let (Some(view), Some(from)) = (&way.view, &way.from) else {
        return failure;
    };
    let asks = matches!(
        refused.reason,
        Some(Reason::PurposeNotAgreed | Reason::PurposeMissing | Reason::ElementNotAgreed)
    );
    if !asks {
        return failure;
    }
    let now = Seams::real().clock.now();
    for record in view.state.agreements_between(from, &args.target) {
        let state = view.state.agreement_state(record, now);
        if state != entente_agreement::lifecycle::State::Active {
            continue;
        }
        let Some(agreement) = view.agreement(&record.id()) else {
            continue;
        };
        let document = agreement.document();
        let purposes: Vec<&str> = document.purposes.iter().map(|p| p.code.as_str()).collect();
        let released = document.clauses.iter().filter_map(|clause| {
            let terms = clause.methods.get(args.method.method())?;
            Some(terms.release.iter().map(ElementName::as_str))
        });
        let released: BTreeSet<&str> = released.flatten().collect();
        let released: Vec<&str> = released.into_iter().collect();
        let facts: [crate::texts::Fact<'_>; 3] = [
            ("agreement", &document.id.as_str()),
            ("purposes", &purposes.join(", ")),
            ("elements", &released.join(", ")),
        ];
        if !refused.facts.contains_key("allowed") {
            failure = failure.note(Text::LabelAgreed, screen.text(Text::AgreedIs, &facts));
        }
        if let Some(party) = document.party(&args.target.member()) {
            let office = match screen.lang {
                Lang::En => &party.steward.office.en,
                Lang::Fr => &party.steward.office.fr,
            };
            let steward = format!("{office}, {}", party.steward.contact);
            failure = failure.note(Text::LabelSteward, steward);
        }
    }
    failure
}

/// A request's JSON from stdin: twice the largest message.
const MAX_DATA: u64 = 32 << 20;

const EXAMPLES: &str = "\
Examples, in the folder of a sandbox that is up:
  entente call ca-demo/vital-events/registry \\
      entente.demo.vitalevents.v1.VitalEvents/LookupDeath \\
      -d '{\"person_number\": \"046454286\"}' --purpose PROGRAM_ADMINISTRATION

  the same with --purpose RESEARCH is refused, and says by whom and what to do (exit code 3)";
