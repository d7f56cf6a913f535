//! A whole federation over real files and sockets: what it is built of, what it answers, and what
//! it refuses.
#![allow(
    clippy::unwrap_used,
    reason = "a test's own errors; clippy does not see it in functions beside the tests"
)]

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use entente_adapter_sql::samples::{DECEASED, LIVING};
use entente_contract::{Contract, Direction};
use entente_directory::Standing;
use entente_identity::MethodName;
use entente_reason::Reason;
use entente_sandbox::{
    AGENCIES, AskError, BuildError, DEATHS, Door, FEDERAL, Federation, HEALTH, Layout, Office,
    Options, PROVINCES, Question, Refused, Seams, Step,
};
use entente_signing::Digest;
use serde_json::{Value, json};

const SERVICE: &str = "entente.demo.vitalevents.v1.VitalEvents";

fn lookup_death() -> MethodName {
    format!("{SERVICE}/LookupDeath").parse().unwrap()
}

fn contract() -> Contract {
    let set = entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
    Contract::parse(set, &SERVICE.parse().unwrap()).unwrap()
}

fn question(person: &str) -> Question {
    let json = json!({ "person_number": person }).to_string();
    let body = contract().decode_json(&lookup_death(), Direction::Request, &json);
    Question {
        purpose: Some("PROGRAM_ADMINISTRATION".parse().unwrap()),
        user: Some("u-7f3a".to_owned()),
        case: Some("GIS-2026-5521".to_owned()),
        ..Question::new(AGENCIES[0].system(), lookup_death(), body.unwrap())
    }
}

fn read(body: &Bytes) -> Value {
    let json = contract().encode_json(&lookup_death(), Direction::Response, body);
    json.unwrap()
}

