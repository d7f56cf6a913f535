//! The registry's own checkpoints, cosigned by witnesses of other jurisdictions: what nobody believes
//! without them, and what the registry does not do without them.

use std::path::Path;
use std::time::Duration;

use entente_central_registry::{CentralRegistry, StartError};
use entente_directory::{Change, MemberAct, Policy, Standing};
use entente_follow::author::AuthorError;
use entente_follow::{Directory, Follower};
use entente_ledger::cosignature;
use entente_reason::Reason;

use crate::town::{LONG, Member, Town, admission, caught_up};
use crate::witness::{Onlooker, alone};

const MINUTE: Duration = Duration::from_secs(60);

/// Waits until something about a follower holds that its own task brings about.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let waited = async {
        while !holds() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(LONG, waited).await.expect(what);
}

/// Has the registrar admit a member, without waiting for anybody to believe it.
pub(crate) async fn admit_unseen(town: &Town, directory: &Directory, member: &Member) {
    let client = town.client();
    let application = member.application();
    let applied = client.apply(application.clone()).await.unwrap();
    let mut pen = town.registrar_pen(&directory.view());
    let signed = pen.sign(&admission(&application)).unwrap();
    let changes = vec![signed.bytes().clone()];
    client.approve(&applied.id, changes).await.unwrap();
}

pub(crate) fn is_member(directory: &Directory, member: &Member) -> bool {
    directory.view().state.member(&member.id).is_some()
}

