//! Release plans, compiled once for each agreement, clause, method and set of elements.

use std::borrow::Cow;
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
            .state()
            .contract(&permit.descriptor_set, &method.service())
            .ok_or(Reason::UnknownService)?
            .clone();
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
        let plan = Arc::new(Plan {
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
        Ok(self.permitted(about)?)
    }

    /// Whom the whole exchange is about: whom it asked about, and whoever is in the answer.
    pub(crate) fn about_with<'a>(
        &self,
        asked: &'a About,
        answer: &[u8],
        most: usize,
    ) -> Result<Cow<'a, About>, Reason> {
        let answered = self.about(Direction::Response, answer, most);
        let answered = answered.map_err(|_| Reason::InvalidAnswer)?;
        let about = asked.with(answered, most);
        self.permitted(about)
    }

    fn about(&self, direction: Direction, body: &[u8], most: usize) -> Result<About, Reason> {
        let found = self.contract.subjects(&self.method, direction, body, most);
        About::of(found.map_err(|error| error.reason())?)
    }

    fn permitted<T: std::borrow::Borrow<About>>(&self, about: T) -> Result<T, Reason> {
        if *about.borrow() == About::Many && !self.is_bulk {
            return Err(Reason::TooManySubjects);
        }
        Ok(about)
    }

    /// The answer with everything not agreed taken out. (G6)
    pub(crate) fn filter_answer(&self, body: &Bytes) -> Result<Bytes, Reason> {
        self.answer.filter(body).map_err(|_| Reason::InvalidAnswer)
    }
}
