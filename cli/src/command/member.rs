//! `entente member`: apply, list, approve, suspend, resume, end, keys, certificate.

mod keys;
mod standing;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use entente_directory::{Application, Standing};
use entente_follow::ApplicationStanding;
use entente_identity::{MemberId, ServerId};
use entente_reason::Lang;
use serde_json::{Value, json};

use super::desk::{DeskArgs, office_failure, registrar_failure};
use super::fingerprint;
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Apply for membership; list, approve and suspend members; issue certificates
///
/// An institution applies with its keys; a registrar compares a fingerprint with it by telephone,
/// and admits it. A registrar also suspends and resumes a membership, and ends it.
#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    Apply(ApplyArgs),
    List(ListArgs),
    Approve(ApproveArgs),
    Suspend(standing::SuspendArgs),
    Resume(standing::ResumeArgs),
    End(standing::EndArgs),
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    Certificate(CertificateArgs),
}

/// Apply for membership, making the member's keys when they are missing
///
/// Prints the fingerprint to read to the registrar. Example:
///   entente member apply --config member.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

/// Members, or with --pending the applications that wait
///
/// Example: entente member list
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Applications that wait for a registrar; needs the registrar's key
    #[arg(long)]
    pending: bool,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Admit an applicant, as a registrar
///
/// Needs the registrar's key, and what the applicant read to you. Example:
///   entente member approve ca-demo/pensions --fingerprint "3f2a 91c0 …" --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct ApproveArgs {
    /// Who applies
    member: MemberId,
    /// What the applicant read to you, heard from them and not from this machine
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Issue this member's certificate, or those of a server, for courts
///
/// Whoever holds the member's certificate verifies sessions of its servers with openssl alone. It
/// prints PEM: with --server what belongs beside the server's key, as `server.1.crt`. Example:
///   entente member certificate --server ca-on/pensions/@ss1 --out keys/server.1.crt
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct CertificateArgs {
    /// A registered server of this member
    #[arg(long, value_name = "SERVER")]
    server: Option<ServerId>,
    /// A file to write to, in the place of what is there
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Issue the member's own anew, for another ten years
    #[arg(long)]
    renew: bool,
    #[command(flatten)]
    desk: DeskArgs,
}

pub(crate) async fn run(command: MemberCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        MemberCommand::Apply(args) => apply(&args, screen).await,
        MemberCommand::List(args) if args.pending => pending(&args, screen).await,
        MemberCommand::List(args) => list(&args, screen).await,
        MemberCommand::Approve(args) => approve(args, screen).await,
        MemberCommand::Suspend(args) => standing::suspend(args, screen).await,
        MemberCommand::Resume(args) => standing::resume(args, screen).await,
        MemberCommand::End(args) => standing::end(args, screen).await,
        MemberCommand::Keys(command) => keys::run(command, screen).await,
        MemberCommand::Certificate(args) => certificate(&args, screen).await,
    }
}

async fn apply(args: &ApplyArgs, screen: &Screen) -> Result<(), Failure> {
    let office = args.desk.office(screen).await?;
    let member = office.member().clone();
    let applied = office.apply().await;
    office.close().await;
    let applied = applied.map_err(|error| office_failure(&error, screen))?;
    let value = json!({
        "member": member,
        "application": applied.id.to_string(),
        "fingerprint": applied.fingerprint,
    });
    screen.show("member.applied", value, |screen| {
        print_out(screen.text(Text::MemberApplied, &[("member", &member)]));
        print_out(format!("  {}", screen.bold(&applied.fingerprint)));
        screen.say(Text::MemberAppliedNext, &[]);
    });
    Ok(())
}

