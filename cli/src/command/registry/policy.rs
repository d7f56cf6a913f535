//! `entente registry policy`.

use clap::Args;
use entente_config::DurationText;
use entente_directory::{Kind, Policy, PolicyField, Suite};
use serde_json::{Value, json};
use std::ops::RangeInclusive;

use super::super::desk::{DeskArgs, registrar_failure};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// What the registry asks of everybody; with options, ask for more, as a registrar
///
/// What is not named stays as it is. Asking for less than before is refused. Who cosigns is said with
/// `entente registry witnesses`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PolicyArgs {
    /// How long servers go on without the registry: 1h to 168h
    #[arg(long, value_name = "DURATION", value_parser = validity)]
    validity: Option<u32>,
    /// How old a connected server's copy of the registry may be: 5s to 24h
    #[arg(long, value_name = "DURATION", value_parser = freshness)]
    freshness: Option<u32>,
    /// Up to how many subjects of a message are named one by one: 128 to 500
    #[arg(long, value_name = "N", value_parser = tagged)]
    tagged_subjects: Option<u32>,
    /// How old a server's newest time stamp may be: 1h to 168h, or never to go on without
    #[arg(long, value_name = "DURATION", value_parser = stamped)]
    stamped_within: Option<Stamped>,
    /// How old a server's newest cosigned checkpoint may be: 1m to 24h
    #[arg(long, value_name = "DURATION", value_parser = cosigned)]
    cosigned_within: Option<u32>,
    /// Put a registrar's act under the quorum of them: MemberAdmit, MemberResume, Policy, Recognise or
    /// RecognitionResume; may be repeated
    #[arg(long, value_name = "ACT", value_parser = quorum_act)]
    quorum_act: Vec<Kind>,
    /// Propose it, where it asks for less: the other registrars have to agree, and it has seven days' notice
    #[arg(long)]
    propose: bool,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Hours; none where servers go on without.
#[derive(Clone, Copy, Debug)]
struct Stamped(Option<u32>);

pub(super) async fn run(args: &PolicyArgs, screen: &Screen) -> Result<(), Failure> {
    if args.changes_nothing() {
        return show(args, screen).await;
    }
    let registrar = args.desk.registrar(screen).await?;
    let mut policies = None;
    let changed = registrar.change_policy(args.propose, |policy| {
        let before = policy.clone();
        args.apply(policy);
        policies = Some((before, policy.clone()));
    });
    let changed = changed.await;
    let tabled = registrar.tabled().filter(|_| changed.is_ok());
    registrar.close().await;
    let changed = changed.map_err(|error| registrar_failure(&error, screen))?;
    let index = changed.map(|accepted| accepted.index);
    let Some((before, policy)) = policies else {
        return Ok(());
    };
    let mut value = json(&policy);
    value["changed"] = index.is_some().into();
    value["index"] = index.into();
    value["proposal"] = tabled.map(|hash| hash.to_string()).into();
    screen.show("registry.policy.set", value, |screen| {
        let Some(index) = index else {
            return print_out(screen.text(Text::PolicyAlready, &[]));
        };
        if tabled.is_some() {
            return super::quorum::say_tabled(tabled, screen);
        }
        print_out(screen.text(Text::PolicySet, &[("index", &index)]));
        let before = sentences(&before, screen);
        let said = sentences(&policy, screen).into_iter().zip(before);
        for ((field, sentence), _) in said.filter(|(now, before)| now != before) {
            print_out(format!("  {field:<18}  {sentence}"));
        }
    });
    Ok(())
}

async fn show(args: &PolicyArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    reading.desk.close().await;
    let policy = view.state.policy().cloned().unwrap_or_else(Policy::usual);
    screen.show("registry.policy", json(&policy), |screen| {
        for (field, sentence) in sentences(&policy, screen) {
            print_out(format!("  {field:<18}  {sentence}"));
            let witnesses = match field {
                OWN_WITNESSES => &policy.registry_witnesses,
                WITNESSES => &policy.witnesses,
                _ => continue,
            };
            let witnesses = Some(witnesses).filter(|witnesses| witnesses.fewest() > 0);
            let witnesses = witnesses.map(ToString::to_string).unwrap_or_default();
            for line in witnesses.lines() {
                print_out(format!("  {:<18}    {line}", ""));
            }
        }
    });
    Ok(())
}

