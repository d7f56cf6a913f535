//! Raising an alarm, with what it is raised over.

use bytes::Bytes;
use entente_signing::Digest;
use entente_signing::cbor::Writer;

use super::Session;
use crate::alarm::{Alarm, AlarmKind};

impl Session {
    pub(super) fn raise(&self, kind: AlarmKind, shown: &[u8]) {
        let (view, at) = (self.shared.view(), self.shared.now());
        let held = view.checkpoint.as_ref().map(|held| held.note().to_string());
        let digest = Digest::of_parts(&[shown, &view.size.to_be_bytes()]).to_string();
        let mut evidence = Writer::new();
        evidence.array(5).uint(1).text(kind.as_str());
        match &held {
            Some(note) => evidence.bytes(note.as_bytes()),
            None => evidence.null(),
        };
        evidence.bytes(shown);
        let entries: Vec<&Bytes> = self.ahead.evident().collect();
        evidence.array(entries.len());
        for entry in entries {
            evidence.bytes(entry);
        }
        let name = format!("{}-{}.cbor", kind.as_str(), &digest[..16]);
        let kept = self.replica.keep_evidence(&name, evidence.as_slice());
        let origin = self.shared.anchor.origin().to_owned();
        tracing::error!(
            event = "registry.alarm",
            kind = kind.as_str(),
            origin,
            size = view.size,
            kept = matches!(kept, Ok(Some(_))),
        );
        self.shared.raise(Alarm {
            kind,
            at,
            origin,
            evidence: kept.unwrap_or_default(),
        });
    }
}
