//! `entente help`: reasons in either language, and commands.

use clap::{Args, CommandFactory};
use entente_reason::{Lang, Reason};
use serde_json::json;

use crate::args::Cli;
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::Text;

/// Explain a reason such as PURPOSE_NOT_AGREED, or a command
///
/// Without a topic, lists the commands. With a reason's code, explains it:
///   entente help PURPOSE_NOT_AGREED
///   entente help PURPOSE_NOT_AGREED --lang fr
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct HelpArgs {
    /// A reason's code, `reasons` for all of them, or the words of a command
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

pub(crate) fn run(args: &HelpArgs, screen: &Screen) -> Result<(), Failure> {
    let words: Vec<&str> = args.topic.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            print_out(Cli::command().render_long_help());
            Ok(())
        }
        ["reasons"] => {
            let items: Vec<_> = Reason::ALL.iter().map(|reason| about(*reason)).collect();
            let text = match screen.lang {
                Lang::En => "en",
                Lang::Fr => "fr",
            };
            let columns = [("reason", Text::HeadReason), (text, Text::HeadMeaning)];
            screen.list("reasons", &items, &columns);
            Ok(())
        }
        [code] if Reason::parse(&code.to_ascii_uppercase()).is_some() => {
            if let Some(reason) = Reason::parse(&code.to_ascii_uppercase()) {
                explain(reason, screen);
            }
            Ok(())
        }
        _ => command_help(&words, screen),
    }
}

fn explain(reason: Reason, screen: &Screen) {
    screen.show("reason", about(reason), |screen| {
        let lang = screen.lang;
        let labelled = |label: Text, text: &str| {
            print_out(format!("  {:<8} {text}", screen.text(label, &[])));
        };
        print_out(screen.bold(reason.code()));
        print_out(format!("  {}", reason.text(lang)));
        labelled(Text::LabelDo, reason.remedy(lang));
        labelled(Text::LabelWho, &screen.text(who(reason.at()), &[]));
        labelled(Text::LabelGrpc, &reason.grpc().0.to_string());
        let exit = (Exit::of(reason) as u8).to_string();
        labelled(Text::LabelExit, &exit);
    });
}

fn about(reason: Reason) -> serde_json::Value {
    json!({
        "reason": reason.code(),
        "at": reason.at().as_str(),
        "grpc": reason.grpc().0,
        "exit": Exit::of(reason) as u8,
        "en": reason.text(Lang::En),
        "en_do": reason.remedy(Lang::En),
        "fr": reason.text(Lang::Fr),
        "fr_do": reason.remedy(Lang::Fr),
    })
}

/// Who must act, in words.
pub(crate) const fn who(at: entente_reason::At) -> Text {
    use entente_reason::At;
    match at {
        At::Adapter => Text::AtAdapter,
        At::Caller => Text::AtCaller,
        At::CallerServer => Text::AtCallerServer,
        At::ProviderServer => Text::AtProviderServer,
        At::Registry => Text::AtRegistry,
        At::Source => Text::AtSource,
    }
}

fn command_help(words: &[&str], screen: &Screen) -> Result<(), Failure> {
    let mut root = Cli::command();
    root.build();
    let mut command = &mut root;
    for word in words {
        command = command.find_subcommand_mut(word).ok_or_else(|| {
            let topic = words.join(" ");
            let codes = Reason::ALL.iter().map(|reason| reason.code());
            let near = entente_config::nearest(&topic.to_ascii_uppercase(), codes);
            let what = screen.text(Text::NoSuchTopic, &[("topic", &topic)]);
            let failure = Failure::new(Exit::NotFound, what);
            match near {
                Some(near) => failure.note(Text::LabelNear, format!("entente help {near}")),
                None => failure.note(Text::LabelMore, "entente help reasons"),
            }
        })?;
    }
    print_out(command.render_long_help());
    Ok(())
}
