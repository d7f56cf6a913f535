//! `entente registry ledger-key`: another key for the registry's checkpoints.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use entente_central_registry::{Config, LedgerKeys};
use entente_directory::{Change, LedgerKey, ProposalRecord, RegistryRecord, State};
use entente_keys::{KeyStore, KeyStoreError};
use entente_ledger::note::NoteKey;
use entente_signing::{Digest, VerifyingKey};
use serde_json::{Value, json};

use super::super::desk::{DeskArgs, Reading, desk_failure, reason_code, registrar_failure};
use super::quorum::say_tabled;
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Replace the key that signs the registry's checkpoints: planned, lost or stolen
///
/// It takes the quorum of the registrars, and no notice. The new key signs from the entry on that completes the
/// quorum; the old one signs nothing from there on, whoever has it. Followers, mirrors, standbys and other
/// jurisdictions go on by themselves, whichever key their anchors name.
///
/// When the key is lost, make the next one on the registry's server, start the registry, and go on as planned.
/// Until the quorum is complete it signs nothing, and takes only what denies and what puts the new key in office.
#[derive(Debug, Subcommand)]
#[command(after_help = STEPS)]
pub(crate) enum LedgerKeyCommand {
    Show(ShowArgs),
    New(NewArgs),
    Offer(OfferArgs),
    Propose(ProposeArgs),
    Anchor(AnchorArgs),
}

/// The key in office, those before it, those proposed, and the next one in this key folder
///
/// A registrar compares the fingerprint of a proposed key with what the registry's operator reads
/// from `ledger-key new`, before agreeing with `entente registry approve`. Example:
///   entente registry ledger-key show --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

/// Make the next key beside the present one, and say its fingerprint
///
/// On the registry's server; the registry need not run, nor have its present key. Said again, it
/// is the same key, until that is in office. Example:
///   entente registry ledger-key new --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct NewArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

/// Print the next key with the proof that it is held here, for a registrar who proposes it elsewhere
///
/// On the registry's server, where no registrar's key should lie. Example:
///   entente registry ledger-key offer --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct OfferArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

/// Propose the next key, as a registrar; or agree to it, where another proposed it
///
/// With --offer, the one that `ledger-key offer` printed on the registry's server; otherwise the
/// one in this desk's key folder. Examples:
///   entente registry ledger-key propose --config registry.yaml
///   entente registry ledger-key propose --offer 302a…:9f31… --reason KEY_LOST --config desk.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct ProposeArgs {
    /// What `entente registry ledger-key offer` printed
    #[arg(long, value_name = "OFFER", value_parser = offer)]
    offer: Option<Offered>,
    /// Why, as a code: it stays in the registry for ever
    #[arg(long, value_name = "CODE", value_parser = reason_code)]
    reason: Option<String>,
    #[command(flatten)]
    desk: DeskArgs,
}

/// The anchor, naming the key in office: for newcomers
///
/// Whoever follows already needs no other anchor. A newcomer with the new one cannot be shown the
/// ledger as it was before the pivot by whoever has the old key. Example:
///   entente registry ledger-key anchor --to anchor.yaml --config registry.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct AnchorArgs {
    /// The file to write; otherwise it is printed
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    desk: DeskArgs,
}

/// A key, and the proof that somebody holds it.
#[derive(Clone, Debug)]
struct Offered {
    key: VerifyingKey,
    proof: [u8; 64],
}

pub(super) async fn run(command: LedgerKeyCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        LedgerKeyCommand::Show(args) => show(&args.desk, screen).await,
        LedgerKeyCommand::New(args) => new(&args.desk, screen).await,
        LedgerKeyCommand::Offer(args) => print_offer(&args.desk, screen).await,
        LedgerKeyCommand::Propose(args) => propose(args, screen).await,
        LedgerKeyCommand::Anchor(args) => anchor(args, screen).await,
    }
}

