//! `entente trust`: which other jurisdictions' registries count here, and how far.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use entente_directory::{MemberClass, RecognitionLimits, RecognitionRecord, Standing};
use entente_follow::{Accepted, Anchor};
use entente_identity::{Jurisdiction, MemberId, ServiceName};
use serde_json::{Value, json};

use super::desk::{DeskArgs, reason_code, registrar_failure};
use super::fingerprint;
use super::registry::{say_tabled, say_tabled_by};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Recognise other jurisdictions' registries; suspend, resume and end that
///
/// Each registry speaks for its own names. What another one says counts here once a registrar recognises
/// it, as far as that goes and no further: it is not passed on. For a call across, both must.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    Add(AddArgs),
    List(ListArgs),
    Suspend(SuspendArgs),
    Resume(ResumeArgs),
    Revoke(RevokeArgs),
}

/// Recognise the registry of an anchor file, as a registrar
///
/// Every server of this jurisdiction then follows it. Without a limit, all of its members and services
/// count. Said again, it takes the place of what was said before.
#[derive(Args, Debug)]
#[command(after_help = ADD)]
pub(crate) struct AddArgs {
    /// The other registry's anchor file
    anchor: PathBuf,
    /// What its registrar read to you, heard from them and not from the file
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// Only institutions of this class; may be repeated
    #[arg(long, value_name = "CLASS")]
    class: Vec<MemberClass>,
    /// Only this member; may be repeated
    #[arg(long, value_name = "MEMBER")]
    member: Vec<MemberId>,
    /// Only this service, in either direction; may be repeated
    #[arg(long, value_name = "SERVICE")]
    service: Vec<ServiceName>,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Every jurisdiction that was ever recognised, and how that stands
///
/// Example: entente trust list --config registry.yaml
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

/// Suspend a recognition, as a registrar
///
/// Every call across is refused with JURISDICTION_NOT_RECOGNISED within 5 seconds on every connected server
/// of this jurisdiction. Example:
///   entente trust suspend ca-demo-qc --reason SAFEGUARD_BREACH --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct SuspendArgs {
    #[command(flatten)]
    act: ActArgs,
}

/// Lift the suspension of a recognition, as a registrar
///
/// Example: entente trust resume ca-demo-qc --config registry.yaml
#[derive(Args, Debug)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    act: ActArgs,
}

/// End a recognition, as a registrar
///
/// Its registry is followed no more. It can be recognised anew, from its anchor file. Example:
///   entente trust revoke ca-demo-qc --reason TREATY_ENDED --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Args, Debug)]
struct ActArgs {
    /// Which jurisdiction
    jurisdiction: Jurisdiction,
    /// Why, as a code: public for ever, so never a name
    #[arg(long, value_name = "CODE", value_parser = reason_code)]
    reason: Option<String>,
    #[command(flatten)]
    desk: DeskArgs,
}

pub(crate) async fn run(command: TrustCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        TrustCommand::Add(args) => add(args, screen).await,
        TrustCommand::List(args) => list(&args, screen).await,
        TrustCommand::Suspend(args) => stand(args.act, Standing::Suspended, screen).await,
        TrustCommand::Resume(args) => stand(args.act, Standing::Active, screen).await,
        TrustCommand::Revoke(args) => stand(args.act, Standing::Ended, screen).await,
    }
}

