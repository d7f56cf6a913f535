//! Subject tags: how a person finds the entries about them, and nobody else can (DESIGN.md §8).
//!
//! One secret key per month, retention and notice class, kept with the sidecar's keys and destroyed
//! with them. A tag means nothing without the subject's key derived from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use entente_clock::Clock;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::{LogOrigin, MessageId};
use entente_evidence::tag::{Tag, TagKey, Tags};
use entente_ledger::entry::{Body, LateTags};
use entente_policy::Permit;
use entente_reason::Reason;
use entente_sidecar::{Period, Sidecar};

use crate::about::About;
use crate::journal::{Journal, retention_of};

/// The server's tag keys.
#[derive(Debug)]
pub(crate) struct TagKeys {
    sidecar: Sidecar,
    origin: LogOrigin,
    clock: Arc<dyn Clock>,
    loaded: Mutex<Loaded>,
}

/// The keys of one month: an older one tags nothing any more.
#[derive(Debug, Default)]
struct Loaded {
    month: String,
    keys: HashMap<Period, Arc<TagKey>>,
}

/// The tags of one exchange in this server's ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExchangeTags {
    tags: Vec<Tag>,
    /// Whether the statement is to hold none of them, however few.
    is_apart: bool,
}

// === impl TagKeys ===

impl TagKeys {
    /// Over the sidecar that keeps the keys, for one ledger.
    pub(crate) fn new(sidecar: Sidecar, origin: LogOrigin, clock: Arc<dyn Clock>) -> Self {
        Self {
            sidecar,
            origin,
            clock,
            loaded: Mutex::default(),
        }
    }

    /// The tags of whom one exchange is about; everybody's among them when there are many.
    pub(crate) fn tags(
        &self,
        permit: &Permit,
        about: &About,
        message: &MessageId,
    ) -> Result<ExchangeTags, Reason> {
        if about.subjects().is_empty() {
            return Ok(ExchangeTags::default());
        }
        let key = self.key(permit)?;
        let tags = about
            .subjects()
            .iter()
            .map(|subject| key.subject_key(subject).tag(&self.origin, message))
            .collect();
        Ok(ExchangeTags {
            tags,
            is_apart: false,
        })
    }

    fn key(&self, permit: &Permit) -> Result<Arc<TagKey>, Reason> {
        let month = self.clock.now().month();
        let retention = retention_of(permit)?;
        let period = Period::of_tags(retention, &month, permit.notice_class.as_str())
            .map_err(|error| error.reason())?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.month != month {
            *loaded = Loaded {
                month,
                keys: HashMap::new(),
            };
        }
        if let Some(key) = loaded.keys.get(&period) {
            return Ok(Arc::clone(key));
        }
        // Once a month and class: the key is made and durable before it tags anything.
        let secret = self.sidecar.tag_key(&period);
        let secret = secret.map_err(|error| error.reason())?;
        let key = Arc::new(TagKey::new(&secret));
        loaded.keys.insert(period, Arc::clone(&key));
        Ok(key)
    }
}

// === impl ExchangeTags ===

impl ExchangeTags {
    /// The same, all of them in TAGS entries.
    pub(crate) fn apart(self) -> Self {
        Self {
            is_apart: !self.tags.is_empty(),
            ..self
        }
    }

    /// As they stand in an entry of our own.
    pub(crate) fn own(&self) -> Vec<Tag> {
        self.tags.clone()
    }

    /// As they stand in a statement, padded; more than fit are in TAGS entries instead.
    pub(crate) fn in_statement(&self) -> Result<Tags, Reason> {
        if self.overflow().is_some() {
            return Ok(Tags::none());
        }
        Tags::padded(self.tags.clone()).map_err(|_| Reason::InternalFault)
    }

    /// TAGS entries for what the statement does not hold, padded to multiples of 64. Written before the
    /// statement they belong to is logged and sent.
    pub(crate) async fn write_overflow(
        &self,
        journal: &Journal,
        statement: &SignedStatement,
    ) -> Result<(), Reason> {
        let Some(overflow) = self.overflow() else {
            return Ok(());
        };
        for tags in padded_to_64(overflow)?.chunks(MAX_LATE_TAGS) {
            let entry = LateTags {
                statement: statement.hash(),
                tags: tags.to_vec(),
            };
            // If we crash here, tags are there of a statement that is not, and never was sent.
            journal.append(Body::Tags(entry)).await?;
        }
        Ok(())
    }

    /// The tags, when the statement does not hold them.
    fn overflow(&self) -> Option<&[Tag]> {
        (self.is_apart || self.tags.len() > Tags::MAX).then_some(self.tags.as_slice())
    }
}

/// Tags with random ones after them up to a multiple of 64, in no telling order.
fn padded_to_64(tags: &[Tag]) -> Result<Vec<Tag>, Reason> {
    let mut padded = tags.to_vec();
    while !padded.len().is_multiple_of(64) {
        let random = MessageId::generate().map_err(|error| error.reason())?;
        padded.push(*random.as_bytes());
    }
    padded.sort_unstable();
    Ok(padded)
}

/// Tags in one TAGS entry.
const MAX_LATE_TAGS: usize = 1_024;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use entente_agreement::{NoticeClass, RetentionClass};
    use entente_clock::Timestamp;
    use entente_ledger::entry::{Entry, In};
    use entente_sidecar::Retention;
    use entente_signing::Digest;

    use super::*;

    #[test]
    fn the_longest_retention_class_an_agreement_may_name_still_names_a_key() {
        let longest: RetentionClass = "r".repeat(32).parse().unwrap();
        assert!("r".repeat(33).parse::<RetentionClass>().is_err());
        let retention = Retention::new(longest.as_str(), Retention::MAX_DAYS).unwrap();
        let month = Timestamp::MAX.month();
        for notice in [
            NoticeClass::Deferred,
            NoticeClass::Immediate,
            NoticeClass::Withheld,
        ] {
            assert!(Period::of_tags(retention.clone(), &month, notice.as_str()).is_ok());
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
                tags: vec![[0; 16]; MAX_LATE_TAGS],
            }),
        };
        assert!(entry.encode().is_ok());
    }
}
