//! Pages generated from code: the catalogue of reasons, in English and French.

use std::fmt::Write as _;

use anyhow::Context as _;
use entente_reason::{Lang, Reason};

use crate::tidy::Findings;
use crate::workspace::{self, File};

/// Writes the pages of reasons.
pub(crate) fn write_reasons() -> anyhow::Result<()> {
    for lang in Lang::ALL {
        let path = path(lang);
        std::fs::write(workspace::root().join(path), page(lang))
            .with_context(|| format!("writing {path}"))?;
        println!("wrote {path}");
    }
    Ok(())
}

/// Refuses pages of reasons that are not what the catalogue says now.
pub(crate) fn check_reasons(files: &[File]) -> Findings {
    let faults = Lang::ALL
        .into_iter()
        .filter(|&lang| {
            let wanted = page(lang);
            !files
                .iter()
                .any(|file| file.path == path(lang) && file.text == wanted)
        })
        .map(|lang| format!("{} is stale; run `cargo xtask docs reasons`", path(lang)))
        .collect();
    Findings::faults(faults)
}

fn path(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "docs/reasons.md",
        Lang::Fr => "docs/reasons.fr.md",
    }
}

/// The page in one language.
fn page(lang: Lang) -> String {
    let words = Words::of(lang);
    let mut page = format!("{}\n", words.head);
    for &reason in Reason::ALL {
        let grpc = reason.grpc().name().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "\n## {reason}\n\n{}\n{}\n\n{}{} `{grpc}` · {}{} `{}`\n",
            reason.text(lang),
            reason.remedy(lang),
            words.grpc,
            words.colon,
            words.at,
            words.colon,
            reason.at(),
        );
        if lang == Lang::En {
            let _ = write!(page, "\nWhen: {}\n", reason.doc());
        }
    }
    page
}

/// The fixed words of a page.
struct Words {
    head: &'static str,
    grpc: &'static str,
    at: &'static str,
    colon: &'static str,
}

// === impl Words ===

impl Words {
    fn of(lang: Lang) -> Self {
        match lang {
            Lang::En => Self {
                head: HEAD_EN,
                grpc: "gRPC status",
                at: "who acts",
                colon: ":",
            },
            Lang::Fr => Self {
                head: HEAD_FR,
                grpc: "état gRPC",
                at: "qui doit agir",
                colon: "\u{a0}:",
            },
        }
    }
}

const HEAD_EN: &str = "\
<!-- Generated from crates/reason by `cargo xtask docs reasons`. Do not edit. -->

# Reasons

A refused or failed call carries one of these in `google.rpc.ErrorInfo` (domain `entente`). The list
only grows; a code keeps its meaning. `at` says who must act. [En français](reasons.fr.md).";

const HEAD_FR: &str = "\
<!-- Produit à partir de crates/reason par `cargo xtask docs reasons`. Ne pas modifier. -->

# Motifs

Un appel refusé ou échoué porte l’un de ces motifs dans `google.rpc.ErrorInfo` (domaine `entente`).
La liste ne fait que s’allonger; un code garde son sens. `at` dit qui doit agir.
[In English](reasons.md).";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_holds_every_reason() {
        for lang in Lang::ALL {
            let page = page(lang);
            for &reason in Reason::ALL {
                assert!(page.contains(&format!("\n## {reason}\n")));
                assert!(page.contains(reason.text(lang)));
            }
        }
    }

    #[test]
    fn a_stale_or_missing_page_is_found() {
        let file = |lang: Lang, text: String| File {
            path: path(lang).to_owned(),
            text,
        };
        let fresh = [
            file(Lang::En, page(Lang::En)),
            file(Lang::Fr, page(Lang::Fr)),
        ];
        assert_eq!(check_reasons(&fresh), Findings::default());
        let stale = [file(Lang::En, page(Lang::En) + "x")];
        assert_eq!(check_reasons(&stale).faults.len(), 2);
    }
}