async fn show(desk: &DeskArgs, screen: &Screen) -> Result<(), Failure> {
    let config = desk.registry(screen)?;
    let reading = desk.read(screen).await?;
    let state = reading.newest().await;
    reading.desk.close().await;
    let Some(registry) = state.registry() else {
        return Ok(());
    };
    let keys = KeyStore::existing(config.keys.as_path()).and_then(|store| LedgerKeys::load(&store));
    // Most registrars' desks hold none, and need none.
    let keys = keys.ok();
    let is_here = |key: &VerifyingKey| keys.as_ref().is_some_and(|keys| keys.signer(key).is_some());
    let item = |standing: &str, key: &VerifyingKey| {
        json!({
            "standing": standing,
            "fingerprint": key.spki_digest().to_string(),
            "key": named(registry, key).map(|key| key.to_string()),
            "here": is_here(key),
        })
    };
    let former = registry.former_ledgers.iter();
    let mut items: Vec<Value> = former
        .map(|former| with(item("former", &former.key), "until", json!(former.until)))
        .collect();
    items.push(item("in_office", &registry.ledger));
    let mut is_proposed = false;
    let next = keys.as_ref().and_then(|keys| keys.successor(registry));
    for (tabled, body) in proposed(&state) {
        is_proposed |= next.is_some_and(|next| *next.verifying_key() == body.key);
        let of = with(
            item("proposed", &body.key),
            "agreed",
            json!(agreed(tabled, registry)),
        );
        items.push(with(
            of,
            "proposal",
            json!(tabled.change.hash().to_string()),
        ));
    }
    if let Some(next) = next.filter(|_| !is_proposed) {
        items.push(item("next", next.verifying_key()));
    }
    let columns = [
        ("standing", Text::HeadStanding),
        ("fingerprint", Text::HeadFingerprint),
        ("until", Text::HeadUntil),
        ("here", Text::HeadHere),
        ("agreed", Text::HeadSigned),
        ("proposal", Text::HeadHash),
    ];
    screen.list("registry.ledger_keys", &items, &columns);
    Ok(())
}

fn proposed(state: &State) -> impl Iterator<Item = (&ProposalRecord, &LedgerKey)> {
    let tabled = state.proposals();
    tabled.filter_map(|tabled| match tabled.change.change() {
        Change::LedgerKey(body) => Some((tabled, body)),
        _ => None,
    })
}

fn agreed(tabled: &ProposalRecord, registry: &RegistryRecord) -> String {
    format!("{}/{}", tabled.agreed.len(), registry.quorum)
}

fn with(mut item: Value, name: &str, value: Value) -> Value {
    item[name] = value;
    item
}

fn named(registry: &RegistryRecord, key: &VerifyingKey) -> Option<NoteKey> {
    NoteKey::new(&registry.origin, key.clone()).ok()
}

async fn new(desk: &DeskArgs, screen: &Screen) -> Result<(), Failure> {
    let config = desk.registry(screen)?;
    // What this desk knows of the registry, which may be down: it says which keys were in office.
    let state = match desk.find(screen)?.anchor() {
        Ok(anchor) => known(anchor, desk, screen).await,
        Err(_) => None,
    };
    let store = KeyStore::open(config.keys.as_path()).map_err(|error| unusable(&error))?;
    let registry = state.as_ref().and_then(State::registry);
    let next = LedgerKeys::prepare(&store, registry).map_err(|error| unusable(&error))?;
    let fingerprint = next.verifying_key().spki_digest();
    let label = LedgerKeys::load(&store).map_err(|error| unusable(&error))?;
    let label = label.label_of(next.verifying_key()).unwrap_or_default();
    let value = json!({
        "fingerprint": fingerprint.to_string(),
        "label": label,
        "keys": config.keys.as_path(),
    });
    screen.show("registry.ledger_key.new", value, |screen| {
        let facts: [Fact<'_>; 3] = [
            ("keys", &config.keys),
            ("label", &label),
            ("fingerprint", &fingerprint),
        ];
        print_out(screen.text(Text::LedgerKeyMade, &facts));
        screen.say(Text::LedgerKeyMadeNext, &[]);
    });
    Ok(())
}

/// The registry as this desk's copy has it, without a word when there is none.
async fn known(anchor: entente_follow::Anchor, desk: &DeskArgs, screen: &Screen) -> Option<State> {
    let copy = desk.find(screen).ok()?.copy();
    let reading = Reading::open(anchor, &copy, screen).await.ok()?;
    let state = reading.newest().await;
    reading.desk.close().await;
    Some(state)
}

async fn print_offer(desk: &DeskArgs, screen: &Screen) -> Result<(), Failure> {
    let config = desk.registry(screen)?;
    let reading = desk.read(screen).await?;
    let state = reading.newest().await;
    reading.desk.close().await;
    let body = own_offer(&config, &state, None, screen)?;
    let offer = format!(
        "{}:{}",
        hex::encode(body.key.spki_der()),
        hex::encode(body.proof)
    );
    let fingerprint = body.fingerprint().to_string();
    let value = json!({ "offer": offer, "fingerprint": fingerprint });
    screen.show("registry.ledger_key.offer", value, |screen| {
        print_out(&offer);
        screen.say(Text::LedgerKeyOffered, &[("fingerprint", &fingerprint)]);
    });
    Ok(())
}