async fn list(args: &ListArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    reading.desk.close().await;
    let items: Vec<Value> = view
        .state
        .members()
        .map(|member| {
            let standing = match view.state.standing(&member.id) {
                Some(Standing::Active) => "active",
                Some(Standing::Suspended) => "suspended",
                Some(Standing::Ended) | None => "ended",
            };
            let servers = view
                .state
                .servers()
                .filter(|server| server.member() == member.id);
            let name = match screen.lang {
                Lang::En => &member.name.en,
                Lang::Fr => &member.name.fr,
            };
            json!({
                "member": member.id,
                "class": member.class.as_str(),
                "standing": standing,
                "admitted": member.admitted.day().to_string(),
                "servers": servers.map(|server| server.id.to_string()).collect::<Vec<_>>(),
                "name": name,
            })
        })
        .collect();
    let columns = [
        ("member", Text::HeadMember),
        ("class", Text::HeadClass),
        ("standing", Text::HeadStanding),
        ("admitted", Text::HeadAdmitted),
        ("servers", Text::HeadServers),
        ("name", Text::HeadName),
    ];
    screen.list("members", &items, &columns);
    Ok(())
}

async fn pending(args: &ListArgs, screen: &Screen) -> Result<(), Failure> {
    let registrar = args.desk.registrar(screen).await?;
    let held = registrar.applications().await;
    registrar.close().await;
    let held = held.map_err(|error| registrar_failure(&error, screen))?;
    let waiting = held
        .iter()
        .filter(|held| held.standing == ApplicationStanding::Pending);
    let items: Vec<Value> = waiting
        .map(|held| {
            let member = Application::parse(&held.bytes).map(|a| a.member.to_string());
            json!({
                "member": member.ok(),
                "received": held.received_at.to_string(),
                "fingerprint": Application::fingerprint(&held.bytes),
            })
        })
        .collect();
    if items.is_empty() {
        screen.say(Text::NothingPending, &[]);
    }
    let columns = [
        ("member", Text::HeadMember),
        ("received", Text::HeadReceived),
        ("fingerprint", Text::HeadFingerprint),
    ];
    screen.list("members.pending", &items, &columns);
    Ok(())
}

async fn approve(args: ApproveArgs, screen: &Screen) -> Result<(), Failure> {
    let registrar = args.desk.registrar(screen).await?;
    let held = registrar.application_of(&args.member).await;
    let held = held.map_err(|error| registrar_failure(&error, screen))?;
    let heard = match args.fingerprint {
        Some(heard) => heard,
        None => {
            let facts: [Fact<'_>; 1] = [("received", &held.received_at)];
            fingerprint::ask(Text::FingerprintAsk, &facts, screen)?
        }
    };
    let approved = registrar.approve(&held, &heard).await;
    if approved.is_ok() {
        super::registry::say_tabled_by(&registrar, screen);
    }
    registrar.close().await;
    let accepted = approved.map_err(|error| registrar_failure(&error, screen))?;
    let value = json!({ "member": args.member, "index": accepted.index });
    screen.show("member.approved", value, |screen| {
        let facts: [Fact<'_>; 2] = [("member", &args.member), ("index", &accepted.index)];
        print_out(screen.text(Text::MemberAdmitted, &facts));
    });
    Ok(())
}

async fn certificate(args: &CertificateArgs, screen: &Screen) -> Result<(), Failure> {
    let office = args.desk.office(screen).await?;
    let issued = match &args.server {
        None => office
            .certificate(args.renew)
            .map(|own| (own.to_pem(), own.validity())),
        Some(server) => office
            .certify_registered(server, args.renew)
            .await
            .map(|chain| (chain.to_pem(), chain.validity())),
    };
    let member = office.member().clone();
    office.close().await;
    let (pem, validity) = issued.map_err(|error| office_failure(&error, screen))?;
    if let Some(file) = &args.out {
        std::fs::write(file, &pem).map_err(|error| Failure::of(Exit::Failed, &error))?;
    }
    let value = json!({
        "member": member,
        "server": args.server,
        "not_before": validity.not_before().to_string(),
        "not_after": validity.not_after().to_string(),
        "certificates": pem,
        "file": args.out,
    });
    screen.show("member.certificate", value, |screen| {
        let until = validity.not_after().day();
        match &args.out {
            None => print_out(pem.trim_end()),
            Some(file) => {
                let facts: [Fact<'_>; 2] = [("file", &file.display()), ("until", &until)];
                print_out(screen.text(Text::CertificateWritten, &facts));
            }
        }
    });
    Ok(())
}
