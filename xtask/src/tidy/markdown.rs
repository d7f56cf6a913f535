//! Documentation that points at something must point at something that is there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::Findings;
use super::names::declared;
use super::source::Source;
use crate::workspace::{self, File};

/// The page that names tests, as `test: name` in backticks.
const THREATS: &str = "docs/threats.md";

/// Refuses relative links to files that are not there.
pub(crate) fn check_links(files: &[File]) -> Findings {
    let root = workspace::root();
    check_links_with(files, &|path| root.join(path).exists())
}

/// Refuses tests named in the page of threats that no source declares.
pub(crate) fn check_tests_named(files: &[File], sources: &[Source]) -> Findings {
    let tests: BTreeSet<&str> = sources
        .iter()
        .flat_map(Source::tests)
        .flat_map(|(_, line)| declared(line))
        .map(|(_, name)| name)
        .collect();
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.path == THREATS) {
        for (number, line) in (1..).zip(file.text.lines()) {
            for rest in line.split("`test: ").skip(1) {
                let name = rest.split('`').next().unwrap_or_default();
                if !tests.contains(name) {
                    faults.push(format!("{THREATS}:{number}: no test is named {name}"));
                }
            }
        }
    }
    Findings::faults(faults)
}

fn check_links_with(files: &[File], exists: &dyn Fn(&Path) -> bool) -> Findings {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (number, line) in (1..).zip(file.text.lines()) {
            for rest in line.split("](").skip(1) {
                let link = rest.split([')', ' ']).next().unwrap_or_default();
                let path = link.split('#').next().unwrap_or_default();
                if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                    continue;
                }
                if !exists(&resolve(&file.path, path)) {
                    faults.push(format!("{}:{number}: no file {path}", file.path));
                }
            }
        }
    }
    Findings::faults(faults)
}

/// `link` as seen from the file `from`, with `..` taken out.
fn resolve(from: &str, link: &str) -> PathBuf {
    let folder = Path::new(from).parent().unwrap_or_else(|| Path::new(""));
    let mut path = PathBuf::new();
    for part in folder.join(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::source;
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        let page = file(
            "docs/a.md",
            "[good](../README.md#x) [bad](gone.md) [web](https://example.org) [here](#top)",
        );
        let found = check_links_with(&[page], &|path| path == Path::new("README.md"));
        assert_eq!(found.faults, ["docs/a.md:1: no file gone.md"]);
    }

    #[test]
    fn a_test_that_is_not_there_is_found() {
        let page = file(THREATS, "`test: refuses_it` and `test: gone`");
        let tests = source("tests/src/a.rs", "fn refuses_it() {}");
        let found = check_tests_named(&[page], &[tests]);
        assert_eq!(found.faults, ["docs/threats.md:1: no test is named gone"]);
    }
}
