//! The vocabulary: names that say nothing are refused.

use super::Findings;
use super::source::Source;

/// Words that may be part of no name of ours.
const FORBIDDEN: &[&str] = &[
    "manager", "managers", "handler", "handlers", "helper", "helpers", "util", "utils",
];
/// Words that may not be the whole name of a module.
const FORBIDDEN_MODULES: &[&str] = &["common", "misc", "shared"];
/// How no function's name may begin.
const FORBIDDEN_STARTS: &[&str] = &["process_", "do_", "get_"];
/// What introduces a name.
const KEYWORDS: &[&str] = &["fn", "struct", "enum", "trait", "type", "mod", "union"];

/// Refuses functions, types, modules and files with such names.
pub(crate) fn check(sources: &[Source]) -> Findings {
    let mut faults = Vec::new();
    for source in sources {
        let file = source.path.rsplit('/').next().unwrap_or_default();
        let stem = file.trim_end_matches(".rs");
        if file == "mod.rs" {
            faults.push(format!("{}: write name.rs beside name/", source.path));
        } else if let Some(why) = refusal("mod", stem) {
            faults.push(format!("{}: the file name {why}", source.path));
        }
        for (number, line) in source.numbered() {
            for (keyword, name) in declared(line) {
                if let Some(why) = refusal(keyword, name) {
                    faults.push(format!("{}:{number}: `{name}` {why}", source.path));
                }
            }
        }
    }
    Findings::faults(faults)
}

/// The names a line of code declares, each with its keyword.
pub(crate) fn declared(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let words: Vec<&str> = line
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    (1..words.len())
        .map(move |at| (words[at - 1], words[at]))
        .filter(|(keyword, _)| KEYWORDS.contains(keyword))
}

fn refusal(keyword: &str, name: &str) -> Option<String> {
    let lower = snake(name);
    if let Some(word) = lower.split('_').find(|word| FORBIDDEN.contains(word)) {
        return Some(format!("holds the word {word}, which says nothing"));
    }
    if keyword == "mod" && FORBIDDEN_MODULES.contains(&lower.as_str()) {
        return Some("says nothing".to_owned());
    }
    let start = FORBIDDEN_STARTS
        .iter()
        .find(|start| keyword == "fn" && lower.starts_with(**start));
    start.map(|start| format!("begins with {start}"))
}

/// `RetryHandler` as `retry_handler`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            if !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::source;
    use super::*;

    #[test]
    fn names_that_say_nothing_are_found() {
        for planted in [
            "struct SessionManager;",
            "pub(crate) fn process_frame() {}",
            "fn do_it() {}",
            "fn get_name(&self) {}",
            "mod helpers;",
            "mod common;",
            "async fn error_handler() {}",
            "enum IoUtil {}",
        ] {
            let found = check(&[source("crates/x/src/a.rs", planted)]);
            assert_eq!(found.faults.len(), 1, "{planted}");
        }
        for path in ["crates/x/src/utils.rs", "crates/x/src/a/mod.rs"] {
            assert_eq!(check(&[source(path, "")]).faults.len(), 1, "{path}");
        }
    }

    #[test]
    fn names_that_only_look_alike_pass() {
        let good = "fn target_of() {}\nstruct Processor;\nfn highest_common() {}\n// fn get_x\nfn helpful() {}\n";
        let found = check(&[source("crates/x/src/a.rs", good)]);
        assert_eq!(found, Findings::default());
    }
}
