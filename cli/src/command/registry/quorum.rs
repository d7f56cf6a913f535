//! `entente registry proposals`, `approve`, `withdraw`, `registrars`: what takes several registrars.

use clap::Args;
use entente_central_registry::OPERATOR;
use entente_directory::ProposalRecord;
use entente_keys::{KeyStore, KeyUse};
use entente_sandbox::Registrar;
use entente_signing::{Digest, VerifyingKey};
use serde_json::{Value, json};

use super::super::desk::{DeskArgs, registrar_failure};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// What registrars proposed and is not in effect yet
///
/// Example: entente registry proposals --config registry.yaml
#[derive(Args, Debug)]
pub(crate) struct ProposalsArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

/// Agree to what another registrar proposed
///
/// It takes effect with the last agreement it needs; what asks less of anybody, and other registrars, seven
/// days later. Example:
///   entente registry approve 3f2a91c0… --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct ApproveArgs {
    /// The proposal's hash, as `entente registry proposals` shows it
    proposal: Digest,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Take a proposal off the table; any one registrar may, until it is in effect
///
/// Example: entente registry withdraw 3f2a91c0… --config registry.yaml
#[derive(Args, Debug)]
pub(crate) struct WithdrawArgs {
    /// The proposal's hash, as `entente registry proposals` shows it
    proposal: Digest,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Who the registrars are; with options, propose others
///
/// A newcomer makes a key with --own, at a desk with its own key folder, and gives what it prints to a
/// registrar in office, who proposes it.
#[derive(Args, Debug)]
#[command(after_help = REGISTRARS)]
pub(crate) struct RegistrarsArgs {
    /// Make this desk's registrar key when it is missing, print it, and ask no registry
    #[arg(long, conflicts_with_all = ["add", "remove", "quorum"])]
    own: bool,
    /// Propose a registrar with this key, in hexadecimal digits; may be repeated
    #[arg(long, value_name = "KEY", value_parser = public_key)]
    add: Vec<VerifyingKey>,
    /// Propose to go on without the registrar of this key; may be repeated
    #[arg(long, value_name = "KEY", value_parser = public_key)]
    remove: Vec<VerifyingKey>,
    /// Propose that this many decide
    #[arg(long, value_name = "N")]
    quorum: Option<u32>,
    #[command(flatten)]
    desk: DeskArgs,
}

pub(super) async fn proposals(args: &ProposalsArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let state = reading.newest().await;
    reading.desk.close().await;
    let quorum = state.registry().map_or(1, |registry| registry.quorum);
    let items: Vec<Value> = state
        .proposals()
        .map(|proposal| item(proposal, quorum))
        .collect();
    if items.is_empty() {
        screen.say(Text::NoProposals, &[]);
    }
    let columns = [
        ("proposal", Text::HeadHash),
        ("what", Text::HeadHolds),
        ("proposed", Text::HeadFrom),
        ("agreed", Text::HeadSigned),
        ("effective", Text::HeadUntil),
    ];
    screen.list("registry.proposals", &items, &columns);
    Ok(())
}

fn item(proposal: &ProposalRecord, quorum: u32) -> Value {
    json!({
        "proposal": proposal.change.hash().to_string(),
        "what": proposal.change.kind().as_str(),
        "proposed": proposal.proposed.day().to_string(),
        "agreed": format!("{}/{quorum}", proposal.agreed.len()),
        "effective": proposal.effective.map(|at| at.to_string()),
    })
}

pub(super) async fn approve(args: &ApproveArgs, screen: &Screen) -> Result<(), Failure> {
    let registrar = args.desk.registrar(screen).await?;
    let agreed = registrar.agree(&args.proposal).await;
    let state = registrar.desk().known();
    registrar.close().await;
    let index = agreed.map_err(|error| registrar_failure(&error, screen))?;
    let index = index.map(|accepted| accepted.index);
    let mut proposals = state.proposals();
    let left = proposals.find(|left| left.change.hash() == args.proposal);
    let effective = left.and_then(|left| left.effective);
    let value = json!({
        "proposal": args.proposal.to_string(),
        "changed": index.is_some(),
        "index": index,
        "in_effect": left.is_none(),
        "effective": effective.map(|at| at.to_string()),
    });
    screen.show("registry.approved", value, |screen| {
        print_out(match (index, left.is_some(), effective) {
            (None, ..) => screen.text(Text::ProposalAgreedAlready, &[]),
            (Some(index), false, _) => screen.text(Text::ProposalInEffect, &[("index", &index)]),
            (Some(index), true, None) => screen.text(Text::ProposalNeedsMore, &[("index", &index)]),
            (Some(index), true, Some(at)) => {
                screen.text(Text::ProposalHasNotice, &[("index", &index), ("at", &at)])
            }
        });
    });
    Ok(())
}

pub(super) async fn withdraw(args: &WithdrawArgs, screen: &Screen) -> Result<(), Failure> {
    let registrar = args.desk.registrar(screen).await?;
    let withdrawn = registrar.withdraw(&args.proposal).await;
    registrar.close().await;
    let accepted = withdrawn.map_err(|error| registrar_failure(&error, screen))?;
    let value = json!({ "proposal": args.proposal.to_string(), "index": accepted.index });
    screen.show("registry.withdrawn", value, |screen| {
        print_out(screen.text(Text::ProposalWithdrawn, &[("index", &accepted.index)]));
    });
    Ok(())
}

pub(super) async fn registrars(args: &RegistrarsArgs, screen: &Screen) -> Result<(), Failure> {
    if args.own {
        return own(args, screen);
    }
    if args.add.is_empty() && args.remove.is_empty() && args.quorum.is_none() {
        return show(args, screen).await;
    }
    let registrar = args.desk.registrar(screen).await?;
    let proposed = registrar.propose_registrars(|registrars| {
        registrars.keys.retain(|key| !args.remove.contains(key));
        let added = args.add.iter().filter(|key| !registrars.keys.contains(key));
        let added: Vec<VerifyingKey> = added.cloned().collect();
        registrars.keys.extend(added);
        registrars.quorum = args.quorum.unwrap_or(registrars.quorum);
    });
    let proposed = proposed.await;
    let tabled = registrar.tabled();
    registrar.close().await;
    let index = proposed.map_err(|error| registrar_failure(&error, screen))?;
    let index = index.map(|accepted| accepted.index);
    let value = json!({
        "changed": index.is_some(),
        "index": index,
        "proposal": tabled.map(|hash| hash.to_string()),
    });
    screen.show("registry.registrars.proposed", value, |screen| {
        if index.is_none() {
            print_out(screen.text(Text::RegistrarsAlready, &[]));
        }
    });
    say_tabled(tabled.filter(|_| index.is_some()), screen);
    Ok(())
}

async fn show(args: &RegistrarsArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    reading.desk.close().await;
    let Some(registry) = view.state.registry() else {
        return Ok(());
    };
    let keys = registry.registrars.iter();
    let items: Vec<Value> = keys
        .map(|key| json!({ "id": key.key_id().to_string(), "key": hex::encode(key.spki_der()) }))
        .collect();
    let facts: [Fact<'_>; 2] = [("quorum", &registry.quorum), ("count", &items.len())];
    screen.say(Text::RegistrarsQuorum, &facts);
    let columns = [("id", Text::HeadName), ("key", Text::HeadKey)];
    screen.list("registry.registrars", &items, &columns);
    Ok(())
}

fn own(args: &RegistrarsArgs, screen: &Screen) -> Result<(), Failure> {
    let config = args.desk.registry(screen)?;
    let failed = |error| Failure::of(Exit::Failed, &error);
    let keys = KeyStore::open(config.keys.as_path()).map_err(failed)?;
    let key = keys.load_or_generate(KeyUse::Registrar, OPERATOR);
    let key = hex::encode(key.map_err(failed)?.verifying_key().spki_der());
    screen.show("registry.registrar.key", json!({ "key": key }), |_| {
        print_out(&key);
    });
    Ok(())
}

pub(super) fn public_key(text: &str) -> Result<VerifyingKey, String> {
    let expected = "expected a public key as `entente registry registrars --own` prints it";
    let der = hex::decode(text).map_err(|_| expected.to_owned())?;
    VerifyingKey::from_spki_der(&der).map_err(|_| expected.to_owned())
}

/// Says that what a registrar did is only proposed: it takes others.
pub(crate) fn say_tabled(tabled: Option<Digest>, screen: &Screen) {
    if let Some(hash) = tabled {
        screen.say(Text::ProposalTabled, &[("hash", &hash)]);
    }
}

/// The same, of the desk that just did it.
pub(crate) fn say_tabled_by(registrar: &Registrar, screen: &Screen) {
    say_tabled(registrar.tabled(), screen);
}

const REGISTRARS: &str = "\
Examples:
  entente registry registrars --config registry.yaml
  entente registry registrars --own --config my-desk.yaml
  entente registry registrars --add 3059301306… --quorum 2 --config registry.yaml";
