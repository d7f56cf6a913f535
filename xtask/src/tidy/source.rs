//! A Rust source file with its comments and literals blanked out, so that rules see only code.

use super::Findings;
use crate::workspace::File;

/// A source file, line by line.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root, with forward slashes.
    pub(crate) path: String,
    /// The lines as written.
    pub(crate) lines: Vec<String>,
    /// The same lines with comments, strings and characters blanked.
    pub(crate) code: Vec<String>,
    /// The first line of the test part: `lines.len()` when there is none, 0 when all is test.
    pub(crate) tests_from: usize,
}

/// Files above this many lines get a warning.
const WARN_LINES: usize = 450;
/// Files above this many lines fail, unless their first line says why they are long.
const FAIL_LINES: usize = 700;
/// How the module doc of a file that is long for a reason begins.
const LONG_ON_PURPOSE: &str = "//! Long on purpose: ";

// === impl Source ===

impl Source {
    /// The source in `file`, when it is a Rust file.
    pub(crate) fn of(file: &File) -> Option<Self> {
        if !file.path.ends_with(".rs") {
            return None;
        }
        let blanked = blank(&file.text);
        let code: Vec<String> = blanked.lines().map(str::to_owned).collect();
        let tests_from = if is_test_path(&file.path) {
            0
        } else {
            first_test_line(&code)
        };
        Some(Self {
            path: file.path.clone(),
            lines: file.text.lines().map(str::to_owned).collect(),
            code,
            tests_from,
        })
    }

    /// The lines of code that are not tests, with their numbers from 1.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        self.numbered().take(self.tests_from)
    }

    /// The lines of code that are tests, with their numbers from 1.
    pub(crate) fn tests(&self) -> impl Iterator<Item = (usize, &str)> {
        self.numbered().skip(self.tests_from)
    }

    /// Every line of code, with its number from 1.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbers = 1..=self.code.len();
        numbers.zip(self.code.iter().map(String::as_str))
    }
}

/// Warns of long files and refuses very long ones.
pub(crate) fn check_lengths(sources: &[Source]) -> Findings {
    let mut findings = Findings::default();
    for source in sources {
        let count = source.lines.len();
        let excused = source
            .lines
            .first()
            .is_some_and(|line| line.starts_with(LONG_ON_PURPOSE));
        let found = format!("{}: {count} lines", source.path);
        if count > FAIL_LINES && !excused {
            findings.faults.push(format!(
                "{found}; split it, or begin it with `{LONG_ON_PURPOSE}` and the reason"
            ));
        } else if count > WARN_LINES && !excused {
            findings.warnings.push(found);
        }
    }
    findings
}

/// Whether `line` holds `word` with no letter, digit or underscore on either side.
pub(crate) fn holds(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

fn is_test_path(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.starts_with("crates/testkit/")
}

/// Our files end with their test module, so what follows it is test as well.
fn first_test_line(code: &[String]) -> usize {
    let mut lines = code.iter().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]"
            && lines.peek().is_some_and(|(_, next)| {
                let next = next.trim();
                next.starts_with("mod ") && next.ends_with('{')
            })
        {
            return at;
        }
    }
    code.len()
}

/// Replaces every character inside comments and literals by a space; line ends stay.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => line_end(&chars, at),
            ('/', Some('*')) => comment_end(&chars, at),
            ('"', _) => string_end(&chars, at),
            ('r', Some('"' | '#')) if !follows_name(&chars, at) => raw_end(&chars, at),
            ('\'', _) => character_end(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            for &c in &chars[at..end] {
                out.push(if c == '\n' { '\n' } else { ' ' });
            }
            at = end;
        }
    }
    out
}

fn follows_name(chars: &[char], at: usize) -> bool {
    // `br"…"` is a literal too; any other letter before makes `r` the end of a name.
    at > 0 && {
        let before = chars[at - 1];
        let byte = before == 'b' && (at < 2 || !is_name(chars[at - 2]));
        is_name(before) && !byte
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '\n' {
        at += 1;
    }
    at
}

fn comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth = depth.saturating_sub(1);
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// The end of `r#"…"#`, or `at` when this is a raw name such as `r#type`.
fn raw_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return at;
    }
    let mut close = open + 1;
    while close < chars.len() {
        if chars[close] == '"'
            && chars[close + 1..]
                .iter()
                .take(hashes)
                .filter(|&&c| c == '#')
                .count()
                == hashes
        {
            return close + 1 + hashes;
        }
        close += 1;
    }
    chars.len()
}

/// The end of `'x'` or `'\n'`, or `at` when this is a lifetime.
fn character_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let mut end = at + 3;
            while end < chars.len() && chars[end] != '\'' {
                end += 1;
            }
            (end + 1).min(chars.len())
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A source with this path and text.
    pub(crate) fn source(path: &str, text: &str) -> Source {
        Source::of(&File {
            path: path.to_owned(),
            text: text.to_owned(),
        })
        .unwrap()
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        let text = r##"let a = "thread::sleep"; // todo!
let b = r#"a " b"#; let c = '"'; let d: &'static str = b"x\"y";
/* one /* two */ still */ let e = '\''; fn r#type() {}"##;
        let code = source("a.rs", text).code.join("\n");
        assert!(!code.contains("sleep") && !code.contains("todo"));
        assert!(!code.contains("still") && !code.contains(" b\""));
        for kept in ["let a", "let b", "let c", "&'static str", "let e", "r#type"] {
            assert!(code.contains(kept), "{kept} is lost in {code}");
        }
        assert_eq!(code.lines().count(), 3);
    }

    #[test]
    fn a_file_of_tests_is_all_test() {
        let tests = source("crates/x/src/a/tests.rs", "fn a() {}\n");
        assert_eq!(tests.shipped().count(), 0);
        let mixed = source(
            "crates/x/src/a.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n",
        );
        assert_eq!(mixed.shipped().count(), 1);
        assert_eq!(mixed.tests().next().unwrap().0, 2);
    }

    #[test]
    fn a_word_is_found_whole_only() {
        assert!(holds("use std::fs;", "std::fs"));
        assert!(!holds("use mystd::fs_x;", "std::fs"));
        assert!(!holds("let unsled = 1;", "sled"));
    }

    #[test]
    fn a_very_long_file_fails_unless_it_says_why() {
        let long = "let a = 1;\n".repeat(701);
        assert_eq!(check_lengths(&[source("a.rs", &long)]).faults.len(), 1);
        let excused = format!("{LONG_ON_PURPOSE}one list.\n{long}");
        assert_eq!(
            check_lengths(&[source("a.rs", &excused)]),
            Findings::default()
        );
        let warned = "let a = 1;\n".repeat(451);
        assert_eq!(check_lengths(&[source("a.rs", &warned)]).warnings.len(), 1);
    }
}