/// The next key of this desk's key folder, with its proof.
fn own_offer(
    config: &Config,
    state: &State,
    reason: Option<String>,
    screen: &Screen,
) -> Result<LedgerKey, Failure> {
    let store = KeyStore::existing(config.keys.as_path()).map_err(|error| unusable(&error))?;
    let keys = LedgerKeys::load(&store);
    let next = match (&keys, state.registry()) {
        (Ok(keys), Some(registry)) => keys.successor(registry).map(|next| (registry, next)),
        _ => None,
    };
    let (registry, next) = next.ok_or_else(|| {
        let what = screen.text(Text::LedgerKeyNone, &[("keys", &config.keys)]);
        Failure::new(Exit::NotFound, what).note(Text::LabelDo, "entente registry ledger-key new")
    })?;
    let proven = LedgerKey::prove(registry, &**next, reason);
    proven.map_err(|error| Failure::of(Exit::Failed, &error))
}

async fn propose(args: ProposeArgs, screen: &Screen) -> Result<(), Failure> {
    let config = args.desk.registry(screen)?;
    let registrar = args.desk.registrar(screen).await?;
    let state = registrar.desk().newest().await;
    let state = state.map_err(|error| desk_failure(&error, screen))?;
    let body = match args.offer {
        Some(Offered { key, proof }) => LedgerKey {
            key,
            proof,
            reason: args.reason,
        },
        None => own_offer(&config, &state, args.reason, screen)?,
    };
    let (key, fingerprint) = (body.key.clone(), body.fingerprint());
    let proposed = registrar.propose_ledger_key(body).await;
    let state = registrar.desk().known();
    registrar.close().await;
    let index = proposed.map_err(|error| registrar_failure(&error, screen))?;
    let index = index.map(|accepted| accepted.index);
    let is_in_office = state
        .registry()
        .is_some_and(|registry| registry.ledger == key);
    let tabled = self::proposed(&state).find(|(_, body)| body.key == key);
    let tabled: Option<Digest> = tabled.map(|(tabled, _)| tabled.change.hash());
    let value = json!({
        "changed": index.is_some(),
        "index": index,
        "fingerprint": fingerprint.to_string(),
        "proposal": tabled.map(|hash| hash.to_string()),
        "in_effect": is_in_office,
    });
    screen.show("registry.ledger_key.proposed", value, |screen| {
        print_out(match index {
            None => screen.text(Text::LedgerKeyAlready, &[]),
            Some(index) if is_in_office => {
                let facts: [Fact<'_>; 2] = [("index", &index), ("fingerprint", &fingerprint)];
                screen.text(Text::LedgerKeyInOffice, &facts)
            }
            Some(index) => {
                let facts: [Fact<'_>; 2] = [("index", &index), ("fingerprint", &fingerprint)];
                screen.text(Text::LedgerKeyProposed, &facts)
            }
        });
    });
    say_tabled(tabled, screen);
    Ok(())
}

async fn anchor(args: AnchorArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let mut anchor = reading.desk.anchor().clone();
    anchor.ledger = reading.view.ledger_key().unwrap_or(anchor.ledger);
    reading.desk.close().await;
    let text = anchor.to_string();
    if let Some(file) = &args.to {
        let file = super::super::in_folder(file);
        std::fs::write(&file, &text).map_err(|error| {
            Failure::new(Exit::Failed, file.display().to_string()).because(&error)
        })?;
    }
    let value = json!({
        "file": args.to,
        "ledger": anchor.ledger.to_string(),
        "anchor": text,
    });
    screen.show("registry.ledger_key.anchor", value, |screen| {
        match &args.to {
            None => print_out(text.trim_end()),
            Some(file) => {
                let facts: [Fact<'_>; 2] = [("file", &file.display()), ("key", &anchor.ledger)];
                print_out(screen.text(Text::LedgerKeyAnchor, &facts));
            }
        }
    });
    Ok(())
}

fn offer(text: &str) -> Result<Offered, String> {
    let expected = || "expected what `entente registry ledger-key offer` prints".to_owned();
    let (key, proof) = text.split_once(':').ok_or_else(expected)?;
    let key = hex::decode(key).map_err(|_| expected())?;
    let proof = hex::decode(proof).map_err(|_| expected())?;
    Ok(Offered {
        key: VerifyingKey::from_spki_der(&key).map_err(|_| expected())?,
        proof: proof.try_into().map_err(|_| expected())?,
    })
}

fn unusable(error: &KeyStoreError) -> Failure {
    Failure::of(Exit::Failed, error)
}

const STEPS: &str = "\
On the registry's server:
  entente registry ledger-key new --config registry.yaml
One registrar proposes it, each of the others compares the fingerprint and agrees:
  entente registry ledger-key propose --config registry.yaml
  entente registry ledger-key show --config desk.yaml
  entente registry approve 3f2a91c0… --config desk.yaml";
