//! The command line. Each noun's own arguments are beside its command.

use std::io::{self, IsTerminal};

use clap::{Args, Parser, Subcommand, ValueEnum};
use entente_reason::Lang;

use crate::command::{
    agreement, call, completions, config, demo, doctor, help, join, log, mandate, member, peer,
    registry, sandbox, serve, server, service, status, trust, version,
};
use crate::output::{Format, Screen};

/// Government data exchange: signed, sealed, logged on both sides, and only what an agreement permits.
#[derive(Debug, Parser)]
#[command(name = "entente", version, about, after_help = AFTER, after_long_help = AFTER)]
#[command(
    disable_help_subcommand = true,
    propagate_version = false,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options every command takes.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// How results are written: table, json or ndjson
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORM"
    )]
    #[arg(hide_possible_values = true, help_heading = EVERYWHERE)]
    pub(crate) output: Format,
    /// Language of messages, en or fr; also taken from LC_ALL, LC_MESSAGES or LANG
    #[arg(long, global = true, value_enum, value_name = "LANG")]
    #[arg(hide_possible_values = true, help_heading = EVERYWHERE)]
    pub(crate) lang: Option<LangArg>,
    /// No colours; also when NO_COLOR is set
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) no_color: bool,
    /// No messages: results and errors only
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    pub(crate) quiet: bool,
    /// More messages
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    pub(crate) verbose: bool,
}

/// A language, by its code.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LangArg {
    /// English
    En,
    /// Français
    Fr,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArgs),
    #[command(subcommand)]
    Sandbox(sandbox::SandboxCommand),
    Call(call::CallArgs),
    #[command(subcommand)]
    Log(log::LogCommand),
    #[command(subcommand)]
    Agreement(agreement::AgreementCommand),
    Join(join::JoinArgs),
    #[command(subcommand)]
    Member(member::MemberCommand),
    #[command(subcommand)]
    Server(server::ServerCommand),
    #[command(subcommand)]
    Service(service::ServiceCommand),
    #[command(subcommand)]
    Peer(peer::PeerCommand),
    #[command(subcommand)]
    Registry(registry::RegistryCommand),
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    #[command(subcommand)]
    Mandate(mandate::MandateCommand),
    Serve(serve::ServeArgs),
    Doctor(doctor::DoctorArgs),
    Status(status::StatusArgs),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    Completions(completions::CompletionsArgs),
    Version(version::VersionArgs),
    Help(help::HelpArgs),
}

// === impl Global ===

impl Global {
    pub(crate) fn screen(&self) -> Screen {
        let color = !self.no_color
            && std::env::var_os("NO_COLOR").is_none()
            && io::stdout().is_terminal()
            && io::stderr().is_terminal();
        Screen {
            format: self.output,
            lang: self.lang.map_or_else(lang_of_environment, Lang::from),
            color,
            quiet: self.quiet,
            verbose: self.verbose,
        }
    }
}

/// As `setlocale` reads them: the first that says anything.
fn lang_of_environment() -> Lang {
    let said = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty());
    said.map_or(Lang::En, |tag| Lang::from_tag(&tag))
}

// === impl LangArg ===

impl From<LangArg> for Lang {
    fn from(lang: LangArg) -> Self {
        match lang {
            LangArg::En => Self::En,
            LangArg::Fr => Self::Fr,
        }
    }
}

const EVERYWHERE: &str = "Options of every command";
const AFTER: &str = "\
Examples:
  entente demo                                 see it work
  entente sandbox up                           have a federation to try things on
  entente log verify sandbox/pensions          prove a ledger
  entente doctor -c security-server.yaml       find what is wrong, and what to do
  entente help PURPOSE_NOT_AGREED              what a refusal means (--lang fr : en français)

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by policy, 4 not found,
5 peer or source unavailable, 6 integrity failure, 7 needs a person";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_is_for() {
        fn check(command: &clap::Command) {
            for sub in command.get_subcommands() {
                assert!(
                    sub.is_hide_set() || sub.get_about().is_some(),
                    "{}",
                    sub.get_name()
                );
                check(sub);
            }
        }
        check(&Cli::command());
    }
}
