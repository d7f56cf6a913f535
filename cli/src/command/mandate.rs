//! `entente mandate`: which bodies of oversight may read whose ledgers, by what law, and until when.

use clap::{Args, Subcommand};
use entente_clock::Timestamp;
use entente_directory::{MandateGrant, MandateRecord, Name, Reading, Standing, State};
use entente_identity::MemberId;
use entente_reason::Lang;
use entente_sandbox::Seams;
use serde_json::{Value, json};

use super::desk::{DeskArgs, moment, reason_code, registrar_failure};
use super::registry::{say_tabled, say_tabled_by};
use crate::exit::Failure;
use crate::output::{Format, Screen, print_out};
use crate::texts::{Fact, Text};

/// Give bodies of oversight mandates to read ledgers; list and end them
///
/// A body of oversight is a member of the registry. Under a mandate its server may read every entry of the
/// access ledgers of the members named, each reading logged there. No entry holds what was exchanged.
#[derive(Debug, Subcommand)]
pub(crate) enum MandateCommand {
    Grant(GrantArgs),
    List(ListArgs),
    End(EndArgs),
}

/// Give a body a mandate, as a registrar
///
/// Without --member, it is over every member of this registry but the body. Said again, it takes the place of
/// what was said before.
#[derive(Args, Debug)]
#[command(after_help = GRANT)]
pub(crate) struct GrantArgs {
    /// The body
    body: MemberId,
    /// Only over this member; may be repeated
    #[arg(long, value_name = "MEMBER")]
    member: Vec<MemberId>,
    /// From when on: a day, which begins in UTC, or 2027-04-01T04:00:00Z; by default at once
    #[arg(long, value_name = "DATE", value_parser = moment)]
    from: Option<Timestamp>,
    /// Until when, at most five years on
    #[arg(long, value_name = "DATE", value_parser = moment)]
    until: Timestamp,
    /// By what law, in English; public for ever
    #[arg(long, value_name = "TEXT", value_parser = basis)]
    basis_en: String,
    /// By what law, in French; public for ever
    #[arg(long, value_name = "TEXT", value_parser = basis)]
    basis_fr: String,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Every body that has, or had, a mandate
///
/// Example: entente mandate list --config registry.yaml
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

/// End a body's mandate, as a registrar
///
/// Its next reading is refused with NO_MANDATE within 5 seconds on every connected server. Example:
///   entente mandate end ca-demo/commissioner --reason INQUIRY_CLOSED --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct EndArgs {
    /// The body
    body: MemberId,
    /// Only from then on: a day, which begins in UTC, or 2027-04-01T04:00:00Z
    #[arg(long, value_name = "DATE", value_parser = moment)]
    from: Option<Timestamp>,
    /// Why, as a code: public for ever, so never a name
    #[arg(long, value_name = "CODE", value_parser = reason_code)]
    reason: Option<String>,
    #[command(flatten)]
    desk: DeskArgs,
}

pub(crate) async fn run(command: MandateCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        MandateCommand::Grant(args) => grant(args, screen).await,
        MandateCommand::List(args) => list(&args, screen).await,
        MandateCommand::End(args) => end(args, screen).await,
    }
}

async fn grant(args: GrantArgs, screen: &Screen) -> Result<(), Failure> {
    let registrar = args.desk.registrar(screen).await?;
    // The day it is said on, so that saying it again changes nothing.
    let today = || Seams::real().clock.now().day().start();
    let from = args.from.unwrap_or_else(today);
    let grant = MandateGrant {
        body: args.body.clone(),
        members: args.member.into_iter().collect(),
        reads: [Reading::Ledgers].into(),
        from,
        until: args.until,
        basis: Name {
            en: args.basis_en,
            fr: args.basis_fr,
        },
    };
    let granted = registrar.grant_mandate(grant).await;
    let tabled = registrar.tabled().filter(|_| granted.is_ok());
    registrar.close().await;
    let granted = granted.map_err(|error| registrar_failure(&error, screen))?;
    let index = granted.map(|accepted| accepted.index);
    let value = json!({
        "body": args.body,
        "from": from.to_string(),
        "until": args.until.to_string(),
        "changed": index.is_some(),
        "index": index,
        "proposal": tabled.map(|hash| hash.to_string()),
    });
    screen.show("mandate.granted", value, |screen| {
        if tabled.is_some() && index.is_some() {
            return say_tabled(tabled, screen);
        }
        let body: Fact<'_> = ("body", &args.body);
        print_out(match &index {
            Some(index) => {
                let facts = [body, ("until", &args.until), ("index", index)];
                screen.text(Text::MandateGranted, &facts)
            }
            None => screen.text(Text::MandateGrantedAlready, &[body]),
        });
    });
    Ok(())
}

