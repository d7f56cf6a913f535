//! What of a contract a directory keeps for every service: names, without the types behind them.

use std::collections::BTreeSet;

use entente_identity::{ElementName, MethodName};

use crate::contract::{Contract, Direction, UnknownMethod};

/// The methods of a contract and the elements that can cross in each: a hundredth of the contract itself,
/// and all it takes to say whether an agreement or a call fits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Sorted by name.
    methods: Box<[MethodOutline]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct MethodOutline {
    name: MethodName,
    /// Each sorted.
    request: Box<[ElementName]>,
    response: Box<[ElementName]>,
}

// === impl Outline ===

impl Outline {
    /// The names of the methods, sorted.
    pub fn methods(&self) -> impl ExactSizeIterator<Item = &MethodName> {
        self.methods.iter().map(|method| &method.name)
    }

    /// Whether the contract declares a method.
    pub fn declares(&self, method: &MethodName) -> bool {
        self.find(method).is_some()
    }

    /// The elements that can cross in one direction of a method, sorted.
    ///
    /// # Errors
    /// When the contract does not declare the method.
    pub fn elements(
        &self,
        method: &MethodName,
        direction: Direction,
    ) -> Result<&[ElementName], UnknownMethod> {
        let found = self.find(method).ok_or_else(|| UnknownMethod {
            method: method.clone(),
        })?;
        Ok(match direction {
            Direction::Request => &found.request,
            Direction::Response => &found.response,
        })
    }

    fn find(&self, method: &MethodName) -> Option<&MethodOutline> {
        let at = self.methods.binary_search_by(|m| m.name.cmp(method));
        at.ok().map(|at| &self.methods[at])
    }
}

impl From<&Contract> for Outline {
    fn from(contract: &Contract) -> Self {
        // One name is held once, however many methods let it cross.
        let mut names = BTreeSet::new();
        let mut elements = |method: &MethodName, direction| -> Box<[ElementName]> {
            let elements = contract.elements(method, direction).unwrap_or_default();
            let shared = elements.into_iter().map(|element| {
                let known = names.get(&element).cloned();
                known.unwrap_or_else(|| {
                    names.insert(element.clone());
                    element
                })
            });
            shared.collect()
        };
        let methods = contract.methods().map(|method| MethodOutline {
            name: method.name.clone(),
            request: elements(&method.name, Direction::Request),
            response: elements(&method.name, Direction::Response),
        });
        Self {
            methods: methods.collect(),
        }
    }
}
