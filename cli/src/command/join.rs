//! `entente join`: from an anchor file to a registered security server, in one command.

use std::path::{Path, PathBuf};

use clap::Args;
use entente_config::{DurationText, ListenAddr};
use entente_directory::{Address, MemberClass};
use entente_follow::Anchor;
use entente_identity::{MemberId, ServerId};
use entente_keys::KeyStore;
use entente_sandbox::{MemberFile, Office, Seams};
use entente_security_server::Config;
use serde_json::{Value, json};

use super::desk::{desk_failure, office_failure};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Join a registry: write the files, apply, wait for the registrar, register the security server
///
/// Writes `member.yaml` and `security-server.yaml` into this folder when they are not there yet, makes the
/// keys, applies, prints the fingerprint to read to the registrar, and waits until the member is admitted.
/// Then registers the server. Run again, it goes on where it stopped and does nothing twice.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct JoinArgs {
    /// The registry's anchor file, from a way you trust
    #[arg(long, value_name = "FILE", default_value = "anchor.yaml")]
    anchor: PathBuf,
    /// The member's name in the registry: ca-on/vital-events
    #[arg(long, value_name = "MEMBER")]
    member: Option<MemberId>,
    /// What kind of institution it is
    #[arg(long, value_name = "CLASS", default_value = "ministry")]
    class: MemberClass,
    /// Its name in English; by default its name in the registry
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Its name in French; by default as in English
    #[arg(long, value_name = "TEXT")]
    name_fr: Option<String>,
    /// The system behind the server: the last part of its name
    #[arg(long, value_name = "LABEL", default_value = "main")]
    system: String,
    /// The socket on which the system, or its adapter, answers; without it, the system only asks
    #[arg(long, value_name = "SOCKET")]
    serves: Option<PathBuf>,
    /// Where the server listens to peers, and what is registered
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7110")]
    listen: ListenAddr,
    /// How peers reach it, if not where it listens
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<Address>,
    /// Where its metrics and health are read
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7111")]
    admin: ListenAddr,
    /// How long to wait for the registrar
    #[arg(long, value_name = "DURATION", default_value = "30m")]
    wait: DurationText,
}

/// What came of it.
#[derive(Debug, Default)]
struct Joined {
    fingerprint: Option<String>,
    index: Option<u64>,
}

