//! `entente log who-looked`: every exchange about one person, from a ledger that was verified first.

mod coverage;
mod search;

use std::path::PathBuf;

use clap::Args;
use entente_clock::Timestamp;
use entente_follow::View;
use entente_ledger::entry::Entry;
use entente_ledger::note::NoteKey;
use entente_reason::Lang;
use serde_json::{Value, json};

use super::keys::known_view;
use super::sound::{Reach, SoundCopy, sound_copy};
use super::subject_key::{Due, SubjectKeys};
use super::verify::NoteKeyArg;
use super::{known_key, ledgers_in, open};
use crate::exit::Failure;
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};
use coverage::Coverage;
use search::{Exchange, Found, Search};

/// Every exchange about one person: who, when, for what purpose, under which agreement and law
///
/// Each ledger is verified whole before a line is printed, and only what its signed checkpoint covers is
/// told. The answer says of each ledger up to which entry and time that is, and whether a quorum of
/// witnesses saw it: a server cannot leave out what it signed, but a copy may be an old one. Where the
/// registry is at hand, every ledger that it names must be there, or the answer is not complete and the
/// command exits with 7. Exchanges about more persons than are named one by one are in everybody's answer,
/// and say so. Entries under withheld notice are only counted, and only with the commissioner's keys.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WhoLookedArgs {
    /// A ledger's folder, or one that holds ledgers
    dir: PathBuf,
    /// The person's keys, made by `entente log subject-key`
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// The ledger's key, as ORIGIN+HASH+KEY; may be repeated. Otherwise the registry's word is taken
    #[arg(long, value_name = "KEY")]
    key: Vec<NoteKeyArg>,
    /// The configuration that says which registry to believe; otherwise the nearest above the folder
    #[arg(long, value_name = "FILE", env = "ENTENTE_CONFIG")]
    config: Option<PathBuf>,
}

pub(crate) async fn run(args: &WhoLookedArgs, screen: &Screen) -> Result<(), Failure> {
    let keys = SubjectKeys::load(&args.keys, screen)?;
    let given: Vec<NoteKey> = args.key.iter().map(NoteKeyArg::key).collect();
    let config = args.config.as_deref();
    let view = known_view(&args.dir, config, true, screen).await?;
    let view = view.as_deref();
    let (mut items, mut reaches) = (Vec::new(), Vec::new());
    let mut withheld = [0; 2];
    for dir in ledgers_in(&args.dir, screen)? {
        let origin = open(&dir, screen)?.origin().map(str::to_owned);
        let known = known_key(&dir, origin.as_deref(), &given, config, screen).await?;
        // What is searched is the very copy that was verified.
        let copy = sound_copy(&dir, origin, known, screen)?;
        let found = search(&copy, &keys, screen)?;
        for (sum, more) in withheld.iter_mut().zip(found.withheld()) {
            *sum += more;
        }
        let origin = copy.origin();
        for ((at, _), exchange) in &found.exchanges {
            items.push(value(*at, exchange, origin, view, screen.lang));
        }
        reaches.push(copy.reach(view, screen)?);
    }
    let coverage = view.map(|view| Coverage::of(view, &reaches));
    let count = items.len();
    let [withheld, withheld_bulk] = withheld;
    let mut document = json!({
        "ledgers": reaches.iter().map(Reach::value).collect::<Vec<_>>(),
        "exchanges": items,
        "withheld": withheld,
        "withheld_bulk": withheld_bulk,
    });
    Coverage::put(coverage.as_ref(), view, &mut document);
    screen.show("log.who-looked", document, |screen| {
        for item in &items {
            print_item(item, screen);
        }
        for reach in &reaches {
            reach.print(screen);
        }
        let facts: [Fact<'_>; 3] = [
            ("count", &count),
            ("withheld", &withheld),
            ("bulk", &withheld_bulk),
        ];
        print_out(screen.bold(&screen.text(Text::LookedCount, &facts)));
        Coverage::print(coverage.as_ref(), view, screen);
    });
    coverage.map_or(Ok(()), |coverage| coverage.judge(screen))
}

