//! How a membership stands: suspended, resumed, ended, each by a registrar.

use clap::Args;
use entente_agreement::lifecycle;
use entente_directory::Standing;
use entente_follow::{Accepted, View};
use entente_identity::MemberId;
use entente_sandbox::{Registrar, Seams};
use serde_json::json;

use super::super::desk::{DeskArgs, desk_failure, reason_code, registrar_failure};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Suspend a member, as a registrar
///
/// Its calls, and those to it, are refused with MEMBER_SUSPENDED within 5 seconds on every connected
/// server, until it is resumed. It can still revoke and suspend what is its own.
#[derive(Args, Debug)]
#[command(after_help = SUSPEND)]
pub(crate) struct SuspendArgs {
    #[command(flatten)]
    act: ActArgs,
}

/// Lift a member's suspension, as a registrar
///
/// Example: entente member resume ca-demo/pensions --config registry.yaml
#[derive(Args, Debug)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    act: ActArgs,
}

/// End a membership for ever, as a registrar
///
/// The name is not given again, and nothing passes under its agreements any more. Without --yes, only says
/// what would end.
#[derive(Args, Debug)]
#[command(after_help = END)]
pub(crate) struct EndArgs {
    #[command(flatten)]
    act: ActArgs,
    /// End it, and do not only say what would end
    #[arg(long)]
    yes: bool,
}

#[derive(Args, Debug)]
struct ActArgs {
    /// Which member
    member: MemberId,
    /// Why, as a code: public for ever, so never a name
    #[arg(long, value_name = "CODE", value_parser = reason_code)]
    reason: Option<String>,
    #[command(flatten)]
    desk: DeskArgs,
}

pub(super) async fn suspend(args: SuspendArgs, screen: &Screen) -> Result<(), Failure> {
    let registrar = args.act.desk.registrar(screen).await?;
    stand(registrar, args.act, Standing::Suspended, screen).await
}

pub(super) async fn resume(args: ResumeArgs, screen: &Screen) -> Result<(), Failure> {
    let registrar = args.act.desk.registrar(screen).await?;
    stand(registrar, args.act, Standing::Active, screen).await
}

pub(super) async fn end(args: EndArgs, screen: &Screen) -> Result<(), Failure> {
    let registrar = args.act.desk.registrar(screen).await?;
    if !args.yes {
        let view = registrar.desk().refresh().await;
        let view = view.map_err(|error| desk_failure(&error, screen))?;
        let held = view.state.standing(&args.act.member);
        if matches!(held, Some(Standing::Active | Standing::Suspended)) {
            registrar.close().await;
            return Err(ask(&view, &args.act.member, screen));
        }
    }
    stand(registrar, args.act, Standing::Ended, screen).await
}

/// What would end with it.
fn ask(view: &View, member: &MemberId, screen: &Screen) -> Failure {
    let now = Seams::real().clock.now();
    let state = &view.state;
    let servers = state.servers().filter(|server| server.member() == *member);
    let in_force = state.agreements().filter(|record| {
        let is_party = record.terms.has_party(member);
        is_party && state.agreement_state(record, now) == lifecycle::State::Active
    });
    let (servers, agreements) = (servers.count(), in_force.count());
    let facts: [Fact<'_>; 3] = [
        ("member", member),
        ("servers", &servers),
        ("agreements", &agreements),
    ];
    Failure::new(Exit::NeedsPerson, screen.text(Text::MemberEndAsk, &facts))
        .note(Text::LabelDo, screen.text(Text::MemberEndAskDo, &[]))
}

async fn stand(
    registrar: Registrar,
    act: ActArgs,
    standing: Standing,
    screen: &Screen,
) -> Result<(), Failure> {
    let stood = registrar.stand(&act.member, standing, act.reason).await;
    if stood.is_ok() {
        super::super::registry::say_tabled_by(&registrar, screen);
    }
    registrar.close().await;
    let stood = stood.map_err(|error| registrar_failure(&error, screen))?;
    show(&act.member, standing, stood.as_ref(), screen);
    Ok(())
}

fn show(member: &MemberId, standing: Standing, stood: Option<&Accepted>, screen: &Screen) {
    let (kind, done, already) = match standing {
        Standing::Active => (
            "member.resumed",
            Text::MemberResumed,
            Text::MemberResumedAlready,
        ),
        Standing::Suspended => (
            "member.suspended",
            Text::MemberSuspended,
            Text::MemberSuspendedAlready,
        ),
        Standing::Ended => ("member.ended", Text::MemberEnded, Text::MemberEndedAlready),
    };
    let index = stood.map(|accepted| accepted.index);
    let value = json!({ "member": member, "changed": index.is_some(), "index": index });
    screen.show(kind, value, |screen| {
        print_out(match index {
            Some(index) => screen.text(done, &[("member", member), ("index", &index)]),
            None => screen.text(already, &[("member", member)]),
        });
    });
}

const SUSPEND: &str = "\
Example:
  entente member suspend ca-demo/pensions --reason SAFEGUARD_BREACH --config registry.yaml";
const END: &str = "\
Example:
  entente member end ca-demo/pensions --reason MERGED --yes --config registry.yaml";
