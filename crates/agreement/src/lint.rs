//! The five faults auditors find in data-sharing agreements.
//!
//! From the findings of the Privacy Commissioner's audits: elements "far too general", safeguards
//! that nobody could test, no third-party caveat, no limit on use, no audit provision. A document
//! with any of them may be drafted; it may not be proposed.

use std::fmt;

use entente_reason::Lang;

use crate::{Clause, Document};

/// One fault. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Nobody may audit.
    AuditMissing,
    /// Elements name a whole record, or nothing, instead of facts.
    ElementsTooGeneral,
    /// Nothing says whether the data may be passed on.
    OnwardMissing,
    /// No safeguard that an auditor could test for.
    SafeguardsUntyped,
    /// Nothing says what the data may not be used for.
    UseLimitMissing,
}

/// A fault, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The fault.
    pub fault: Fault,
    /// In which clause; absent when it is the agreement's.
    pub clause: Option<u32>,
    /// The method or element, where that helps.
    pub subject: Option<String>,
}

/// Every fault of a document, in the order of its clauses. Empty is good.
pub fn check(document: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    if document.audit.is_none() {
        findings.push(Finding::new(Fault::AuditMissing, None, None));
    }
    for clause in &document.clauses {
        check_clause(clause, &mut findings);
    }
    findings
}

fn check_clause(clause: &Clause, findings: &mut Vec<Finding>) {
    let number = Some(clause.number);
    for (method, terms) in &clause.methods {
        if terms.release.is_empty() {
            findings.push(Finding::new(
                Fault::ElementsTooGeneral,
                number,
                Some(method),
            ));
        }
        for element in terms.request.iter().chain(&terms.release) {
            // `person` is a whole record; `person.birth-date` is a fact about it.
            if !element.as_str().contains('.') {
                let subject = Some(element.as_str());
                findings.push(Finding::new(Fault::ElementsTooGeneral, number, subject));
            }
        }
    }
    if clause.safeguards.is_empty() {
        findings.push(Finding::new(Fault::SafeguardsUntyped, number, None));
    }
    if clause.onward.is_none() {
        findings.push(Finding::new(Fault::OnwardMissing, number, None));
    }
    if clause.use_limit.is_none() {
        findings.push(Finding::new(Fault::UseLimitMissing, number, None));
    }
}

// === impl Fault ===

impl Fault {
    /// All five, alphabetically.
    pub const ALL: [Self; 5] = [
        Self::AuditMissing,
        Self::ElementsTooGeneral,
        Self::OnwardMissing,
        Self::SafeguardsUntyped,
        Self::UseLimitMissing,
    ];

    /// The code that tools match on.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AuditMissing => "AUDIT_MISSING",
            Self::ElementsTooGeneral => "ELEMENTS_TOO_GENERAL",
            Self::OnwardMissing => "ONWARD_MISSING",
            Self::SafeguardsUntyped => "SAFEGUARDS_UNTYPED",
            Self::UseLimitMissing => "USE_LIMIT_MISSING",
        }
    }

    /// What is wrong, in one sentence.
    pub const fn text(self, lang: Lang) -> &'static str {
        match (self, lang) {
            (Self::AuditMissing, Lang::En) => "The agreement gives nobody the right to audit.",
            (Self::AuditMissing, Lang::Fr) => "L’entente ne donne à personne le droit de vérifier.",
            (Self::ElementsTooGeneral, Lang::En) => {
                "The data elements are too general: a whole record, or nothing, instead of facts."
            }
            (Self::ElementsTooGeneral, Lang::Fr) => {
                "Les éléments de données sont trop généraux : un dossier entier, ou rien, plutôt que des faits."
            }
            (Self::OnwardMissing, Lang::En) => {
                "Nothing says whether the recipient may pass the data on."
            }
            (Self::OnwardMissing, Lang::Fr) => {
                "Rien n’indique si le destinataire peut communiquer les données à d’autres."
            }
            (Self::SafeguardsUntyped, Lang::En) => {
                "No safeguard is named that an auditor could test for."
            }
            (Self::SafeguardsUntyped, Lang::Fr) => {
                "Aucune mesure de protection vérifiable n’est nommée."
            }
            (Self::UseLimitMissing, Lang::En) => {
                "Nothing says what the recipient may not do with the data."
            }
            (Self::UseLimitMissing, Lang::Fr) => {
                "Rien n’indique ce que le destinataire ne peut pas faire des données."
            }
        }
    }

    /// What to write, in one sentence.
    pub const fn remedy(self, lang: Lang) -> &'static str {
        match (self, lang) {
            (Self::AuditMissing, Lang::En) => {
                "Add `audit` with `by`, `every_months`, `notice_days` and `right`."
            }
            (Self::AuditMissing, Lang::Fr) => {
                "Ajoutez `audit` avec `by`, `every_months`, `notice_days` et `right`."
            }
            (Self::ElementsTooGeneral, Lang::En) => {
                "List each element by its full name in the contract, such as `death.date`."
            }
            (Self::ElementsTooGeneral, Lang::Fr) => {
                "Nommez chaque élément comme dans le contrat, par exemple `death.date`."
            }
            (Self::OnwardMissing, Lang::En) => {
                "Add `onward` with the rule `none`, `listed` or `open`."
            }
            (Self::OnwardMissing, Lang::Fr) => {
                "Ajoutez `onward` avec la règle `none`, `listed` ou `open`."
            }
            (Self::SafeguardsUntyped, Lang::En) => {
                "Add `safeguards` from the closed list, such as `encrypted-at-rest`."
            }
            (Self::SafeguardsUntyped, Lang::Fr) => {
                "Ajoutez `safeguards` tirées de la liste, par exemple `encrypted-at-rest`."
            }
            (Self::UseLimitMissing, Lang::En) => {
                "Add `use_limit` with a sentence in each language."
            }
            (Self::UseLimitMissing, Lang::Fr) => {
                "Ajoutez `use_limit` avec une phrase dans chaque langue."
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

// === impl Finding ===

impl Finding {
    fn new(fault: Fault, clause: Option<u32>, subject: Option<&str>) -> Self {
        let subject = subject.map(Into::into);
        Self {
            fault,
            clause,
            subject,
        }
    }
}