fn search(copy: &SoundCopy, keys: &[Due], screen: &Screen) -> Result<Found, Failure> {
    let Ok(origin) = copy.origin().parse() else {
        // It is no access ledger.
        return Ok(Found::default());
    };
    let mut search = Search::new(origin, keys);
    copy.read(screen, |index, bytes| {
        // A registry's ledger holds changes, and they are about nobody.
        if let Ok(entry) = Entry::decode(&bytes) {
            search.take(index, &entry);
        }
    })?;
    Ok(search.end())
}

/// One exchange, for scripts: all that `print_item` tells too.
fn value(
    at: Timestamp,
    exchange: &Exchange,
    origin: &str,
    view: Option<&View>,
    lang: Lang,
) -> Value {
    let mut value = json!({
        "time": at.to_string(),
        "transaction": exchange.id.to_string(),
        "ledger": origin,
        "index": exchange.index,
        "outcome": exchange.outcome,
        "bulk": exchange.is_bulk,
    });
    let Some(request) = &exchange.request else {
        return value;
    };
    let said = request.statement();
    value["who"] = said.sender.to_string().into();
    value["asked"] = said.receiver.to_string().into();
    value["method"] = said.method.to_string().into();
    value["purpose"] = said.purpose.to_string().into();
    value["agreement"] = said.agreement.to_string().into();
    value["clause"] = said.clause.into();
    value["mode"] = said.mode.as_str().into();
    let agreement = view.and_then(|view| view.agreement(&said.agreement));
    let Some(agreement) = agreement else {
        return value;
    };
    let document = agreement.document();
    value["agreement_name"] = document.id.to_string().into();
    let (asks, answers) = (said.sender.member(), said.receiver.member());
    // What was looked at flows from who answers to who asks.
    let flows = document.authorities.iter();
    let mut ground = flows.filter(|flow| flow.from == answers && flow.to == asks);
    if let Some(flow) = ground.next() {
        let words = |ground: &entente_agreement::Ground| {
            let act = match lang {
                Lang::En => &ground.act.en,
                Lang::Fr => &ground.act.fr,
            };
            format!("{act}, {} ({})", ground.section, ground.jurisdiction)
        };
        value["authority"] = json!({
            "disclose": words(&flow.disclose),
            "collect": words(&flow.collect),
        });
    }
    value
}

fn print_item(item: &Value, screen: &Screen) {
    let text = |name: &str| item[name].as_str().unwrap_or("-").to_owned();
    let who = format!("{} → {}", text("who"), text("asked"));
    print_out(format!("{}  {}", text("time"), screen.bold(&who)));
    print_out(format!("       {}  {}", text("method"), text("purpose")));
    let name = item["agreement_name"].as_str();
    let hash = text("agreement");
    let agreement = name.unwrap_or_else(|| hash.get(..16).unwrap_or(&hash));
    let facts: [Fact<'_>; 2] = [("agreement", &agreement), ("clause", &item["clause"])];
    print_out(format!("       {}", screen.text(Text::EntryUnder, &facts)));
    for (label, name) in [
        (Text::LookedCollect, "collect"),
        (Text::LookedDisclose, "disclose"),
    ] {
        if let Some(ground) = item["authority"][name].as_str() {
            print_out(format!(
                "       {}",
                screen.text(label, &[("ground", &ground)])
            ));
        }
    }
    if item["bulk"] == true {
        print_out(format!("       {}", screen.text(Text::LookedBulk, &[])));
    }
    let outcome = item["outcome"].as_str();
    let outcome = match outcome {
        Some("answered") => screen.text(Text::LookedAnswered, &[]),
        Some(code) => code.to_owned(),
        None => screen.text(Text::LookedOpen, &[]),
    };
    let id = text("transaction");
    let transaction = screen.text(Text::EntryTransaction, &[("transaction", &id)]);
    print_out(screen.dim(&format!("       {outcome}  {transaction}")));
}

const EXAMPLES: &str = "\
Examples:
  entente log who-looked data/ledger --keys person.keys
  entente log who-looked data/ledger --keys person.keys -o json --lang fr";

#[cfg(test)]
mod tests;
