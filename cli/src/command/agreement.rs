//! `entente agreement`: check, sign, list, show, suspend, resume, revoke.

mod halt;
mod sunset;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use entente_agreement::{Agreement, Document, lifecycle, lint};
use entente_clock::Timestamp;
use entente_directory::{AgreementRecord, Federation};
use entente_reason::Lang;
use entente_sandbox::{Office, Seams};
use serde_json::{Value, json};

use super::desk::{DeskArgs, office_failure, reason_code};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::Text;
pub(crate) use sunset::Ending;

/// Check, sign, list, suspend and end data-sharing agreements
///
/// Agreements are YAML files that people write and both parties sign. What they do not permit does
/// not pass.
#[derive(Debug, Subcommand)]
pub(crate) enum AgreementCommand {
    Check(CheckArgs),
    Sign(SignArgs),
    List(ListArgs),
    Show(ShowArgs),
    Suspend(halt::SuspendArgs),
    Resume(halt::ResumeArgs),
    Revoke(RevokeArgs),
}

/// Look for the five faults auditors find, without signing
///
/// Example: entente agreement check agreement.yaml
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The agreement, as YAML
    file: PathBuf,
}

/// Sign a file: propose it, or accept what the other party proposed
///
/// Signs with the officer key of the member in --config. Example:
///   entente agreement sign sandbox/agreement-v3.yaml --config sandbox/pensions/member.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct SignArgs {
    /// The agreement, as YAML
    file: PathBuf,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Every agreement in the registry, with its state
///
/// Example: entente agreement list --config sandbox/pensions/member.yaml
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

/// One agreement, as it was signed
///
/// Example: entente agreement show DEMO-001
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Its name (the newest version), or its hash
    name: String,
    #[command(flatten)]
    desk: DeskArgs,
}

/// End an agreement; the next call under it is refused within 5 seconds
///
/// Example: entente agreement revoke DEMO-001 --reason SAFEGUARD_BREACH
#[derive(Args, Debug)]
pub(crate) struct RevokeArgs {
    /// Its name (the newest version), or its hash
    name: String,
    /// Why, as a code: public for ever, so never a name
    #[arg(long, value_name = "CODE", value_parser = reason_code)]
    reason: Option<String>,
    #[command(flatten)]
    desk: DeskArgs,
}

pub(crate) async fn run(command: AgreementCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        AgreementCommand::Check(args) => check(&args, screen),
        AgreementCommand::Sign(args) => sign(&args, screen).await,
        AgreementCommand::List(args) => list(&args, screen).await,
        AgreementCommand::Show(args) => show(&args, screen).await,
        AgreementCommand::Suspend(args) => halt::suspend(args, screen).await,
        AgreementCommand::Resume(args) => halt::resume(args, screen).await,
        AgreementCommand::Revoke(args) => revoke(args, screen).await,
    }
}

fn check(args: &CheckArgs, screen: &Screen) -> Result<(), Failure> {
    let (document, agreement) = read(&args.file, screen)?;
    let value = json!({
        "name": document.id.as_str(),
        "version": document.version,
        "hash": agreement.id().to_string(),
        "bytes": agreement.document().canonical().as_bytes().len(),
    });
    screen.show("agreement.check", value, |screen| {
        let facts: [crate::texts::Fact<'_>; 2] =
            [("name", &document.id.as_str()), ("hash", &agreement.id())];
        print_out(screen.text(Text::AgreementSound, &facts));
    });
    Ok(())
}

/// Reads a file, and refuses one with a fault.
fn read(file: &std::path::Path, screen: &Screen) -> Result<(Document, Agreement), Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(Exit::Usage, file.display().to_string()).because(&error))?;
    let document = Document::from_yaml_named(&text, &file.display().to_string())?;
    let findings = lint::check(&document);
    if !findings.is_empty() {
        let what = screen.text(Text::AgreementFaulty, &[("count", &findings.len())]);
        let mut failure = Failure::new(Exit::Refused, what);
        for finding in findings {
            let mut place = String::new();
            if let Some(clause) = finding.clause {
                place = screen.text(Text::InClause, &[("clause", &clause)]);
            }
            if let Some(subject) = &finding.subject {
                place = format!("{place} `{subject}`");
            }
            let fault = finding.fault.text(screen.lang);
            failure = failure.note(Text::LabelFault, format!("{fault} {place}").trim_end());
            failure = failure.note(Text::LabelDo, finding.fault.remedy(screen.lang));
        }
        return Err(failure);
    }
    let agreement = Agreement::of(&document).map_err(|error| Failure::of(Exit::Usage, &error))?;
    Ok((document, agreement))
}