async fn end(args: EndArgs, screen: &Screen) -> Result<(), Failure> {
    let registrar = args.desk.registrar(screen).await?;
    let ended = registrar
        .end_mandate(&args.body, args.from, args.reason)
        .await;
    if ended.is_ok() {
        say_tabled_by(&registrar, screen);
    }
    let view = registrar.desk().view();
    registrar.close().await;
    let ended = ended.map_err(|error| registrar_failure(&error, screen))?;
    let index = ended.map(|accepted| accepted.index);
    let held = view.state.mandate_of(&args.body);
    let until = held.map_or_else(String::new, |held| {
        view.state.mandate_until(held).to_string()
    });
    let value = json!({
        "body": args.body,
        "until": until,
        "changed": index.is_some(),
        "index": index,
    });
    screen.show("mandate.ended", value, |screen| {
        let facts: [Fact<'_>; 2] = [("body", &args.body), ("until", &until)];
        print_out(match &index {
            Some(index) => {
                let [body, until] = facts;
                screen.text(Text::MandateEnded, &[body, until, ("index", index)])
            }
            None => screen.text(Text::MandateEndedAlready, &facts),
        });
    });
    Ok(())
}

async fn list(args: &ListArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    reading.desk.close().await;
    let now = Seams::real().clock.now();
    let mandates = view.state.mandates();
    let items: Vec<Value> = mandates
        .map(|record| item(&view.state, record, now, screen))
        .collect();
    if items.is_empty() {
        screen.say(Text::MandateNone, &[]);
    }
    let columns = [
        ("body", Text::HeadBody),
        ("standing", Text::HeadStanding),
        ("members", Text::HeadOver),
        ("from", Text::HeadFrom),
        ("until", Text::HeadUntil),
        ("basis", Text::HeadBasis),
    ];
    screen.list("mandates", &items, &columns);
    Ok(())
}

fn item(state: &State, record: &MandateRecord, now: Timestamp, screen: &Screen) -> Value {
    let until = state.mandate_until(record);
    let standing = match (state.standing(&record.body), now) {
        (_, now) if until <= now => "ended",
        (Some(Standing::Active), now) if now < record.from => "announced",
        (Some(Standing::Active), _) => "active",
        _ => "suspended",
    };
    let basis = match (screen.format, screen.lang) {
        (Format::Table, Lang::En) => json!(record.basis.en),
        (Format::Table, Lang::Fr) => json!(record.basis.fr),
        _ => json!({ "en": record.basis.en, "fr": record.basis.fr }),
    };
    let reads: Vec<&str> = record
        .reads
        .iter()
        .map(|reading| reading.as_str())
        .collect();
    json!({
        "body": record.body,
        "standing": standing,
        "members": record.members[..],
        "reads": reads,
        "from": record.from.to_string(),
        "until": until.to_string(),
        "basis": basis,
        "mandate": record.change.to_string(),
        "reason": record.reason.as_deref(),
    })
}

/// What the registry takes: at least a letter, no control characters, at most 512 bytes.
fn basis(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.len() <= 512 && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
        .ok_or_else(|| "expected 1 to 512 bytes on one line".to_owned())
}

const GRANT: &str = "\
Examples:
  entente mandate grant ca-demo/commissioner --until 2028-04-01 --basis-en \"Privacy Act, s. 37\" \\
    --basis-fr \"Loi sur la vie privée, art. 37\" --config registry.yaml
  entente mandate grant ca-demo/auditor --member ca-demo/pensions --from 2027-04-01 --until 2027-05-01 …";