pub(crate) async fn suspend(
    town: &Town,
    directory: &Directory,
    member: &Member,
) -> Result<(), AuthorError> {
    let act = MemberAct {
        member: member.id.clone(),
        reason: None,
    };
    let mut pen = town.registrar_pen(&directory.view());
    let change = Change::MemberSuspend(act);
    let submitted = pen.submit(&change, Vec::new(), &town.client()).await;
    submitted.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_permissive_counts_until_the_registry_of_another_jurisdiction_has_cosigned_it() {
    let town = Town::found().await;
    let anchor = town.config.anchor.clone();
    let mut other = Town::found_with(|config| {
        config.jurisdiction = "ca-qc".parse().unwrap();
        config.witness = Some("127.0.0.1:0".parse().unwrap());
        config.cosigns = vec![anchor];
    })
    .await;
    let (at, key) = other.running().witness().unwrap().clone();
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let (vital, pensions) = (Member::vital(), Member::pensions());
    caught_up(&directory, 1).await;
    town.trust(&directory, alone(&key, &at)).await;
    town.admit(&directory, &vital).await;
    let view = directory.view();
    cosignature::verify(view.checkpoint.as_ref().unwrap(), &key).unwrap();

    other.stop().await;
    admit_unseen(&town, &directory, &pensions).await;
    until("a checkpoint to be left aside", || {
        directory.counts().held > 0
    })
    .await;
    assert!(!is_member(&directory, &pensions));
    assert!(is_member(&directory, &vital));
    assert!(directory.alarms().borrow().is_none(), "no fault yet");

    let port = at.to_string().parse().unwrap();
    other.config.witness = Some(port);
    other.start().await;
    until("it to be cosigned", || is_member(&directory, &pensions)).await;
    follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_denies_is_in_effect_on_sight_although_nobody_cosigns() {
    let town = Town::found().await;
    let mut witness = Onlooker::of(&town, "witness").await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let vital = Member::vital();
    caught_up(&directory, 1).await;
    town.trust(&directory, witness.policy()).await;
    town.admit(&directory, &vital).await;
    let size = directory.view().size;
    witness.stop().await;
    suspend(&town, &directory, &vital).await.unwrap();
    let standing = || directory.view().state.standing(&vital.id);
    until("the suspension", || standing() == Some(Standing::Suspended)).await;
    until("its checkpoint to be left aside", || {
        directory.counts().held > 0
    })
    .await;
    assert_eq!(directory.view().size, size, "and nothing else is believed");
    follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_as_fresh_as_its_cosignatures_and_no_heartbeat_makes_it_fresher() {
    let town = Town::found().await;
    let mut witness = Onlooker::of(&town, "witness").await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    caught_up(&directory, 1).await;
    town.trust(&directory, witness.policy()).await;
    let size = directory.view().size;
    assert!(directory.age() < MINUTE);

    // Cosigned again at the same size, unasked.
    town.clock.advance(6 * MINUTE);
    until("it to be cosigned again", || directory.age() < MINUTE).await;
    assert_eq!(directory.view().size, size);

    witness.stop().await;
    town.clock.advance(14 * MINUTE);
    // The registry is heard and says that there is nothing newer.
    until("a heartbeat", || directory.is_connected()).await;
    assert!(directory.age() >= 14 * MINUTE && !directory.is_stale());
    town.clock.advance(2 * MINUTE);
    until("a heartbeat", || directory.is_connected()).await;
    assert!(directory.is_stale(), "beyond the policy's freshness");

    // It says so after a restart too, by the cosignatures that it kept.
    follower.shutdown().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    assert!(directory.age() >= 16 * MINUTE && directory.age() < 24 * MINUTE);
    witness.start().await;
    until("it to be cosigned again", || directory.age() < MINUTE).await;
    assert!(!directory.is_stale());
    follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_asks_for_its_witnesses_whatever_the_policy_says() {
    let mut town = Town::found().await;
    let mut witness = Onlooker::of(&town, "witness").await;
    // Known to the registry by its configuration alone.
    town.stop().await;
    let file = town.dir.path().join("witnesses.policy");
    std::fs::write(&file, witness.policy().to_string()).unwrap();
    town.config.witnesses = Some(file.into());
    town.start().await;
    assert_eq!(town.anchor.witnesses, witness.policy());
    let strict = town.follow("strict").await;
    let mut lenient = town.follower_config("lenient");
    lenient.anchor.witnesses = Default::default();
    let lenient = Follower::open(lenient).await.unwrap();
    let vital = Member::vital();
    town.admit(&strict.directory(), &vital).await;

    witness.stop().await;
    let pensions = Member::pensions();
    admit_unseen(&town, &strict.directory(), &pensions).await;
    until("one to believe it", || {
        is_member(&lenient.directory(), &pensions)
    })
    .await;
    until("the other to leave it aside", || {
        strict.directory().counts().held > 0
    })
    .await;
    assert!(!is_member(&strict.directory(), &pensions));
    assert!(strict.directory().alarms().borrow().is_none());

    // More witnesses than are named: nothing is ever enough.
    let mut config = town.follower_config("strictest");
    config.anchor.floors.witness_quorum = 2;
    let strictest = Follower::open(config).await.unwrap();
    witness.start().await;
    until("it to be cosigned", || {
        is_member(&strict.directory(), &pensions)
    })
    .await;
    until("it to be left aside", || {
        strictest.directory().counts().held > 0
    })
    .await;
    assert_eq!(strictest.directory().view().size, 0);
    assert!(strictest.directory().is_stale());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_takes_no_change_until_its_witnesses_confirm_that_nobody_has_seen_more() {
    let mut town = Town::found().await;
    let mut witness = Onlooker::of(&town, "witness").await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let vital = Member::vital();
    caught_up(&directory, 1).await;
    town.trust(&directory, witness.policy()).await;
    town.admit(&directory, &vital).await;
    follower.shutdown().await;
    town.stop().await;
    witness.stop().await;

    town.start().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    until("it to be heard", || directory.is_connected()).await;
    let refused = suspend(&town, &directory, &vital).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::RegistryUnwitnessed);
    witness.start().await;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let taken = async {
        while suspend(&town, &directory, &vital).await.is_err() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(LONG, taken).await.expect("the change");
    let standing = || directory.view().state.standing(&vital.id);
    until("the suspension", || standing() == Some(Standing::Suspended)).await;
    follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_put_back_from_a_copy_does_not_start_when_a_witness_has_seen_more() {
    let mut town = Town::found().await;
    let witness = Onlooker::of(&town, "witness").await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    caught_up(&directory, 1).await;
    town.trust(&directory, witness.policy()).await;
    town.stop().await;
    let data = town.config.data.as_path().to_owned();
    let copy = town.folder("copy");
    copy_folder(&data, &copy);
    town.start().await;
    let follower_of_now = town.follow("another").await;
    town.admit(&follower_of_now.directory(), &Member::vital())
        .await;
    town.stop().await;
    std::fs::remove_dir_all(&data).unwrap();
    copy_folder(&copy, &data);
    let refused = CentralRegistry::start(town.config.clone(), town.deps()).await;
    let refused = refused.expect_err("an older copy");
    assert!(
        matches!(refused, StartError::Behind { seen: 3, held: 2 }),
        "{refused:?}"
    );
    assert_eq!(refused.reason(), Reason::RegistrySplit);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_registries_that_witness_each_other_start_together() {
    let mut one = Town::found_with(|config| {
        config.witness = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let anchor = one.config.anchor.clone();
    let mut other = Town::found_with(|config| {
        config.jurisdiction = "ca-qc".parse().unwrap();
        config.witness = Some("127.0.0.1:0".parse().unwrap());
        config.cosigns = vec![anchor];
    })
    .await;
    // Each stays where it was, and the first gets to know the second.
    for town in [&mut one, &mut other] {
        let (at, _) = town.running().witness().unwrap();
        town.config.witness = Some(at.to_string().parse().unwrap());
    }
    one.stop().await;
    one.config.cosigns = vec![other.config.anchor.clone()];
    one.start().await;
    for (town, witness) in [(&one, &other), (&other, &one)] {
        let follower = town.follow("follower").await;
        caught_up(&follower.directory(), 1).await;
        let (at, key) = witness.running().witness().unwrap();
        town.trust(&follower.directory(), alone(key, at)).await;
        follower.shutdown().await;
    }
    one.stop().await;
    other.stop().await;

    // Neither answers while the other asks what it has seen; each takes changes soon after.
    one.start().await;
    other.start().await;
    for town in [&one, &other] {
        let follower = town.follow("follower").await;
        let directory = follower.directory();
        let view = caught_up(&directory, 2).await;
        let stricter = Change::Policy(Policy {
            validity_hours: 12,
            ..view.state.policy().unwrap().clone()
        });
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let taken = async {
            loop {
                tick.tick().await;
                let mut pen = town.registrar_pen(&view);
                if let Ok(taken) = pen.submit(&stricter, Vec::new(), &town.client()).await {
                    return taken;
                }
            }
        };
        let taken = tokio::time::timeout(LONG, taken).await;
        caught_up(&directory, taken.expect("a change").size).await;
        follower.shutdown().await;
    }
}

/// Copies a folder whole.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let to = to.join(item.file_name());
        match item.file_type().unwrap().is_dir() {
            true => copy_folder(&item.path(), &to),
            false => drop(std::fs::copy(item.path(), to).unwrap()),
        }
    }
}
