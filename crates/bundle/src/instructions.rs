//! `VERIFY.txt`: how to verify a bundle with openssl and the shell, each command with what it must say.
//!
//! Whoever follows it needs none of our code, and must believe nothing but arithmetic: every step that
//! ties one file to another is a comparison of bytes at a place.

mod checks;
mod words;

use entente_clock::Timestamp;

use crate::container::Files;
use crate::dossier::Dossier;

/// Its name in the container.
pub(crate) const NAME: &str = "ev/VERIFY.txt";

/// A text with commands in it.
struct Script {
    text: String,
    step: usize,
}

/// Writes the text for a dossier's files, sealed at that time.
pub(crate) fn write(dossier: &Dossier, files: &Files, sealed_at: Timestamp) -> String {
    let mut script = Script {
        text: words::HEAD.replace("{id}", &dossier.request.statement().message_id.to_string()),
        step: 0,
    };
    for line in SHELL {
        script.run(line, "");
    }
    checks::write(&mut script, dossier, files, sealed_at);
    script.text.push_str(words::SHOWN);
    let gaps = dossier.gaps(sealed_at);
    for (at, head) in words::NOT_SHOWN.iter().enumerate() {
        script.text.push_str(head);
        for gap in &gaps {
            let [en, fr] = gap.words();
            script.text += &format!("- {}\n", if at == 0 { en } else { fr });
        }
        script.text.push_str(words::NEVER_SHOWN[at]);
    }
    script.text
}

// === impl Script ===

impl Script {
    /// Begins a step, in both languages.
    fn step(&mut self, en: &str, fr: &str) {
        self.step += 1;
        self.text += &format!("\n{0}. {en}\n{0}. {fr}\n", self.step);
    }

    /// A command, and what it must print; nothing when that is empty.
    fn run(&mut self, command: &str, prints: &str) {
        self.text += &format!("$ {command}\n");
        if !prints.is_empty() {
            self.text += &format!("= {prints}\n");
        }
    }

    /// That what `command` gives stands in a file at its place: where `part` is in `whole`.
    fn stands(&mut self, command: &str, part: &[u8], whole: &[u8], file: &str) {
        if let Some(place) = find(whole, part) {
            self.run(
                &format!("{command} | at {place} {} {file}", part.len()),
                SAME,
            );
        }
    }
}

/// Where `part` begins in `whole`.
fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    whole.windows(part.len()).position(|window| window == part)
}

/// What a comparison prints when it holds.
const SAME: &str = "same";

/// Hash, base64, leaf of a tree, the step up with a hash on the left or right, bytes at a place, a line
/// of the manifest.
const SHELL: [&str; 8] = [
    "export LC_ALL=C",
    "h() { openssl dgst -sha256 -binary; }",
    "b() { printf %s \"$1\" | openssl base64 -d -A; }",
    "leaf() { { printf '\\000'; cat \"$1\"; } | h; }",
    "l() { { printf '\\001'; b \"$1\"; cat; } | h; }",
    "r() { { printf '\\001'; cat; b \"$1\"; } | h; }",
    "at() { cmp -i \"0:$1\" -n \"$2\" - \"$3\" && echo same; }",
    "d() { printf %s '<asic:DataObjectReference URI=\"'\"$1\"'\"><ds:DigestMethod \
     Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue>'; h < \"$1\" | \
     openssl base64 -A; printf '%s\\n' '</ds:DigestValue></asic:DataObjectReference>'; }",
];