async fn refused(door: &Door, question: &Question) -> Refused {
    match door.ask(question).await {
        Err(AskError::Refused(refused)) => *refused,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_what_was_agreed_and_refuses_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::of(dir.path().join("sandbox"));
    layout.prepare().unwrap();
    let options = Options {
        usual_ports: false,
        ..Options::default()
    };
    let mut steps = Vec::new();
    let federation = Federation::build(&layout, options, &mut |step| steps.push(step))
        .await
        .unwrap();
    let count = |wanted: fn(&Step) -> bool| steps.iter().filter(|step| wanted(step)).count();
    assert_eq!(count(|step| matches!(step, Step::MemberAdmitted { .. })), 3);
    assert_eq!(count(|step| matches!(step, Step::ServerStarted { .. })), 3);
    assert_eq!(
        count(|step| matches!(step, Step::AgreementSigned { active: true, .. })),
        1
    );

    let pensions = federation.door(&AGENCIES[1]).unwrap();
    let answer = pensions.ask(&question(DECEASED)).await.unwrap();
    assert_eq!(
        read(&answer.body),
        json!({ "registered": true, "dateOfDeath": "2026-03-14" }),
        "only the released elements"
    );
    assert!(answer.transaction.is_some() && answer.receipt.is_some());
    let living = pensions.ask(&question(LIVING)).await.unwrap();
    assert_eq!(read(&living.body), json!({}));

    let mut research = question(DECEASED);
    research.purpose = Some("RESEARCH".parse().unwrap());
    let told = refused(&pensions, &research).await;
    assert_eq!(told.reason, Some(Reason::PurposeNotAgreed));
    let mut cause = question(DECEASED);
    cause.elements = ["death.cause".parse().unwrap()].into();
    let told = refused(&pensions, &cause).await;
    assert_eq!(told.reason, Some(Reason::ElementNotAgreed));
    let transport = federation.door(&AGENCIES[2]).unwrap();
    let told = refused(&transport, &question(DECEASED)).await;
    assert_eq!(told.reason, Some(Reason::NoAgreement));

    let office = federation.office(&AGENCIES[0]).await.unwrap();
    let view = office.desk().refresh().await.unwrap();
    let record = Office::find(&view, "DEMO-001").unwrap();
    let agreement = view.agreement(&record.id()).unwrap();
    office.close().await;
    let vital_events = &AGENCIES[0];
    federation
        .revoke(vital_events, &agreement, "SAFEGUARD_BREACH", &mut |_| {})
        .await
        .unwrap();
    let told = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            // In flight while the revocation travels, a call may still be answered.
            if let Err(AskError::Refused(told)) = pensions.ask(&question(DECEASED)).await {
                break *told;
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(told.reason, Some(Reason::AgreementRevoked));

    federation.shutdown().await.unwrap();
    let again = Federation::start(&layout, Seams::real(), &mut |_| {})
        .await
        .unwrap();
    let pensions = again.door(&AGENCIES[1]).unwrap();
    let told = refused(&pensions, &question(DECEASED)).await;
    assert_eq!(
        told.reason,
        Some(Reason::AgreementRevoked),
        "also after a restart"
    );
    again.shutdown().await.unwrap();
}

/// Asks until what a registrar did has come to the servers.
async fn until(door: &Door, question: &Question, reason: Option<Reason>) {
    let ended = async || match door.ask(question).await {
        Ok(_) => None,
        Err(AskError::Refused(told)) => told.reason,
        Err(other) => panic!("neither answered nor refused: {other:?}"),
    };
    let came = async {
        while ended().await != reason {
            tokio::task::yield_now().await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(30), came).await;
    within.unwrap_or_else(|_| panic!("never {reason:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_one_recognition_stops_that_pair_of_three_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::of(dir.path().join("sandbox"));
    layout.prepare().unwrap();
    let options = Options {
        usual_ports: false,
        ..Options::default()
    };
    let mut federation = Federation::build(&layout, options, &mut |_| {})
        .await
        .unwrap();
    assert!(layout.realms() == [FEDERAL] && federation.server(&HEALTH).is_none());
    federation.add_provinces(&mut |_| {}).await.unwrap();
    assert_eq!(layout.realms()[1..], PROVINCES);
    let (home, abroad) = (
        question(DECEASED),
        Question {
            to: DEATHS.system(),
            ..question(DECEASED)
        },
    );
    let unrecognised = Some(Reason::JurisdictionNotRecognised);
    let health = federation.door(&HEALTH).unwrap();
    let pensions = federation.door(&AGENCIES[1]).unwrap();
    until(&health, &home, None).await;
    until(&pensions, &abroad, None).await;
    // The first jurisdiction recognises both provinces. That makes neither known to the other.
    let told = refused(&health, &abroad).await;
    assert_eq!(told.reason, unrecognised);
    federation.join_provinces(&mut |_| {}).await.unwrap();
    until(&health, &abroad, None).await;

    let [qc, _] = &PROVINCES;
    let pair = (&FEDERAL, qc);
    federation
        .stand(pair, Standing::Suspended, None, &mut |_| {})
        .await
        .unwrap();
    until(&health, &home, unrecognised).await;
    health.ask(&abroad).await.unwrap();
    pensions.ask(&abroad).await.unwrap();
    pensions.ask(&home).await.unwrap();

    federation.shutdown().await.unwrap();
    let again = Federation::start(&layout, Seams::real(), &mut |_| {})
        .await
        .unwrap();
    let health = again.door(&HEALTH).unwrap();
    until(&health, &home, unrecognised).await;
    until(&health, &abroad, None).await;
    again
        .stand(pair, Standing::Active, None, &mut |_| {})
        .await
        .unwrap();
    until(&health, &home, None).await;
    again.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_not_recognised_by_an_anchor_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::of(dir.path().join("sandbox"));
    layout.prepare().unwrap();
    let options = Options {
        usual_ports: false,
        ..Options::default()
    };
    let mut federation = Federation::build(&layout, options, &mut |_| {})
        .await
        .unwrap();
    let other = Digest::of(b"another first change").to_string();
    let (mut genesis, mut recognised) = (String::new(), 0);
    let added = federation
        .add_provinces(&mut |step| match step {
            Step::RegistryStarted {
                genesis: stated, ..
            } => genesis = stated,
            Step::ServerRegistered { server, .. } if server == HEALTH.server() => {
                let anchor = fs::read_to_string(layout.anchor(&PROVINCES[0])).unwrap();
                assert!(anchor.contains(&genesis));
                fs::write(
                    layout.anchor(&PROVINCES[0]),
                    anchor.replace(&genesis, &other),
                )
                .unwrap();
            }
            Step::RegistryRecognised { .. } => recognised += 1,
            _ => {}
        })
        .await;
    assert!(
        matches!(added, Err(BuildError::FingerprintDiffers { .. })),
        "{added:?}"
    );
    assert!(recognised == 0 && layout.realms() == [FEDERAL]);
    federation.shutdown().await.unwrap();
}