async fn sign(args: &SignArgs, screen: &Screen) -> Result<(), Failure> {
    let (document, agreement) = read(&args.file, screen)?;
    let office = args.desk.office(screen).await?;
    let member = office.member().clone();
    let signed = office.sign(&document).await;
    let federation = office.desk().federation().await;
    office.close().await;
    let signed = signed.map_err(|error| office_failure(&error, screen))?;
    let now = Seams::real().clock.now();
    let state = federation
        .agreement(&agreement.id())
        .map(|record| federation.agreement_state(record, now));
    let endings = Ending::of(&federation, &document);
    let value = json!({
        "name": document.id.as_str(),
        "version": document.version,
        "hash": agreement.id().to_string(),
        "by": member,
        "proposed": signed.proposed,
        "index": signed.accepted.index,
        "missing": signed.missing,
        "state": state.map(lifecycle::State::as_str),
        "services_ending": endings.iter().map(Ending::value).collect::<Vec<_>>(),
    });
    for ending in &endings {
        screen.say(Text::AgreementOutlives, &[("ends", &ending.text(screen))]);
    }
    screen.show("agreement.signed", value, |screen| {
        let text = if signed.proposed {
            Text::AgreementProposed
        } else {
            Text::AgreementAccepted
        };
        let facts: [crate::texts::Fact<'_>; 4] = [
            ("member", &member),
            ("name", &document.id.as_str()),
            ("version", &document.version),
            ("index", &signed.accepted.index),
        ];
        print_out(screen.text(text, &facts));
        let missing: Vec<&str> = signed.missing.iter().map(|m| m.as_str()).collect();
        if !missing.is_empty() {
            screen.say(Text::AgreementAwaits, &[("missing", &missing.join(", "))]);
        } else if let Some(state) = state {
            print_out(screen.text(Text::AgreementIs, &[("state", &in_words(state, screen))]));
        }
    });
    Ok(())
}

async fn list(args: &ListArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    let federation = reading.desk.federation().await;
    reading.desk.close().await;
    let now = Seams::real().clock.now();
    let mut records: Vec<&AgreementRecord> = view.state.agreements().collect();
    records.sort_by_key(|record| (&record.terms.name, record.terms.version));
    let items: Vec<Value> = records
        .iter()
        .filter_map(|record| {
            let agreement = view.agreement(&record.id())?;
            let document = agreement.document();
            Some(summary(&federation, record, document, now, screen))
        })
        .collect();
    if items.is_empty() {
        screen.say(Text::NoAgreements, &[]);
    }
    let columns = [
        ("name", Text::HeadName),
        ("version", Text::HeadVersion),
        ("state", Text::HeadState),
        ("parties", Text::HeadParties),
        ("from", Text::HeadFrom),
        ("until", Text::HeadUntil),
        ("title", Text::HeadTitle),
    ];
    screen.list("agreements", &items, &columns);
    Ok(())
}

fn summary(
    federation: &Federation,
    record: &AgreementRecord,
    document: &Document,
    now: Timestamp,
    screen: &Screen,
) -> Value {
    let parties: Vec<&str> = document.parties.iter().map(|p| p.member.as_str()).collect();
    let current = federation.agreement_state(record, now);
    let shown = match screen.format {
        crate::output::Format::Table => in_words(current, screen),
        _ => current.as_str().to_owned(),
    };
    let title = match screen.lang {
        Lang::En => &document.title.en,
        Lang::Fr => &document.title.fr,
    };
    json!({
        "name": document.id.as_str(),
        "version": document.version,
        "hash": record.id().to_string(),
        "state": shown,
        "parties": parties,
        "from": document.not_before.day().to_string(),
        "until": document.not_after.day().to_string(),
        "title": title,
    })
}

async fn show(args: &ShowArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    let federation = reading.desk.federation().await;
    reading.desk.close().await;
    let found = Office::find(&view, &args.name)
        .and_then(|record| Some((record, view.agreement(&record.id())?)));
    let (record, agreement) = found.ok_or_else(|| {
        let error = entente_sandbox::OfficeError::UnknownAgreement;
        office_failure(&error, screen)
    })?;
    let document = agreement.document();
    let now = Seams::real().clock.now();
    let mut value = summary(&federation, record, document, now, screen);
    let signed: Vec<Value> = record
        .accepted
        .iter()
        .map(|(member, change)| json!({ "member": member, "change": change.to_string() }))
        .collect();
    value["signed"] = signed.into();
    value["suspended_by"] = json!(record.suspended_by[..]);
    value["revoked_reason"] = record.revoked_reason.as_deref().into();
    value["document"] = serde_json::to_value(document).unwrap_or_default();
    screen.show("agreement", value, |screen| {
        print_people(record, document, &federation, now, screen);
    });
    Ok(())
}

