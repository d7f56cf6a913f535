//! Canaries (G10): a personal value that goes through an exchange, or tries to, is in no log, metric,
//! error, page or file of anybody's, in no form; and nothing without a key links a person's exchanges.
//!
//! The federation runs as real processes that log everything they can. Each kind of value is one text
//! that occurs nowhere else, and the search is first shown to find every form of it in every place.

mod roles;
mod sealed;
mod story;
mod tags;

use std::path::Path;

use entente_tests::needles::{Form, Found, Needles};

use story::Story;

/// The person asked about, as written and as normalised.
const PERSON: &str = "9071-5526-8843-2217";
const PERSON_BARE: &str = "9071552688432217";
/// The rest of a request, and who stands behind it.
const BORN: &str = "qz7-born-4Wkv9";
const USER: &str = "qz7-user-Lp2xT";
const CASE: &str = "qz7-case-9TfdB";
/// What an answer holds: released, and withheld.
const DIED: &str = "qz7-died-8HjsM";
const CAUSE: &str = "qz7-cause-Rn5Y";
const PLACE: &str = "qz7-place-Kc3Z";
const INFORMANT: &str = "qz7-informant-W";
/// What is said beside messages.
const ERROR: &str = "qz7-error-J6gq";
const HEADER: &str = "qz7-header-V1e";
const PANIC: &str = "qz7-panic-D8ux";
/// What is in no agreement; and the same where a name is expected.
const EXTRA: &str = "qz7-extra-F4oi";
const EXTRA_NAME: &str = "qz7-extra-name-4oi";
const EXTRA_METHOD: &str = "Qz7ExtraMethodF4oi";
const EXTRA_PURPOSE: &str = "QZ7_EXTRA_PURPOSE";
/// What every process logs on purpose.
const PLANTED: &str = "qz7-planted-S2";

const VALUES: [&str; 17] = [
    PERSON,
    PERSON_BARE,
    BORN,
    USER,
    CASE,
    DIED,
    CAUSE,
    PLACE,
    INFORMANT,
    ERROR,
    HEADER,
    PANIC,
    EXTRA,
    EXTRA_NAME,
    EXTRA_METHOD,
    EXTRA_PURPOSE,
    PLANTED,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_personal_value_is_in_any_file_log_metric_or_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let federation = dir.path().join("federation");
    let logs = dir.path().join("logs");
    let story = Story::tell(&federation, &logs).await;
    let needles = Needles::of(VALUES);

    for (place, bytes, allowed) in &story.seen {
        let found = needles.search(place, bytes);
        let strange = found
            .iter()
            .filter(|found| !allowed.contains(&found.value.as_str()));
        assert_none(strange);
    }
    for (place, page) in &story.pages {
        assert!(page.starts_with(b"HTTP/1.1 "), "{place}");
        assert_none(&needles.search(place, page));
    }
    let (found, files) = needles.search_folder(&federation).unwrap();
    assert!(files > 60, "{files} files are not three roles'");
    assert_none(&found);
    let (found, _) = needles.search_folder(&logs).unwrap();
    assert_none(found.iter().filter(|found| found.value != PLANTED));

    // Every process logs what it was told to, at the lowest level: its silence is its own.
    for process in &story.processes {
        let place = logs.join(format!("{process}.out")).display().to_string();
        let planted = Found {
            place,
            value: PLANTED.to_owned(),
            form: Form::Plain,
        };
        assert!(found.contains(&planted), "{process} logs nothing");
    }
    // What was looked for did go through, and is there for those who hold the key.
    sealed::check(&story.world);

    check_planted(&needles, &story, &federation, &logs);
}

/// Finds every form of a value, planted in every place that was searched.
fn check_planted(needles: &Needles, story: &Story, federation: &Path, logs: &Path) {
    let mut folders = vec![logs.to_owned()];
    for member in ["pensions", "registry", "vital-events"] {
        for part in ["data", "keys"] {
            folders.push(federation.join(member).join(part));
        }
    }
    folders.push(federation.join("pensions/data/ledger"));
    folders.push(federation.join("vital-events/data/sidecar"));
    for form in Form::ALL {
        for value in [PERSON_BARE, CAUSE] {
            let written = form.write("said: ", value, ", and more");
            for folder in &folders {
                let file = folder.join("planted");
                std::fs::write(&file, [b"\0\xff", &written[..], b"\n"].concat()).unwrap();
                let (found, _) = needles.search_folder(folder).unwrap();
                let found: Vec<_> = found.iter().filter(|f| f.value != PLANTED).collect();
                assert!(
                    is_it(&found, value, form),
                    "{folder:?}: {form:?}: {found:?}"
                );
                std::fs::remove_file(file).unwrap();
            }
            let (place, page) = &story.pages[0];
            let found = needles.search(place, &[page, &written[..]].concat());
            let found: Vec<_> = found.iter().collect();
            assert!(is_it(&found, value, form), "{place}: {form:?}: {found:?}");
        }
    }
    let file = federation.join(format!("pensions/data/{PERSON_BARE}"));
    std::fs::write(&file, b"").unwrap();
    let (found, _) = needles.search_folder(federation).unwrap();
    assert!(is_it(
        &found.iter().collect::<Vec<_>>(),
        PERSON_BARE,
        Form::Plain
    ));
}

/// Whether this was found, and nothing but this value. Some forms of some values are alike.
fn is_it(found: &[&Found], value: &str, form: Form) -> bool {
    found.iter().any(|found| found.form == form) && found.iter().all(|found| found.value == value)
}

fn assert_none<'a>(found: impl IntoIterator<Item = &'a Found>) {
    let found: Vec<String> = found.into_iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