pub(crate) async fn run(args: JoinArgs, screen: &Screen) -> Result<(), Failure> {
    write_files(&args, screen)?;
    let file = MemberFile::load(Path::new(MEMBER_IN))?;
    let config = Config::load(Path::new(SERVER_IN))?;
    let address = args.address.clone();
    let address = match address {
        Some(address) => address,
        None => address_of(&config, screen)?,
    };
    let office = Office::open(file, &Seams::real(), screen.lang).await;
    let office = office.map_err(|error| office_failure(&error, screen))?;
    let joined = join(&args, &office, &config, address, screen).await;
    let member = office.member().clone();
    office.close().await;
    let joined = joined?;
    let value = value(&member, &config.server, &joined);
    screen.show("joined", value, |screen| {
        let facts: [Fact<'_>; 2] = [("member", &member), ("server", &config.server)];
        let (done, already) = (Text::Joined, Text::JoinedAlready);
        print_out(screen.text(
            if joined.index.is_some() {
                done
            } else {
                already
            },
            &facts,
        ));
        screen.say(Text::JoinedNext, &[("file", &SERVER)]);
    });
    Ok(())
}

fn value(member: &MemberId, server: &ServerId, joined: &Joined) -> Value {
    json!({
        "member": member,
        "server": server,
        "fingerprint": joined.fingerprint,
        "changed": joined.index.is_some(),
        "index": joined.index,
    })
}

/// Admitted, then registered; each unless it is so already.
async fn join(
    args: &JoinArgs,
    office: &Office,
    config: &Config,
    address: Address,
    screen: &Screen,
) -> Result<Joined, Failure> {
    let mut joined = Joined::default();
    let view = office.desk().refresh().await;
    let mut view = view.map_err(|error| desk_failure(&error, screen))?;
    let member = office.member();
    if view.state.member(member).is_none() {
        let applied = office.apply().await;
        let applied = applied.map_err(|error| office_failure(&error, screen))?;
        // Said at once, and not with the result: the registrar has to hear it before there is one.
        screen.say(Text::MemberApplied, &[("member", member)]);
        screen.say(
            Text::JoinFingerprint,
            &[("fingerprint", &applied.fingerprint)],
        );
        screen.say(Text::JoinWaits, &[("member", member)]);
        joined.fingerprint = Some(applied.fingerprint);
        let admitted = tokio::time::timeout(args.wait.get(), office.admitted());
        if admitted.await.is_err() {
            let what = screen.text(Text::JoinNotYet, &[("member", member)]);
            return Err(Failure::new(Exit::NeedsPerson, what)
                .note(Text::LabelDo, screen.text(Text::JoinNotYetDo, &[])));
        }
        view = office.desk().view();
    }
    if view.state.server(&config.server).is_some() {
        return Ok(joined);
    }
    let keys =
        KeyStore::open(config.keys.as_path()).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let systems = config.systems.keys().cloned().collect();
    let in_token = config.server_key.as_ref();
    let registered =
        office.register_server(&config.server, &keys, in_token, systems, vec![address]);
    let registered = registered.await;
    let registered = registered.map_err(|error| office_failure(&error, screen))?;
    joined.index = Some(registered.index);
    Ok(joined)
}

fn address_of(config: &Config, screen: &Screen) -> Result<Address, Failure> {
    let listens = config.peer.listen.to_string();
    listens.parse().map_err(|_| {
        let what = screen.text(Text::AddressNeeded, &[("listen", &listens)]);
        Failure::new(Exit::Usage, what).note(Text::LabelDo, "--address HOST:PORT")
    })
}

/// Writes what is not there yet. What is there is taken as it is.
fn write_files(args: &JoinArgs, screen: &Screen) -> Result<(), Failure> {
    let is_there = [MEMBER, SERVER].map(|file| Path::new(file).exists());
    if is_there == [true, true] {
        return Ok(());
    }
    let Some(member) = &args.member else {
        let what = screen.text(Text::JoinNeeds, &[]);
        return Err(Failure::new(Exit::Usage, what)
            .note(Text::LabelDo, "entente join --member ca-on/vital-events"));
    };
    // Before anything is written: a name that this registry cannot give, or no anchor at all.
    let anchor = Anchor::load(&super::in_folder(&args.anchor))?;
    if member.jurisdiction() != anchor.jurisdiction {
        let facts: [Fact<'_>; 2] = [("member", member), ("jurisdiction", &anchor.jurisdiction)];
        return Err(Failure::new(
            Exit::Usage,
            screen.text(Text::JoinElsewhere, &facts),
        ));
    }
    let system = format!("{member}/{}", args.system);
    if system.parse::<entente_identity::SystemId>().is_err() {
        let what = screen.text(Text::JoinSystem, &[("system", &args.system)]);
        return Err(Failure::new(Exit::Usage, what).note(Text::LabelDo, "--system register"));
    }
    for (file, is_there, text) in [
        (MEMBER, is_there[0], member_yaml(args, member, &system)),
        (SERVER, is_there[1], server_yaml(args, member, &system)),
    ] {
        if !is_there {
            let written = std::fs::write(file, text);
            written.map_err(|error| Failure::new(Exit::Failed, file).because(&error))?;
            screen.say(Text::JoinWrote, &[("file", &file)]);
        }
    }
    Ok(())
}

fn member_yaml(args: &JoinArgs, member: &MemberId, system: &str) -> String {
    let label = member.label().to_owned();
    let en = args.name.as_ref().unwrap_or(&label);
    let fr = args.name_fr.as_ref().unwrap_or(en);
    // A JSON text is a YAML text, whatever is in it.
    let (en, fr, anchor) = (json!(en), json!(fr), json!(args.anchor));
    let callers = match &args.serves {
        Some(_) => String::new(),
        None => format!(
            "# How its systems call their own security server: `entente call` uses this.\n\
             callers:\n  {system}:\n    server: unix:./{}.sock\n",
            args.system
        ),
    };
    format!(
        "# What the commands of this member start from: member, agreement, call.\n\
         member: {member}\n\
         class: {}\n\
         name:\n  en: {en}\n  fr: {fr}\n\
         # Which registry to believe.\n\
         anchor: {anchor}\n\
         # Officer, member and recovery keys. In earnest they are not on the server's machine.\n\
         keys: ./member-keys\n\
         copy: ./member-copy\n\
         {callers}",
        args.class
    )
}

fn server_yaml(args: &JoinArgs, member: &MemberId, system: &str) -> String {
    let anchor = json!(args.anchor);
    let role = match &args.serves {
        Some(socket) => format!(
            "    # Where the system, or its adapter, answers.\n    \
             serves:\n      live: {{ unix: {} }}\n",
            json!(socket)
        ),
        None => format!(
            "    # Whoever can open this socket is this system.\n    \
             callers:\n      - unix: ./{}.sock\n",
            args.system
        ),
    };
    format!(
        "# Start it: entente serve security-server --config {SERVER}\n\
         server: {member}/@ss1\n\
         data: ./data\n\
         keys: ./keys\n\
         anchor: {anchor}\n\
         peer:\n  listen: {}\n\
         admin:\n  listen: {}\n\
         systems:\n  {system}:\n{role}",
        args.listen, args.admin
    )
}

const MEMBER: &str = "member.yaml";
const SERVER: &str = "security-server.yaml";
/// The same, with the folder that relative paths in them are taken from.
const MEMBER_IN: &str = "./member.yaml";
const SERVER_IN: &str = "./security-server.yaml";

const EXAMPLES: &str = "\
Examples:
  entente join --member ca-on/vital-events --system register --serves ./adapter.sock
  entente join --member ca-on/pensions --system benefits --listen 0.0.0.0:7110 --address ss1.example.ca:7110
  entente join                  go on after the registrar has admitted the member";