fn print_people(
    record: &AgreementRecord,
    document: &Document,
    federation: &Federation,
    now: Timestamp,
    screen: &Screen,
) {
    let text = |text: &entente_agreement::Text| match screen.lang {
        Lang::En => text.en.clone(),
        Lang::Fr => text.fr.clone(),
    };
    let row = |label: Text, value: &str| {
        print_out(format!("  {:<11} {value}", screen.text(label, &[])));
    };
    let name = format!("{} v{}", document.id.as_str(), document.version);
    print_out(format!("{}  {}", screen.bold(&name), text(&document.title)));
    row(
        Text::HeadState,
        &in_words(federation.agreement_state(record, now), screen),
    );
    if let Some(reason) = &record.revoked_reason {
        row(Text::HeadReason, reason);
    }
    let holders: Vec<&str> = record.suspended_by.iter().map(|m| m.as_str()).collect();
    if !holders.is_empty() {
        row(Text::HeadSuspendedBy, &holders.join(", "));
    }
    row(Text::HeadHash, &record.id().to_string());
    let term = format!(
        "{} – {}",
        document.not_before.day(),
        document.not_after.day()
    );
    row(Text::HeadTerm, &term);
    for party in &document.parties {
        let signed = match federation.is_signed_by(&record.id(), &party.member) {
            true => screen.text(Text::HasSigned, &[]),
            false => screen.text(Text::NotSigned, &[]),
        };
        let office = text(&party.steward.office);
        row(
            Text::HeadParty,
            &format!("{} ({signed}), {office}", party.member),
        );
    }
    for purpose in &document.purposes {
        row(
            Text::HeadPurpose,
            &format!("{}  {}", purpose.code, text(&purpose.text)),
        );
    }
    for clause in &document.clauses {
        let systems = |systems: &std::collections::BTreeSet<entente_identity::SystemId>| {
            let systems: Vec<&str> = systems.iter().map(|s| s.as_str()).collect();
            systems.join(", ")
        };
        row(
            Text::HeadClause,
            &format!("{}  {}", clause.number, text(&clause.title)),
        );
        let who = format!(
            "{} → {}",
            systems(&clause.consumers),
            systems(&clause.providers)
        );
        row(Text::HeadBetween, &who);
        row(Text::HeadService, clause.service.as_str());
        for (method, terms) in &clause.methods {
            let join = |elements: &std::collections::BTreeSet<entente_identity::ElementName>| {
                let elements: Vec<&str> = elements.iter().map(|e| e.as_str()).collect();
                elements.join(", ")
            };
            row(Text::HeadMethod, method);
            row(Text::HeadAsked, &join(&terms.request));
            row(Text::HeadReleased, &join(&terms.release));
        }
    }
}

async fn revoke(args: RevokeArgs, screen: &Screen) -> Result<(), Failure> {
    let office = args.desk.office(screen).await?;
    let refreshed = office.desk().refresh().await;
    let view = refreshed.map_err(|error| super::desk::desk_failure(&error, screen))?;
    let found = Office::find(&view, &args.name).map(|record| record.terms.clone());
    let Some(terms) = found else {
        let error = entente_sandbox::OfficeError::UnknownAgreement;
        return Err(office_failure(&error, screen));
    };
    let member = office.member().clone();
    let revoked = office.revoke(terms.id, args.reason).await;
    office.close().await;
    let accepted = revoked.map_err(|error| office_failure(&error, screen))?;
    let value = json!({
        "name": terms.name.as_str(),
        "version": terms.version,
        "hash": terms.id.to_string(),
        "by": member,
        "index": accepted.index,
    });
    screen.show("agreement.revoked", value, |screen| {
        let facts: [crate::texts::Fact<'_>; 4] = [
            ("member", &member),
            ("name", &terms.name.as_str()),
            ("version", &terms.version),
            ("index", &accepted.index),
        ];
        print_out(screen.text(Text::AgreementRevoked, &facts));
    });
    Ok(())
}

fn in_words(state: lifecycle::State, screen: &Screen) -> String {
    let text = match state {
        lifecycle::State::Active => Text::StateActive,
        lifecycle::State::Expired => Text::StateExpired,
        lifecycle::State::Proposed => Text::StateProposed,
        lifecycle::State::Revoked => Text::StateRevoked,
        lifecycle::State::Superseded => Text::StateSuperseded,
        lifecycle::State::Suspended => Text::StateSuspended,
        other => return other.as_str().to_owned(),
    };
    screen.text(text, &[])
}
