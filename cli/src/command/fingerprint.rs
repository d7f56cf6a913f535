//! Fingerprints that one person reads to another: what makes a trust between two machines theirs.

use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal, Write as _};

use crate::exit::{Exit, Failure};
use crate::output::Screen;
use crate::texts::{Fact, Text};

/// Asks for what the other side read aloud. Does not show the fingerprint: whoever has it before their eyes
/// does not listen.
pub(crate) fn ask(question: Text, facts: &[Fact<'_>], screen: &Screen) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        let what = screen.text(Text::FingerprintNeeded, &[]);
        return Err(
            Failure::new(Exit::NeedsPerson, what).note(Text::LabelDo, "--fingerprint \"…\"")
        );
    }
    screen.say(question, facts);
    let mut line = String::new();
    let _ = io::stderr().flush();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::of(Exit::Failed, &error))?;
    Ok(line)
}

/// Whether what was heard is this hash: whole, in any grouping and case.
pub(crate) fn is_of(heard: &str, hash: &impl Display) -> bool {
    let digits = heard.chars().filter(|c| !c.is_whitespace());
    digits.collect::<String>().to_ascii_lowercase() == hash.to_string()
}

#[cfg(test)]
mod tests {
    use entente_signing::Digest;

    use super::*;

    #[test]
    fn a_fingerprint_is_read_in_groups_and_capitals_and_is_whole() {
        let hash = Digest::of(b"genesis");
        let text = hash.to_string();
        assert!(is_of(&text, &hash) && is_of(&text.to_uppercase(), &hash));
        assert!(is_of(&format!("{} {}\n", &text[..4], &text[4..]), &hash));
        assert!(!is_of(&text[..63], &hash) && !is_of("", &hash));
    }
}
