//! A second server of a registry: it stands by, takes over, and there are never two that write.

use std::path::PathBuf;

use entente_central_registry::{
    CentralRegistry, Config, Running, Standby, StartError, TakenOver, Takeover, TakeoverError,
    backup, take_over,
};
use entente_directory::Standing;
use entente_follow::{Directory, Follower};
use entente_reason::Reason;

use crate::town::{LONG, Member, Town, caught_up};
use crate::witness::Onlooker;
use crate::witnessed::{admit_unseen, is_member, suspend, until};

/// A registry with a witness, a server that stands by for it, and a follower that knows both addresses.
struct Scene {
    town: Town,
    witness: Onlooker,
    second: Config,
    standby: Option<Standby>,
    follower: Follower,
}

impl Scene {
    async fn set() -> Self {
        Self::set_with(true).await
    }

    async fn set_with(is_witnessed: bool) -> Self {
        let mut town = Town::found().await;
        let witness = Onlooker::of(&town, "witness").await;
        let second = second(&mut town);
        let standby = Standby::start(&second, town.deps()).await.unwrap();
        let follower = town.follow("follower").await;
        caught_up(&follower.directory(), 1).await;
        if is_witnessed {
            town.trust(&follower.directory(), witness.policy()).await;
        }
        town.admit(&follower.directory(), &Member::vital()).await;
        let scene = Self {
            town,
            witness,
            second,
            standby: Some(standby),
            follower,
        };
        scene.stands_by().await;
        scene
    }

    fn directory(&self) -> Directory {
        self.follower.directory()
    }

    /// The standby has what the follower has.
    async fn stands_by(&self) {
        let standby = self.standby.as_ref().unwrap().directory();
        caught_up(&standby, self.directory().view().size).await;
    }

    /// The first server dies as a process does.
    fn kill(&mut self) {
        drop(self.town.running.take().unwrap());
    }

    async fn end_standby(&mut self) {
        self.standby.take().unwrap().shutdown().await;
    }

    async fn take_over(&self, takeover: &Takeover) -> Result<TakenOver, TakeoverError> {
        take_over(&self.second, takeover, self.town.deps()).await
    }

    /// With the first server's folder, which can be reached.
    fn fencing(&self) -> Takeover {
        Takeover {
            fence: Some(self.town.config.data.as_path().to_owned()),
            ..Takeover::default()
        }
    }

    async fn serve(&self) -> Running {
        let config = self.second.clone();
        assert!(!Standby::is_meant(&config, &self.town.deps()).unwrap());
        CentralRegistry::start(config, self.town.deps())
            .await
            .unwrap()
    }

    async fn first_again(&self) -> Result<Running, StartError> {
        CentralRegistry::start(self.town.config.clone(), self.town.deps()).await
    }
}

