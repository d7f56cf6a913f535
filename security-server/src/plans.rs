//! Release plans, compiled once for each agreement, clause, method and set of elements.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use entente_agreement::Mode as ClauseMode;
use entente_contract::{CheckError, Contract, Direction, ReleasePlan};
use entente_identity::{ElementName, MethodName};
use entente_policy::Permit;
use entente_reason::Reason;
use entente_signing::Digest;

use crate::about::About;
use crate::refusal::Refusal;
use crate::view::Adopted;

/// Compiled plans by what they depend on. Those for all that a clause releases apart from those for
/// less: a peer may ask for ever other parts, and must not make everybody's plans be compiled again.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    whole: Mutex<HashMap<Key, Arc<Plan>>>,
    narrowed: Mutex<HashMap<Key, Arc<Plan>>>,
}

/// What may cross, in both directions of one method under one permit.
#[derive(Debug)]
pub(crate) struct Plan {
    contract: Contract,
    method: MethodName,
    request: ReleasePlan,
    answer: ReleasePlan,
    /// Elements of an answer that the system is asked for: what is released, and whatever says whom the
    /// answer is about.
    asked_for: BTreeSet<ElementName>,
    /// Whether all of that is released: then the answer itself says whom it is about.
    shows_subjects: bool,
    /// Whether an exchange may be about more subjects than are named.
    is_bulk: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    agreement: Digest,
    clause: u32,
    method: MethodName,
    /// What the answer may hold, when the caller asked for less than the clause releases.
    narrowed_to: Option<BTreeSet<ElementName>>,
}

/// Subjects of one message under a clause that is not for bulk. No policy raises it: what an agreement
/// permits is the parties' to say.
const MOST_IN_A_QUERY: usize = 128;

/// Plans kept of either sort; beyond that all of it are compiled again.
const MOST: usize = 2_048;

// === impl Plans ===

impl Plans {
    /// The plan for a method under a permit.
    pub(crate) fn plan(
        &self,
        adopted: &Adopted,
        method: &MethodName,
        permit: &Permit,
    ) -> Result<Arc<Plan>, Reason> {
        let key = Key {
            agreement: permit.agreement,
            clause: permit.clause,
            method: method.clone(),
            narrowed_to: permit.narrowed.then(|| permit.released.clone()),
        };
        let compiled = if permit.narrowed {
            &self.narrowed
        } else {
            &self.whole
        };
        if let Some(plan) = lock(compiled).get(&key) {
            return Ok(Arc::clone(plan));
        }
        let contract = adopted
            .contract(&permit.descriptor_set, &method.service())
            .ok_or(Reason::UnknownService)?;
        if !contract
            .method(method)
            .map_err(|error| error.reason())?
            .shape
            .is_unary()
        {
            return Err(Reason::StreamingLater);
        }
        let compile = |direction, elements: &BTreeSet<ElementName>| {
            ReleasePlan::compile(&contract, method, direction, elements)
                .map_err(|error| error.reason())
        };
        let about = contract.subject_elements(method, Direction::Response);
        let mut asked_for = about.map_err(|error| error.reason())?;
        let shows_subjects = asked_for.is_subset(&permit.released);
        asked_for.extend(permit.released.iter().cloned());
        let plan = Arc::new(Plan {
            asked_for,
            shows_subjects,
            request: compile(Direction::Request, &permit.request)?,
            answer: compile(Direction::Response, &permit.released)?,
            contract,
            method: method.clone(),
            is_bulk: permit.clause_mode == ClauseMode::Bulk,
        });
        let mut compiled = lock(compiled);
        if compiled.len() >= MOST {
            compiled.clear();
        }
        compiled.insert(key, Arc::clone(&plan));
        Ok(plan)
    }
}

fn lock(compiled: &Mutex<HashMap<Key, Arc<Plan>>>) -> MutexGuard<'_, HashMap<Key, Arc<Plan>>> {
    compiled.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Plan ===

impl Plan {
    /// Refuses a request that carries anything not agreed, and says whom it is about: up to `most` by
    /// name. (G6)
    pub(crate) fn check_request(&self, body: &[u8], most: usize) -> Result<About, Refusal> {
        self.request.check(body).map_err(|error| {
            let refusal = Refusal::new(error.reason());
            match error {
                CheckError::Unlisted { path } => refusal.with("field", path),
                _ => refusal,
            }
        })?;
        let about = self.about(Direction::Request, body, most)?;
        self.check_count(&about)?;
        Ok(about)
    }

    /// Whom an answer is about: up to `most` by name.
    pub(crate) fn about_answer(&self, answer: &[u8], most: usize) -> Result<About, Reason> {
        let answered = self.about(Direction::Response, answer, most);
        answered.map_err(|_| Reason::InvalidAnswer)
    }

    /// Refuses a message about more than a clause that is not for bulk permits.
    pub(crate) fn check_count(&self, about: &About) -> Result<(), Reason> {
        let is_over = about.is_bulk() || about.subjects().len() > MOST_IN_A_QUERY;
        if is_over && !self.is_bulk {
            return Err(Reason::TooManySubjects);
        }
        Ok(())
    }

    /// Whether an exchange may be about more subjects than are named.
    pub(crate) const fn is_bulk(&self) -> bool {
        self.is_bulk
    }

    /// Whether an answer itself says whom it is about.
    pub(crate) const fn shows_subjects(&self) -> bool {
        self.shows_subjects
    }

    /// Elements of an answer that the system is asked for.
    pub(crate) const fn asked_for(&self) -> &BTreeSet<ElementName> {
        &self.asked_for
    }

    fn about(&self, direction: Direction, body: &[u8], most: usize) -> Result<About, Reason> {
        let found = self.contract.subjects(&self.method, direction, body, most);
        About::of(found.map_err(|error| error.reason())?)
    }

    /// The answer with everything not agreed taken out. (G6)
    pub(crate) fn filter_answer(&self, body: &Bytes) -> Result<Bytes, Reason> {
        self.answer.filter(body).map_err(|_| Reason::InvalidAnswer)
    }
}
