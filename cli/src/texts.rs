//! Every sentence the command line says, in English and French, side by side.
//!
//! The two are equal: a test refuses a sentence that lacks one, or whose facts differ. What a
//! refusal means is in the reasons' own catalogue.

mod catalogue;

use std::fmt::Display;

use entente_reason::Lang;

pub(crate) use catalogue::Text;

/// A fact of a sentence: the name in its braces, and the value.
pub(crate) type Fact<'a> = (&'static str, &'a dyn Display);

// === impl Text ===

impl Text {
    /// The sentence with its facts in place.
    pub(crate) fn fill(self, lang: Lang, facts: &[Fact<'_>]) -> String {
        let mut text = self.template(lang).to_owned();
        for (name, value) in facts {
            let place = format!("{{{name}}}");
            debug_assert!(text.contains(&place), "{self:?} has no {place}");
            text = text.replace(&place, &value.to_string());
        }
        text
    }

    const fn template(self, lang: Lang) -> &'static str {
        let (en, fr) = self.pair();
        match lang {
            Lang::En => en,
            Lang::Fr => fr,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn places(template: &str) -> BTreeSet<&str> {
        let after = template.split('{').skip(1);
        after
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn every_sentence_is_there_in_both_languages_with_the_same_facts() {
        for text in Text::ALL {
            let (en, fr) = (text.template(Lang::En), text.template(Lang::Fr));
            assert!(!en.trim().is_empty() && !fr.trim().is_empty(), "{text:?}");
            assert_eq!(places(en), places(fr), "{text:?}");
        }
    }

    #[test]
    fn puts_facts_in_their_places() {
        let said = Text::SandboxStopped.fill(Lang::Fr, &[("dir", &"./sandbox")]);
        assert!(said.contains("./sandbox") && !said.contains('{'));
    }
}
