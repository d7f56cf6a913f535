//! `entente agreement suspend` and `resume`.

use clap::Args;
use entente_agreement::{AgreementId, lifecycle};
use entente_sandbox::{Office, OfficeError, Seams};
use serde_json::json;

use super::super::desk::{DeskArgs, desk_failure, office_failure, reason_code};
use super::in_words;
use crate::exit::Failure;
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Suspend an agreement, as a party; the next call under it is refused within 5 seconds
///
/// It is in force again once each member that suspended it has resumed it. A body that the agreement names
/// for oversight may do it, too. Example:
///   entente agreement suspend DEMO-001 --reason SAFEGUARD_BREACH
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct SuspendArgs {
    #[command(flatten)]
    act: ActArgs,
}

/// Lift this member's suspension of an agreement
///
/// Example: entente agreement resume DEMO-001
#[derive(Args, Debug)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Args, Debug)]
struct ActArgs {
    /// Its name (the newest version in force), or its hash
    name: String,
    /// Why, as a code: public for ever, so never a name
    #[arg(long, value_name = "CODE", value_parser = reason_code)]
    reason: Option<String>,
    #[command(flatten)]
    desk: DeskArgs,
}

pub(super) async fn suspend(args: SuspendArgs, screen: &Screen) -> Result<(), Failure> {
    halt(args.act, true, screen).await
}

pub(super) async fn resume(args: ResumeArgs, screen: &Screen) -> Result<(), Failure> {
    halt(args.act, false, screen).await
}

async fn halt(act: ActArgs, suspends: bool, screen: &Screen) -> Result<(), Failure> {
    let office = act.desk.office(screen).await?;
    let refreshed = office.desk().refresh().await;
    let view = refreshed.map_err(|error| desk_failure(&error, screen))?;
    let found = office.find_in_force(&view, &act.name);
    let found = found.ok_or_else(|| office_failure(&OfficeError::UnknownAgreement, screen))?;
    let agreement = found.id();
    let done = if suspends {
        office.suspend(agreement, act.reason).await
    } else {
        office.resume(agreement, act.reason).await
    };
    let index = done.map(|accepted| accepted.map(|accepted| accepted.index));
    let shown = index.map(|index| show(&office, agreement, suspends, index, screen));
    office.close().await;
    shown.map_err(|error| office_failure(&error, screen))
}

fn show(
    office: &Office,
    agreement: AgreementId,
    suspends: bool,
    index: Option<u64>,
    screen: &Screen,
) {
    let view = office.desk().view();
    let Some(record) = view.state.agreement(&agreement) else {
        return;
    };
    let now = Seams::real().clock.now();
    let state = view.state.agreement_state(record, now);
    let terms = &record.terms;
    let name = terms.name.as_str();
    let value = json!({
        "name": name,
        "version": terms.version,
        "hash": agreement.to_string(),
        "by": office.member(),
        "changed": index.is_some(),
        "index": index,
        "state": state.as_str(),
        "suspended_by": record.suspended_by[..],
    });
    let (kind, done, already) = if suspends {
        (
            "agreement.suspended",
            Text::AgreementSuspended,
            Text::AgreementSuspendedAlready,
        )
    } else {
        (
            "agreement.resumed",
            Text::AgreementResumed,
            Text::AgreementResumedAlready,
        )
    };
    screen.show(kind, value, |screen| {
        let mut facts: Vec<Fact<'_>> = vec![
            ("member", office.member()),
            ("name", &name),
            ("version", &terms.version),
        ];
        let Some(index) = &index else {
            return print_out(screen.text(already, &facts));
        };
        facts.push(("index", index));
        print_out(screen.text(done, &facts));
        if suspends {
            return;
        }
        let holders: Vec<&str> = record.suspended_by.iter().map(|m| m.as_str()).collect();
        if state == lifecycle::State::Suspended {
            print_out(screen.text(Text::AgreementHeld, &[("members", &holders.join(", "))]));
        } else {
            print_out(screen.text(Text::AgreementIs, &[("state", &in_words(state, screen))]));
        }
    });
}