/// Why a policy that asks less is not put in force.
pub(crate) fn weaker(fields: &[PolicyField], quorum: u32, screen: &Screen) -> Failure {
    let fields: Vec<&str> = fields.iter().map(|field| option_of(*field)).collect();
    let facts: [Fact<'_>; 1] = [("fields", &fields.join(", "))];
    Failure::new(Exit::Refused, screen.text(Text::PolicyWeaker, &facts)).note(
        Text::LabelDo,
        screen.text(Text::PolicyWeakerDo, &[("quorum", &quorum)]),
    )
}

/// A field as options and listings name it.
const fn option_of(field: PolicyField) -> &'static str {
    match field {
        PolicyField::CosignedWithin => "cosigned-within",
        PolicyField::Freshness => "freshness",
        PolicyField::ProtocolFloor => "protocol-floor",
        PolicyField::QuorumActs => "quorum-act",
        PolicyField::RegistryWitnesses => "registry-witnesses",
        PolicyField::StampedWithin => "stamped-within",
        PolicyField::Suites => "suites",
        PolicyField::TaggedSubjects => "tagged-subjects",
        PolicyField::Validity => "validity",
        PolicyField::WitnessQuorum => "witness-quorum",
        PolicyField::Witnesses => "witnesses",
    }
}

fn quorum_act(text: &str) -> Result<Kind, String> {
    let mut acts = Kind::ALL.iter().filter(|act| act.may_take_quorum());
    let act = acts.find(|act| act.as_str() == text);
    act.copied()
        .ok_or_else(|| "expected the name of an act that may take several registrars".to_owned())
}

/// Every field, in words.
fn sentences(policy: &Policy, screen: &Screen) -> Vec<(&'static str, String)> {
    let hours = |hours: u32| format!("{hours} h");
    let seconds = |seconds: u32| DurationText::from_secs(seconds.into()).to_string();
    let say = |text: Text, value: String| screen.text(text, &[("value", &value)]);
    let stamped = match policy.stamped_within_hours {
        Some(within) => say(Text::PolicyStamped, hours(within)),
        None => screen.text(Text::PolicyStampedNever, &[]),
    };
    let witnesses = match policy.witnesses.fewest() {
        0 => Text::PolicyWitnessesNone,
        _ => Text::PolicyWitnesses,
    };
    use PolicyField as F;
    let (validity, freshness) = (policy.validity_hours, policy.freshness_seconds);
    let cosigned = seconds(policy.cosigned_within_seconds);
    let mut said = vec![
        (F::Validity, say(Text::PolicyValidity, hours(validity))),
        (F::Freshness, say(Text::PolicyFreshness, seconds(freshness))),
        (F::CosignedWithin, say(Text::PolicyCosigned, cosigned)),
        (F::StampedWithin, stamped),
        (
            F::TaggedSubjects,
            say(Text::PolicyTagged, policy.tagged_subjects.to_string()),
        ),
        (
            F::WitnessQuorum,
            say(Text::PolicyQuorum, policy.witness_quorum.to_string()),
        ),
        (
            F::ProtocolFloor,
            say(Text::PolicyProtocol, policy.protocol_floor.to_string()),
        ),
        (
            F::Suites,
            say(Text::PolicySuites, suites(policy).join(", ")),
        ),
    ]
    .into_iter()
    .map(|(field, sentence)| (option_of(field), sentence))
    .collect::<Vec<_>>();
    said.push((
        "purposes",
        say(Text::PolicyPurposes, purposes(policy).join(", ")),
    ));
    said.push((WITNESSES, screen.text(witnesses, &[])));
    let own = match policy.registry_witnesses.fewest() {
        0 => Text::PolicyOwnWitnessesNone,
        _ => Text::PolicyOwnWitnesses,
    };
    said.push((OWN_WITNESSES, screen.text(own, &[])));
    said
}

