//! What the registry refuses, with which reason, in which language.

use bytes::Bytes;
use entente_directory::{Application, Author, Change, Policy, ServicePublish};
use entente_follow::author::{AuthorError, Pen};
use entente_follow::{ApplicationStanding, RegistryError};
use entente_reason::{Lang, Reason};
use entente_signing::{Digest, P256Key, Signer};

use crate::town::{Member, SERVICE, Town, admission, caught_up};

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_are_not_what_they_must_be() {
    let town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let vital = Member::vital();
    town.admit(&directory, &vital).await;
    let client = town.client();
    let reason_of = async |change: Bytes, blobs: Vec<Bytes>| {
        client.submit(change, blobs).await.unwrap_err().reason()
    };
    assert_eq!(
        reason_of("rubbish".into(), vec![]).await,
        Reason::ChangeMalformed
    );
    assert_eq!(
        reason_of(vec![0; 17 << 10].into(), vec![]).await,
        Reason::ChangeTooLarge
    );

    let state = &directory.view().state;
    let sign = |signer: &dyn Signer, author, change: &Change| {
        let mut pen = Pen::new(state, author, signer, town.now()).unwrap();
        pen.sign(change).unwrap().bytes().clone()
    };
    let policy = Change::Policy(Policy::usual());
    let impostor = P256Key::generate().unwrap();
    let by_impostor = sign(&impostor, Author::Registrar, &policy);
    assert_eq!(reason_of(by_impostor, vec![]).await, Reason::KeyUnknown);
    let by_member = sign(&vital.member, vital.author(), &policy);
    assert_eq!(reason_of(by_member, vec![]).await, Reason::AuthorNotAllowed);

    let mut skipping = Pen::new(state, Author::Registrar, &*town.registrar, town.now()).unwrap();
    skipping.sign(&policy).unwrap();
    let second = skipping.sign(&policy).unwrap().bytes().clone();
    assert_eq!(reason_of(second, vec![]).await, Reason::ChangeOutOfOrder);

    let good = sign(&*town.registrar, Author::Registrar, &policy);
    let mut altered = good.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(
        reason_of(altered.into(), vec![]).await,
        Reason::SignatureInvalid
    );
    let unnamed = reason_of(good.clone(), vec!["blob".into()]).await;
    assert_eq!(unnamed, Reason::BlobMismatch);

    let publish = Change::ServicePublish(ServicePublish {
        service: SERVICE.parse().unwrap(),
        systems: [vital.system()].into(),
        descriptor_set: Digest::of(entente_proto::VITAL_EVENTS_DESCRIPTOR_SET),
        version: 1,
    });
    let publish = sign(&vital.member, vital.author(), &publish);
    assert_eq!(reason_of(publish, vec![]).await, Reason::BlobMissing);

    town.clock.advance(std::time::Duration::from_secs(2 * 3600));
    assert_eq!(reason_of(good, vec![]).await, Reason::ChangeExpired);
    assert_eq!(town.running().size(), 2, "none of it was logged");
    let blobs = std::fs::read_dir(town.config.data.as_path().join("blob")).unwrap();
    assert_eq!(blobs.count(), 0, "nor kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_that_no_registrar_could_admit() {
    let town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let vital = Member::vital();
    town.admit(&directory, &vital).await;
    let client = town.client();
    let reason_of =
        async |application: Bytes| client.apply(application).await.unwrap_err().reason();
    assert_eq!(reason_of("rubbish".into()).await, Reason::ChangeMalformed);
    assert_eq!(
        reason_of(Member::vital().application()).await,
        Reason::NameTaken
    );
    let elsewhere = Member::new("ca-on/health", "cards").application();
    assert_eq!(reason_of(elsewhere).await, Reason::NameNotOurs);
    let mut altered = Member::pensions().application().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(reason_of(altered.into()).await, Reason::SignatureInvalid);
    let mut borrowed = Member::pensions();
    borrowed.recovery = P256Key::from_pkcs8_der(&vital.recovery.to_pkcs8_der().unwrap()).unwrap();
    assert_eq!(reason_of(borrowed.application()).await, Reason::KeyReused);

    let unknown = Digest::of(b"no such application");
    let standing = client.check_application(&unknown).await.unwrap();
    assert_eq!(standing, ApplicationStanding::Unknown);
    let view = caught_up(&directory, 2).await;
    let admit = town
        .registrar_pen(&view)
        .sign(&admission(&Member::pensions().application()));
    let admit = admit.unwrap().bytes().clone();
    let refused = client
        .approve(&unknown, vec![admit.clone()])
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::ApplicationUnknown);
    // A registrar that approves something other than what was applied for.
    let applied = client
        .apply(Member::pensions().application())
        .await
        .unwrap();
    let refused = client.approve(&applied.id, vec![admit]).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::ChangeMalformed);
    assert_eq!(town.running().size(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_in_the_language_asked_for_and_says_who_must_act() {
    let town = Town::found().await;
    for (lang, locale) in [(Lang::En, "en-CA"), (Lang::Fr, "fr-CA")] {
        let client = town.client().speaking(lang);
        let refused = client.submit("rubbish".into(), vec![]).await.unwrap_err();
        let RegistryError::Refused { reason, told } = refused else {
            panic!("not a refusal: {refused:?}")
        };
        assert_eq!(reason, Reason::ChangeMalformed);
        assert!(told.localized.contains(reason.text(lang)), "{locale}");
        assert!(told.localized.contains(reason.remedy(lang)), "{locale}");
        assert_eq!(told.metadata["at"], reason.at().as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_nobody_holds_and_a_pen_before_the_registry_was_followed() {
    let town = Town::found().await;
    let missing = town
        .client()
        .fetch_blob(&Digest::of(b"nothing"))
        .await
        .unwrap_err();
    assert_eq!(missing.reason(), Reason::BlobMissing);
    let empty = entente_directory::State::empty();
    let early = Pen::new(&empty, Author::Registrar, &*town.registrar, town.now());
    assert!(matches!(early, Err(AuthorError::NoRegistry)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applicant_who_applies_again_finds_the_same_application() {
    let town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let application = Member::vital().application();
    let client = town.client();
    let first = client.apply(application.clone()).await.unwrap();
    assert_eq!(client.apply(application.clone()).await.unwrap(), first);
    assert_eq!(first.fingerprint, Application::fingerprint(&application));
    caught_up(&directory, 1).await;
    town.approve(&directory, &first.id).await;
    assert_eq!(client.apply(application).await.unwrap(), first);
    assert!(client.applications(None).await.unwrap().is_empty());
}
