//! The full life of what is registered: what a sandbox's registrar and members do to it by hand.

mod agreements;
mod keys;
mod mandates;
mod members;
mod policy;
mod server_keys;
mod servers;
mod services;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::run::{Ran, entente};

/// Stops what `sandbox up` started, however the test ends.
struct Up(PathBuf);

impl Drop for Up {
    fn drop(&mut self) {
        entente(&self.0, &["sandbox", "down"]);
    }
}

const REGISTRAR: &str = "sandbox/registry/registry.yaml";
const PENSIONS: &str = "ca-demo/pensions";

/// Runs a command of a desk.
fn at(dir: &Path, desk: &str, args: &[&str]) -> Ran {
    entente(dir, &[args, &["--config", desk]].concat())
}

fn call(dir: &Path) -> Ran {
    let question = [
        "call",
        "ca-demo/vital-events/registry",
        "entente.demo.vitalevents.v1.VitalEvents/LookupDeath",
        "-d",
        r#"{"person_number": "046454286"}"#,
    ];
    let purpose = ["--purpose", "PROGRAM_ADMINISTRATION", "-o", "json"];
    entente(dir, &[&question[..], &purpose].concat())
}

/// Waits until servers have heard of a change: a call is answered, or refused for this reason.
fn until(dir: &Path, reason: Option<&str>) {
    wait(&format!("a call that ends with {reason:?}"), || {
        let ran = call(dir);
        let refused = ran.json()["error"]["reason"].as_str().map(str::to_owned);
        refused.as_deref() == reason && (ran.code == 0) == reason.is_none()
    });
}

/// Asks again and again, for a while.
fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let so = (0..150).any(|_| {
        is_so() || {
            std::thread::park_timeout(Duration::from_millis(100));
            false
        }
    });
    assert!(so, "never {what}");
}

#[test]
fn what_is_registered_is_changed_halted_and_ended_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let up = entente(dir, &["sandbox", "up"]);
    let _up = Up(dir.to_owned());
    assert_eq!(up.code, 0, "{up:?}");
    until(dir, None);
    members::a_suspended_member_is_refused_until_it_is_resumed(dir);
    members::an_ended_membership_stays_ended(dir);
    policy::a_policy_is_shown_and_only_ever_asks_more(dir);
    keys::a_member_adds_a_key_works_with_it_and_revokes_the_old_one(dir);
    keys::a_key_revokes_itself_and_the_last_one_only_by_a_persons_word(dir);
    agreements::a_suspended_agreement_passes_nothing_until_all_who_halted_it_resume(dir);
    services::a_retired_service_is_refused_until_it_is_published_again(dir);
    mandates::a_mandate_is_granted_listed_and_ended(dir);
    servers::what_is_registered_of_a_server_changes_and_the_rest_stays(dir);
    servers::a_server_whose_sessions_are_revoked_begins_another(dir);
    server_keys::keys_of_a_server_follow_others_while_calls_go_on(dir);
}