fn json(policy: &Policy) -> Value {
    json!({
        "validity_hours": policy.validity_hours,
        "freshness_seconds": policy.freshness_seconds,
        "cosigned_within_seconds": policy.cosigned_within_seconds,
        "stamped_within_hours": policy.stamped_within_hours,
        "tagged_subjects": policy.tagged_subjects,
        "witness_quorum": policy.witness_quorum,
        "protocol_floor": policy.protocol_floor,
        "suites": suites(policy),
        "purposes": purposes(policy),
        "witnesses": policy.witnesses.to_string(),
        "quorum_acts": policy.quorum_acts.iter().map(|act| act.as_str()).collect::<Vec<_>>(),
        "registry_witnesses": policy.registry_witnesses.to_string(),
    })
}

fn suites(policy: &Policy) -> Vec<&'static str> {
    let suites = policy.suites.iter();
    let names = suites.map(|suite| match suite {
        Suite::XWing => "X-Wing",
    });
    names.collect()
}

fn purposes(policy: &Policy) -> Vec<String> {
    policy.purposes.iter().map(ToString::to_string).collect()
}

// === impl PolicyArgs ===

impl PolicyArgs {
    const fn changes_nothing(&self) -> bool {
        self.validity.is_none()
            && self.freshness.is_none()
            && self.tagged_subjects.is_none()
            && self.stamped_within.is_none()
            && self.cosigned_within.is_none()
            && self.quorum_act.is_empty()
    }

    fn apply(&self, policy: &mut Policy) {
        let put = |field: &mut u32, value: Option<u32>| *field = value.unwrap_or(*field);
        put(&mut policy.validity_hours, self.validity);
        put(&mut policy.freshness_seconds, self.freshness);
        put(&mut policy.tagged_subjects, self.tagged_subjects);
        put(&mut policy.cosigned_within_seconds, self.cosigned_within);
        if let Some(Stamped(hours)) = self.stamped_within {
            policy.stamped_within_hours = hours;
        }
        policy.quorum_acts.extend(&self.quorum_act);
    }
}

fn validity(text: &str) -> Result<u32, String> {
    whole(text, 3600, Policy::VALIDITY_HOURS).ok_or_else(|| HOURS.to_owned())
}

fn freshness(text: &str) -> Result<u32, String> {
    let seconds = whole(text, 1, Policy::FRESHNESS_SECONDS);
    seconds.ok_or_else(|| "expected whole seconds, 5s to 24h".to_owned())
}

fn cosigned(text: &str) -> Result<u32, String> {
    let seconds = whole(text, 1, Policy::COSIGNED_WITHIN_SECONDS);
    seconds.ok_or_else(|| "expected whole seconds, 1m to 24h".to_owned())
}

fn stamped(text: &str) -> Result<Stamped, String> {
    if text == "never" {
        return Ok(Stamped(None));
    }
    let hours = whole(text, 3600, Policy::STAMPED_WITHIN_HOURS);
    let hours = hours.ok_or_else(|| format!("{HOURS}, or never"))?;
    Ok(Stamped(Some(hours)))
}

fn tagged(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    number
        .filter(|number| Policy::TAGGED_SUBJECTS.contains(number))
        .ok_or_else(|| "expected a number, 128 to 500".to_owned())
}

/// A duration in a whole number of units of so many seconds, within bounds.
fn whole(text: &str, unit: u64, bounds: RangeInclusive<u32>) -> Option<u32> {
    let millis = text.parse::<DurationText>().ok()?.get().as_millis();
    let unit = u128::from(unit) * 1000;
    let units = millis.is_multiple_of(unit).then_some(millis / unit)?;
    u32::try_from(units)
        .ok()
        .filter(|units| bounds.contains(units))
}

const WITNESSES: &str = option_of(PolicyField::Witnesses);
const OWN_WITNESSES: &str = option_of(PolicyField::RegistryWitnesses);

const HOURS: &str = "expected whole hours, 1h to 168h";

const EXAMPLES: &str = "\
Examples:
  entente registry policy
  entente registry policy --validity 12h --tagged-subjects 200 --config registry/registry.yaml";
