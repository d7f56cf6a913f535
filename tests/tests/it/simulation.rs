//! A federation under simulated time, network and loss of power; see [`entente_tests::simulation`].
//!
//! More seeds than usual: `ENTENTE_SEEDS=400 cargo nextest run -p entente-tests simulation`.

use anyhow::{Context as _, ensure};
use entente_reason::Reason;
use entente_tests::simulation::{Machine, Op, Pair, Report, ops_of, run};

/// How many runs there are, unless `ENTENTE_SEEDS` says otherwise, and how much happens in each.
const SEEDS: u64 = 16;
const OPS: usize = 50;
/// Into how many tests they are dealt, which run side by side.
const HANDS: u64 = 4;

/// Runs one hand of the seeds.
fn deal(hand: u64) -> anyhow::Result<()> {
    let asked = std::env::var("ENTENTE_SEEDS").ok();
    let asked = asked.map(|text| text.parse()).transpose()?;
    let (mut accepted, mut done) = (0, 0);
    for seed in (hand..asked.unwrap_or(SEEDS)).step_by(HANDS as usize) {
        let ops = ops_of(seed, OPS);
        let report = run(seed, &ops).with_context(|| format!("{ops:#?}"))?;
        accepted += report.accepted;
        done += report.done;
    }
    ensure!(accepted > 0 && done > 0, "nothing happened");
    Ok(())
}

/// Lets these things happen, and what a run ends with.
fn happen(ops: &[Op]) -> anyhow::Result<Report> {
    run(0, ops)
}

fn refused(report: &Report, reason: Reason) -> usize {
    report.refused.get(&reason).copied().unwrap_or_default()
}

#[test]
fn no_call_is_accepted_that_is_denied_whatever_happens_first_hand() -> anyhow::Result<()> {
    deal(0)
}

#[test]
fn no_call_is_accepted_that_is_denied_whatever_happens_second_hand() -> anyhow::Result<()> {
    deal(1)
}

#[test]
fn no_call_is_accepted_that_is_denied_whatever_happens_third_hand() -> anyhow::Result<()> {
    deal(2)
}

#[test]
fn no_call_is_accepted_that_is_denied_whatever_happens_fourth_hand() -> anyhow::Result<()> {
    deal(3)
}

#[test]
fn without_its_registry_a_federation_exchanges_until_the_last_word_is_no_longer_valid()
-> anyhow::Result<()> {
    let report = happen(&[
        Op::Crash(Machine::Federal),
        Op::Wait(3_000),
        Op::Pass(50),
        Op::Wait(3_000),
        Op::Pass(15),
        Op::Wait(3_000),
    ])?;
    ensure!(report.accepted_alone > 0, "{report:?}");
    ensure!(refused(&report, Reason::RegistryStale) > 0, "{report:?}");
    Ok(())
}

#[test]
fn a_provider_refuses_what_the_consumers_server_cannot_know_is_denied() -> anyhow::Result<()> {
    let parted = Op::Cut(Machine::Pensions, Machine::Federal);
    for (denied, reason) in [
        (Op::Suspend(Machine::Pensions), Reason::MemberSuspended),
        (Op::RevokeAgreement(Pair::Home), Reason::AgreementRevoked),
        (
            Op::RevokeSessions(Machine::Pensions),
            Reason::SessionRevoked,
        ),
    ] {
        let report = happen(&[parted, denied, Op::Wait(7_000)]).context(format!("{denied:?}"))?;
        ensure!(refused(&report, reason) > 0, "{denied:?}: {report:?}");
        let is_session = reason == Reason::SessionRevoked;
        ensure!(is_session || report.refused_by_provider > 0, "{report:?}");
    }
    Ok(())
}

#[test]
fn what_is_denied_while_no_witness_can_be_asked_holds_on_sight() -> anyhow::Result<()> {
    let registry = Machine::Federal;
    let report = happen(&[
        Op::Cut(registry, Machine::Province),
        Op::Cut(registry, Machine::Watch),
        Op::Suspend(Machine::Pensions),
        Op::Wait(7_000),
    ])?;
    let known = refused(&report, Reason::MemberSuspended);
    ensure!(known > 0, "{report:?}");
    Ok(())
}

/// A connection that is dead says nothing of it: one that was kept for the next attempt, or was being made when
/// the line was cut, held up what was revoked for as long as half a minute.
#[test]
fn what_was_denied_behind_a_dead_line_holds_five_seconds_after_it_is_mended() -> anyhow::Result<()>
{
    let (server, registry) = (Machine::Pensions, Machine::Federal);
    for parted in [300, 3_100, 6_000, 11_000] {
        let report = happen(&[
            Op::Cut(server, registry),
            Op::SuspendRecognition(registry),
            Op::Wait(parted),
            Op::Mend(server, registry),
            Op::Wait(8_000),
        ])
        .context(format!("parted for {parted} ms"))?;
        let known = refused(&report, Reason::JurisdictionNotRecognised);
        ensure!(known > 0, "{parted}: {report:?}");
    }
    Ok(())
}
