//! What a member says about the services it offers.

use std::collections::BTreeSet;

use entente_clock::Timestamp;
use entente_identity::{ServiceName, SystemId};
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader};

use crate::codec::{BodyError, Fields, Map, ascending, digest, parsed, time, u32};

/// A member offers a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePublish {
    /// The service.
    pub service: ServiceName,
    /// The systems that provide it; all of the author.
    pub systems: BTreeSet<SystemId>,
    /// SHA-256 of the descriptor set, a blob.
    pub descriptor_set: Digest,
    /// Counts up from 1.
    pub version: u32,
}

/// A member offers a service no longer, or says from when on it will not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRetire {
    /// The service.
    pub service: ServiceName,
    /// Since when.
    pub sunset: Sunset,
}

/// When a service ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sunset {
    /// With the change that says so.
    Now,
    /// At this moment; one that is past is now. Said again, another moment takes its place.
    At(Timestamp),
    /// Not at all: what was announced is taken back.
    Never,
}

// === impl ServicePublish ===

impl ServicePublish {
    pub(super) fn fields(&self, to: &mut Fields) {
        to.text(1, self.service.as_str())
            .list(2, self.systems.iter(), |out, system| {
                out.text(system.as_str());
            })
            .digest(3, &self.descriptor_set)
            .uint(4, u64::from(self.version));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            service: map.required(1, parsed)?,
            systems: map.required(2, |r| ascending(r, parsed))?,
            descriptor_set: map.required(3, digest)?,
            version: map.required(4, u32)?,
        };
        map.end()?;
        Ok(body)
    }
}

// === impl ServiceRetire ===

impl ServiceRetire {
    pub(super) fn fields(&self, to: &mut Fields) {
        to.text(1, self.service.as_str());
        match self.sunset {
            Sunset::Now => {}
            Sunset::At(at) => {
                to.time(2, at);
            }
            Sunset::Never => {
                to.key(2).null();
            }
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            service: map.required(1, parsed)?,
            sunset: map.optional(2, Sunset::read)?.unwrap_or(Sunset::Now),
        };
        map.end()?;
        Ok(body)
    }
}

// === impl Sunset ===

impl Sunset {
    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let at = reader.optional(time)?;
        Ok(at.map_or(Self::Never, Self::At))
    }
}
