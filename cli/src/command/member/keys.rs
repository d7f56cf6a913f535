//! `entente member keys`: list, add, revoke.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use entente_directory::KeyRole;
use entente_identity::MemberId;
use entente_keys::KeyStore;
use entente_reason::Reason;
use serde_json::{Value, json};

use super::super::desk::{DeskArgs, DeskFile, Reading, no_member, office_failure};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Screen, print_out};
use crate::texts::{Fact, Text};

/// A member's keys: list, add, revoke
///
/// An officer key signs agreements, a member key registers servers and services, and the recovery key, kept
/// offline, replaces any of them.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    List(ListArgs),
    Add(AddArgs),
    Revoke(RevokeArgs),
}

/// Each key a member has or had: role, id, from, until
///
/// Example: entente member keys list
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Whose; by default the member of this desk
    member: Option<MemberId>,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Register another key, by the recovery key
///
/// Takes the key of this role in --key, and makes it there when it is missing; it signs that it is held.
/// Afterwards move it into the folder of the member's keys, where the newest in force is used. Example:
///   entente member keys add --role officer --key new-keys --config member.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct AddArgs {
    /// What it is for: officer, member or recovery
    #[arg(long, value_enum, hide_possible_values = true)]
    role: RoleArg,
    /// The folder that holds the key, or will
    #[arg(long, value_name = "DIR")]
    key: PathBuf,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Revoke a key, by the recovery key or by the key itself
///
/// From then on it signs nothing more; what it signed stays. Example:
///   entente member keys revoke 3f2a91c0b7d45e16 --config member.yaml
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct RevokeArgs {
    /// Which, as `entente member keys list` names it
    #[arg(value_name = "KEY-ID")]
    key: String,
    /// Also when it is the last one of its role
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    desk: DeskArgs,
}

/// A role, by its word.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    Officer,
    Member,
    Recovery,
}

pub(super) async fn run(command: KeysCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        KeysCommand::List(args) => list(args, screen).await,
        KeysCommand::Add(args) => add(args, screen).await,
        KeysCommand::Revoke(args) => revoke(&args, screen).await,
    }
}

async fn list(args: ListArgs, screen: &Screen) -> Result<(), Failure> {
    let file = args.desk.find(screen)?;
    let own = match &file {
        DeskFile::Member(file) => Some(file.member.clone()),
        DeskFile::Registry(_) => None,
    };
    let member = args.member.or(own).ok_or_else(|| {
        Failure::new(Exit::Usage, screen.text(Text::KeysWhose, &[]))
            .note(Text::LabelDo, "entente member keys list MEMBER")
    })?;
    let reading = Reading::open(file.anchor()?, &file.copy(), screen).await?;
    let view = reading.view.clone();
    reading.desk.close().await;
    let record = view.state.member(&member);
    let record = record.ok_or_else(|| no_member(&member, Reason::UnknownMember, screen))?;
    let is_table = screen.format == Format::Table;
    let items: Vec<Value> = record
        .keys
        .iter()
        .map(|key| {
            let until = match key.until {
                Some(until) => Value::from(until.to_string()),
                None if is_table => screen.text(Text::KeyInForce, &[]).into(),
                None => Value::Null,
            };
            json!({
                "member": member,
                "role": key.value.role.as_str(),
                "key": key.value.key.key_id().to_string(),
                "sha256": key.value.key.spki_digest().to_string(),
                "from": key.from.to_string(),
                "until": until,
            })
        })
        .collect();
    let columns = [
        ("role", Text::HeadRole),
        ("key", Text::HeadKey),
        ("from", Text::HeadFrom),
        ("until", Text::HeadUntil),
    ];
    screen.list("member.keys", &items, &columns);
    Ok(())
}

async fn add(args: AddArgs, screen: &Screen) -> Result<(), Failure> {
    let folder = KeyStore::open(args.key).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let role = KeyRole::from(args.role);
    let office = args.desk.office(screen).await?;
    let added = office.add_key(role, &folder).await;
    let (member, home) = (office.member().clone(), office.key_folder());
    office.close().await;
    let added = added.map_err(|error| office_failure(&error, screen))?;
    let index = added.accepted.map(|accepted| accepted.index);
    let value = json!({
        "member": member,
        "role": role.as_str(),
        "key": added.key.to_string(),
        "file": added.file,
        "changed": index.is_some(),
        "index": index,
    });
    screen.show("member.key_added", value, |screen| {
        let file = added.file.display();
        let mut facts: Vec<Fact<'_>> = vec![
            ("member", &member),
            ("role", &role),
            ("key", &added.key),
            ("file", &file),
        ];
        let Some(index) = &index else {
            return print_out(screen.text(Text::KeyAddedAlready, &facts));
        };
        facts.push(("index", index));
        print_out(screen.text(Text::KeyAdded, &facts));
        screen.say(Text::KeyAddedNext, &[("folder", &home.display())]);
    });
    Ok(())
}

async fn revoke(args: &RevokeArgs, screen: &Screen) -> Result<(), Failure> {
    let office = args.desk.office(screen).await?;
    let revoked = office.revoke_key(&args.key, args.yes).await;
    let member = office.member().clone();
    office.close().await;
    let revoked = revoked.map_err(|error| office_failure(&error, screen))?;
    let index = revoked.accepted.map(|accepted| accepted.index);
    let value = json!({
        "member": member,
        "role": revoked.role.as_str(),
        "key": revoked.key.to_string(),
        "changed": index.is_some(),
        "index": index,
    });
    screen.show("member.key_revoked", value, |screen| {
        let mut facts: Vec<Fact<'_>> = vec![
            ("member", &member),
            ("role", &revoked.role),
            ("key", &revoked.key),
        ];
        let Some(index) = &index else {
            return print_out(screen.text(Text::KeyRevokedAlready, &facts));
        };
        facts.push(("index", index));
        print_out(screen.text(Text::KeyRevoked, &facts));
    });
    Ok(())
}

// === impl RoleArg ===

impl From<RoleArg> for KeyRole {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Officer => Self::Officer,
            RoleArg::Member => Self::Member,
            RoleArg::Recovery => Self::Recovery,
        }
    }
}
