//! Subject tags: how a person finds the entries about them, and nobody else can (DESIGN.md §8).
//!
//! One secret key per month, retention class and notice class, kept with the server's other keys
//! and destroyed with the class. A tag means nothing without the subject's key derived from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use entente_agreement::{NoticeClass, RetentionClass};
use entente_clock::Clock;
use entente_evidence::commitment::Subject;
use entente_evidence::statement::{LogOrigin, MessageId};
use entente_evidence::tag::{Tag, TagKey, Tags};
use entente_keys::{KeyStore, KeyUse};
use entente_policy::Permit;
use entente_reason::Reason;

/// The server's tag keys.
#[derive(Debug)]
pub(crate) struct TagKeys {
    store: KeyStore,
    origin: LogOrigin,
    clock: Arc<dyn Clock>,
    loaded: Mutex<HashMap<String, Arc<TagKey>>>,
}

/// The tags of one exchange in this server's ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExchangeTags(Vec<Tag>);

// === impl TagKeys ===

impl TagKeys {
    /// Over the server's key store, for one ledger.
    pub(crate) fn new(store: KeyStore, origin: LogOrigin, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            origin,
            clock,
            loaded: Mutex::default(),
        }
    }

    /// The tags of `subjects` in one exchange.
    pub(crate) fn tags(
        &self,
        permit: &Permit,
        subjects: &[Subject],
        message: &MessageId,
    ) -> Result<ExchangeTags, Reason> {
        if subjects.is_empty() {
            return Ok(ExchangeTags::default());
        }
        let key = self.key(permit)?;
        let tags = subjects
            .iter()
            .map(|subject| key.subject_key(subject).tag(&self.origin, message))
            .collect();
        Ok(ExchangeTags(tags))
    }

    fn key(&self, permit: &Permit) -> Result<Arc<TagKey>, Reason> {
        let month = self.clock.now().month();
        let label = label(&month, &permit.retention_class, permit.notice_class);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = loaded.get(&label) {
            return Ok(Arc::clone(key));
        }
        // Once a month and class: the key is made and durable before it tags anything.
        let secret = match self.store.load_secret(KeyUse::Tag, &label) {
            Ok(secret) => secret,
            Err(_) => self
                .store
                .generate_secret(KeyUse::Tag, &label)
                .map_err(|_| Reason::LogUnavailable)?,
        };
        let bytes = secret
            .expose()
            .try_into()
            .map_err(|_| Reason::InternalFault)?;
        let key = Arc::new(TagKey::new(bytes));
        loaded.insert(label, Arc::clone(&key));
        Ok(key)
    }
}

/// The key's label: the classes are bounded so that the longest still is one.
fn label(month: &str, retention: &RetentionClass, notice: NoticeClass) -> String {
    format!("{month}-{retention}-{}", notice.as_str())
}

// === impl ExchangeTags ===

impl ExchangeTags {
    /// As they stand in an entry of our own.
    pub(crate) fn own(&self) -> Vec<Tag> {
        self.0.clone()
    }

    /// As they stand in a statement, padded; more than fit are in TAGS entries instead.
    pub(crate) fn in_statement(&self) -> Result<Tags, Reason> {
        if self.overflow().is_some() {
            return Ok(Tags::none());
        }
        Tags::padded(self.0.clone()).map_err(|_| Reason::InternalFault)
    }

    /// The tags, when there are more than a statement holds.
    pub(crate) fn overflow(&self) -> Option<&[Tag]> {
        (self.0.len() > Tags::MAX).then_some(self.0.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use entente_clock::Timestamp;
    use entente_evidence::proof::SignedStatement;
    use entente_ledger::entry::{Body, Entry, In};
    use entente_signing::Digest;

    use super::*;

    #[test]
    fn the_longest_retention_class_an_agreement_may_name_still_labels_a_key() {
        let longest = "r".repeat(32).parse().unwrap();
        assert!("r".repeat(33).parse::<RetentionClass>().is_err());
        let month = Timestamp::MAX.month();
        for notice in [
            NoticeClass::Deferred,
            NoticeClass::Immediate,
            NoticeClass::Withheld,
        ] {
            assert!(label(&month, &longest, notice).len() <= KeyStore::MAX_LABEL);
        }
    }

    #[test]
    fn the_tags_of_the_most_subjects_fit_an_entry_beside_the_longest_statement() {
        let entry = Entry {
            at: Timestamp::from_millis(u64::MAX),
            body: Body::In(In {
                statement: Bytes::from(vec![0; SignedStatement::MAX_LEN]),
                sidecar: Some(Digest::of(b"record")),
                view: Some(u64::MAX),
                tags: vec![[0; 16]; entente_contract::MAX_SUBJECTS],
            }),
        };
        assert!(entry.encode().is_ok());
    }
}
