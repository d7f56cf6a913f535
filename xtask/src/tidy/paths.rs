//! Nothing in the tree names one machine's folders.

use super::Findings;
use crate::workspace::File;

/// Folders that exist on one machine only; split so that this file does not name them.
const MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/tmp/ba", "sh_jobs"),
];
/// Home folders: refused unless the name after them is a placeholder.
const HOME: &str = concat!("/ho", "me/");

/// Refuses text that names such a folder.
pub(crate) fn check(files: &[File]) -> Findings {
    let mut faults = Vec::new();
    for file in files {
        for (number, line) in (1..).zip(file.text.lines()) {
            let named = MACHINE
                .iter()
                .chain(std::iter::once(&HOME))
                .find(|path| starts_a_path(line, path));
            if let Some(path) = named {
                faults.push(format!("{}:{number}: names {path}", file.path));
            }
        }
    }
    Findings::faults(faults)
}

/// Whether `path` begins a path in `line`, rather than standing inside a longer one.
fn starts_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: String) -> usize {
        let file = File {
            path: "a.md".to_owned(),
            text,
        };
        check(&[file]).faults.len()
    }

    #[test]
    fn a_machine_path_is_found() {
        for path in MACHINE {
            assert_eq!(found(format!("see {path}x")), 1, "{path}");
        }
        assert_eq!(found(format!("\"{HOME}someone/x\"")), 1);
    }

    #[test]
    fn a_path_that_only_contains_it_passes() {
        assert_eq!(found(format!("a/frame{}x and work/x", MACHINE[0])), 0);
        assert_eq!(found("/var/lib/entente".to_owned()), 0);
    }
}