async fn add(args: AddArgs, screen: &Screen) -> Result<(), Failure> {
    let anchor = Anchor::load(&super::in_folder(&args.anchor))?;
    let jurisdiction = anchor.jurisdiction.clone();
    let heard = match args.fingerprint {
        Some(heard) => heard,
        None => fingerprint::ask(Text::TrustAsk, &[("jurisdiction", &jurisdiction)], screen)?,
    };
    if !fingerprint::is_of(&heard, &anchor.genesis) {
        let facts: [Fact<'_>; 1] = [("jurisdiction", &jurisdiction)];
        let what = screen.text(Text::TrustDiffers, &facts);
        return Err(Failure::new(Exit::Refused, what));
    }
    let limits = RecognitionLimits {
        classes: args.class.into_iter().collect(),
        members: args.member.into_iter().collect(),
        services: args.service.into_iter().collect(),
    };
    let limited = limits_of(&limits);
    let registrar = args.desk.registrar(screen).await?;
    let recognised = registrar.recognise(&anchor, limits).await;
    let tabled = registrar.tabled().filter(|_| recognised.is_ok());
    registrar.close().await;
    let recognised = recognised.map_err(|error| registrar_failure(&error, screen))?;
    let index = recognised.map(|accepted| accepted.index);
    let value = json!({
        "jurisdiction": jurisdiction,
        "genesis": anchor.genesis.to_string(),
        "limits": limited,
        "changed": index.is_some(),
        "index": index,
        "proposal": tabled.map(|hash| hash.to_string()),
    });
    screen.show("trust.added", value, |screen| {
        if tabled.is_some() && index.is_some() {
            return say_tabled(tabled, screen);
        }
        let Some(index) = index else {
            let facts: [Fact<'_>; 1] = [("jurisdiction", &jurisdiction)];
            return print_out(screen.text(Text::TrustAddedAlready, &facts));
        };
        let facts: [Fact<'_>; 2] = [("jurisdiction", &jurisdiction), ("index", &index)];
        print_out(screen.text(Text::TrustAdded, &facts));
    });
    Ok(())
}

async fn list(args: &ListArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    reading.desk.close().await;
    let items: Vec<Value> = view
        .state
        .recognitions()
        .map(|record| {
            let is_in_force = view.state.recognised(&record.jurisdiction).is_some();
            item(record, is_in_force)
        })
        .collect();
    if items.is_empty() {
        screen.say(Text::TrustNone, &[]);
    }
    let columns = [
        ("jurisdiction", Text::HeadJurisdiction),
        ("standing", Text::HeadStanding),
        ("given", Text::HeadFrom),
        ("addresses", Text::HeadAddresses),
        ("limits", Text::HeadLimits),
    ];
    screen.list("trust", &items, &columns);
    Ok(())
}

fn item(record: &RecognitionRecord, is_in_force: bool) -> Value {
    let standing = match record.standing {
        Standing::Active if is_in_force => "active",
        Standing::Active | Standing::Suspended => "suspended",
        Standing::Ended => "ended",
    };
    let addresses = record.anchor.addresses.iter().map(ToString::to_string);
    json!({
        "jurisdiction": record.jurisdiction,
        "standing": standing,
        "given": record.given.day().to_string(),
        "addresses": addresses.collect::<Vec<_>>(),
        "genesis": record.anchor.genesis.to_string(),
        "limits": limits_of(&record.limits),
    })
}

fn limits_of(limits: &RecognitionLimits) -> Vec<String> {
    let classes = limits.classes.iter().map(ToString::to_string);
    let members = limits.members.iter().map(ToString::to_string);
    let services = limits.services.iter().map(ToString::to_string);
    classes.chain(members).chain(services).collect()
}

async fn stand(act: ActArgs, standing: Standing, screen: &Screen) -> Result<(), Failure> {
    let registrar = act.desk.registrar(screen).await?;
    let stood = registrar
        .trust(&act.jurisdiction, standing, act.reason)
        .await;
    if stood.is_ok() {
        say_tabled_by(&registrar, screen);
    }
    registrar.close().await;
    let stood = stood.map_err(|error| registrar_failure(&error, screen))?;
    show(&act.jurisdiction, standing, stood.as_ref(), screen);
    Ok(())
}

fn show(
    jurisdiction: &Jurisdiction,
    standing: Standing,
    stood: Option<&Accepted>,
    screen: &Screen,
) {
    let (kind, done) = match standing {
        Standing::Active => ("trust.resumed", Text::TrustResumed),
        Standing::Suspended => ("trust.suspended", Text::TrustSuspended),
        Standing::Ended => ("trust.revoked", Text::TrustRevoked),
    };
    let index = stood.map(|accepted| accepted.index);
    let value = json!({
        "jurisdiction": jurisdiction,
        "changed": index.is_some(),
        "index": index,
    });
    screen.show(kind, value, |screen| {
        print_out(match index {
            Some(index) => screen.text(done, &[("jurisdiction", jurisdiction), ("index", &index)]),
            None => screen.text(Text::TrustAlready, &[("jurisdiction", jurisdiction)]),
        });
    });
}

const ADD: &str = "\
Examples:
  entente trust add ca-demo-qc.anchor.yaml --fingerprint \"3f2a 91c0 …\" --config registry.yaml
  entente trust add ca-demo-qc.anchor.yaml --class ministry --service entente.demo.vitalevents.v1.VitalEvents

The fingerprint is the hash of the other registry's first change: `entente registry show` prints it there.";