/// The configuration of a second server, with the first one's keys. The town's anchor names both.
fn second(town: &mut Town) -> Config {
    let dir = town.folder("second");
    std::fs::create_dir_all(&dir).unwrap();
    let text = "
jurisdiction: ca-demo
listen: unix:./second.sock
data: ./data
keys: ../keys
anchor: ../anchor.yaml
standby_of: ./first.yaml
";
    let config: Config = entente_config::parse_in(text, "standby.yaml", &dir).unwrap();
    let listen = dir.join("second.sock");
    let second = format!("unix:{}", listen.display()).parse().unwrap();
    town.anchor.addresses.push(second);
    std::fs::write(dir.join("first.yaml"), town.anchor.to_string()).unwrap();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_where_the_registry_ended_and_followers_go_on() {
    let mut scene = Scene::set().await;
    let pensions = Member::pensions();
    // It awaits a registrar while the registry dies.
    let client = scene.town.client();
    let applied = client.apply(pensions.application()).await.unwrap();
    let applications = scene.town.folder("second/data/applications");
    until("the application to be copied", || {
        std::fs::read_dir(&applications).is_ok_and(|held| held.count() == 1)
    })
    .await;
    let held = scene.directory().view();
    scene.kill();
    scene.end_standby().await;
    let taken = scene.take_over(&Takeover::default()).await.unwrap();
    let size = held.size + 1;
    assert_eq!(taken, TakenOver { size, recovered: 0 });
    let running = scene.serve().await;

    // The same follower, never started again.
    let view = caught_up(&scene.directory(), size).await;
    assert_eq!(view.root_at(held.size), Some(held.root));
    assert!(scene.directory().alarms().borrow().is_none());
    scene.town.running = Some(running);
    scene.town.approve(&scene.directory(), &applied.id).await;
    assert!(is_member(&scene.directory(), &pensions));
    assert_eq!(scene.witness.has_seen().size(), size + 1);

    // The old one comes back, and is not let in by the witness.
    let refused = scene.first_again().await.expect_err("two registries");
    assert!(matches!(refused, StartError::Behind { .. }), "{refused:?}");
    scene.follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_registry_that_never_died_publishes_nothing_that_is_believed() {
    let mut scene = Scene::set().await;
    // Cut off from the standby, and running.
    scene.end_standby().await;
    let first = scene.town.running.take().unwrap();
    scene.take_over(&Takeover::default()).await.unwrap();
    let second = scene.serve().await;
    let size = second.size();
    until("the witness to see the other tree", || {
        scene.witness.has_seen().size() == size
    })
    .await;
    let directory = scene.directory();
    admit_unseen(&scene.town, &directory, &Member::pensions()).await;
    until("it to be left aside", || directory.counts().held > 0).await;
    assert!(!is_member(&directory, &Member::pensions()));
    // Once a witness has shown it the other tree, it serves nobody: the follower goes on with the other by
    // itself, and so does whoever hands in a change.
    caught_up(&directory, size).await;
    suspend(&scene.town, &directory, &Member::vital())
        .await
        .unwrap();
    caught_up(&directory, size + 1).await;
    assert_eq!((first.size(), second.size()), (size, size + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_over_where_a_witness_has_seen_more_unless_the_old_folder_gives_it() {
    let mut scene = Scene::set().await;
    scene.end_standby().await;
    scene
        .town
        .admit(&scene.directory(), &Member::pensions())
        .await;
    let size = scene.directory().view().size;
    scene.kill();
    for accepts_loss in [false, true] {
        let asked = Takeover {
            accepts_loss,
            ..Takeover::default()
        };
        let refused = scene.take_over(&asked).await.unwrap_err();
        let (seen, held) = (size, size - 1);
        assert!(
            matches!(refused, TakeoverError::Behind { seen: s, held: h } if (s, h) == (seen, held)),
            "{refused:?}"
        );
        assert!(
            !scene
                .town
                .disk
                .exists(&scene.town.folder("second/data/ledger"))
                .unwrap()
        );
    }
    let taken = scene.take_over(&scene.fencing()).await.unwrap();
    let size = size + 1;
    assert_eq!(taken, TakenOver { size, recovered: 1 });
    let _second = scene.serve().await;
    caught_up(&scene.directory(), size).await;
    assert!(is_member(&scene.directory(), &Member::pensions()));
    let refused = scene.first_again().await.expect_err("a fenced folder");
    assert!(matches!(refused, StartError::Superseded), "{refused:?}");
    // Nor is it taken over twice.
    let refused = scene.take_over(&Takeover::default()).await.unwrap_err();
    assert!(matches!(refused, TakeoverError::Exists), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_over_while_the_old_registry_runs_or_the_copy_is_being_written() {
    let mut scene = Scene::set().await;
    let refused = scene.take_over(&Takeover::default()).await.unwrap_err();
    assert!(matches!(refused, TakeoverError::Copy(_)), "{refused:?}");
    scene.end_standby().await;
    let refused = scene.take_over(&scene.fencing()).await.unwrap_err();
    assert!(matches!(refused, TakeoverError::Running), "{refused:?}");
    // It serves on.
    scene
        .town
        .admit(&scene.directory(), &Member::pensions())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_over_while_witnesses_are_silent() {
    let mut scene = Scene::set().await;
    scene.kill();
    scene.end_standby().await;
    scene.witness.stop().await;
    for takeover in [scene.fencing(), Takeover::default()] {
        let refused = scene.take_over(&takeover).await.unwrap_err();
        assert!(matches!(refused, TakeoverError::Silent), "{refused:?}");
        assert_eq!(refused.reason(), Reason::RegistryUnwitnessed);
    }
    scene.witness.start().await;
    scene.take_over(&Takeover::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_witnesses_the_old_folder_is_needed_or_the_word_that_changes_may_be_lost() {
    for fences in [true, false] {
        let mut scene = Scene::set_with(false).await;
        scene.kill();
        scene.end_standby().await;
        let refused = scene.take_over(&Takeover::default()).await.unwrap_err();
        assert!(matches!(refused, TakeoverError::Unfenced), "{refused:?}");
        let takeover = match fences {
            true => scene.fencing(),
            false => Takeover {
                accepts_loss: true,
                ..Takeover::default()
            },
        };
        let taken = scene.take_over(&takeover).await.unwrap();
        let _second = scene.serve().await;
        caught_up(&scene.directory(), taken.size).await;
        assert!(scene.directory().alarms().borrow().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_that_was_seen_under_no_checkpoint_is_not_forgotten() {
    let mut scene = Scene::set().await;
    scene.witness.stop().await;
    suspend(&scene.town, &scene.directory(), &Member::vital())
        .await
        .unwrap();
    let standing = |directory: &Directory| directory.view().state.standing(&Member::vital().id);
    let standby = scene.standby.as_ref().unwrap().directory();
    until("the standby to see it", || {
        standing(&standby) == Some(Standing::Suspended)
    })
    .await;
    // Stopped in order, so that nothing of it still asks the witness when that comes back.
    scene.town.stop().await;
    scene.end_standby().await;
    scene.witness.start().await;
    let taken = scene.take_over(&Takeover::default()).await.unwrap();
    let _second = scene.serve().await;
    let view = caught_up(&scene.directory(), taken.size).await;
    assert_eq!(
        view.state.standing(&Member::vital().id),
        Some(Standing::Suspended)
    );
    assert_eq!(scene.directory().counts().alarms, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_that_was_cut_short_serves_nothing_and_goes_on() {
    let mut scene = Scene::set().await;
    scene.kill();
    scene.end_standby().await;
    let taken = scene.take_over(&Takeover::default()).await.unwrap();
    // As if the machine had died before the last step.
    std::fs::write(scene.town.folder("second/data/TAKEOVER"), "").unwrap();
    let refused = CentralRegistry::start(scene.second.clone(), scene.town.deps()).await;
    let refused = refused.expect_err("half a registry");
    assert!(matches!(refused, StartError::Unfinished), "{refused:?}");
    assert_eq!(scene.take_over(&Takeover::default()).await.unwrap(), taken);
    let _second = scene.serve().await;
    caught_up(&scene.directory(), taken.size).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_only_if_nobody_has_seen_more() {
    let mut scene = Scene::set().await;
    scene.end_standby().await;
    let to = scene.town.folder("backup");
    let mut config = scene.town.config.clone();
    let anchor: PathBuf = scene.town.folder("second/first.yaml");
    config.anchor = anchor.into();
    let copied = backup(&config, &to, LONG, scene.town.deps()).await.unwrap();
    assert_eq!(copied, scene.directory().view().size);
    scene
        .town
        .admit(&scene.directory(), &Member::pensions())
        .await;
    scene.town.stop().await;
    std::fs::remove_dir_all(config.data.as_path()).unwrap();
    let restore = Takeover {
        backup: Some(to.clone()),
        accepts_loss: true,
        ..Takeover::default()
    };
    let refused = take_over(&config, &restore, scene.town.deps())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, TakeoverError::Behind { .. }),
        "{refused:?}"
    );
    // A follower has what the backup lacks: its copy in the backup's place.
    let held = scene.directory().view();
    scene.follower.shutdown().await;
    let copy = to.join("copy");
    std::fs::remove_dir_all(&copy).unwrap();
    std::fs::rename(scene.town.folder("follower"), &copy).unwrap();
    let restored = take_over(&config, &restore, scene.town.deps())
        .await
        .unwrap();
    assert_eq!(restored.size, held.size + 1);
    scene.town.start().await;
    let follower = scene.town.follow("another").await;
    let view = caught_up(&follower.directory(), restored.size).await;
    assert_eq!(view.root_at(held.size), Some(held.root));
}
