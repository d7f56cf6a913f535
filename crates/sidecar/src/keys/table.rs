//! What a key folder holds, as bytes: every key, wrapped, and which periods may never have one again.

use std::collections::BTreeMap;

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use entente_signing::cbor::{CborError, Reader, Writer};
use zeroize::Zeroizing;

use crate::retention::{KeyName, Period, Retention};
use crate::{SidecarError, frame};

/// The keys of one generation, all wrapped (AES-KW, RFC 3394) under its master key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    keys: BTreeMap<KeyName, [u8; 40]>,
    /// For each retention and use, the newest period that was destroyed: no key is made for one that is
    /// not newer. Time only goes forward, so one line says it for all before.
    ended: BTreeMap<(Retention, String), String>,
}

/// A master key.
pub(crate) type Master = Zeroizing<[u8; 32]>;

// === impl Table ===

impl Table {
    /// Most keys in one folder: ten classes kept ten years have 37,000.
    pub(crate) const MAX_KEYS: usize = 100_000;

    pub(crate) fn names(&self) -> impl Iterator<Item = &KeyName> {
        self.keys.keys()
    }

    /// The keys of a period, the newest first.
    pub(crate) fn of(&self, period: &Period) -> impl Iterator<Item = &KeyName> {
        let name = |number| KeyName {
            period: period.clone(),
            number,
        };
        let found = self.keys.range(name(0)..=name(u32::MAX));
        found.rev().map(|(name, _)| name)
    }

    pub(crate) fn unwrap(
        &self,
        master: &Master,
        name: &KeyName,
    ) -> Result<Option<Zeroizing<[u8; 32]>>, SidecarError> {
        let Some(wrapped) = self.keys.get(name) else {
            return Ok(None);
        };
        let mut key = Zeroizing::new([0; 32]);
        kek(master)?
            .unwrap(wrapped, &mut *key)
            .map_err(|_| SidecarError::Seal)?;
        Ok(Some(key))
    }

    /// Adds a key.
    ///
    /// # Errors
    /// When its period was destroyed, or there are too many.
    pub(crate) fn add(
        &mut self,
        master: &Master,
        name: KeyName,
        key: &[u8; 32],
    ) -> Result<(), SidecarError> {
        if self.is_ended(&name.period) {
            return Err(SidecarError::Shredded);
        }
        if self.keys.len() >= Self::MAX_KEYS {
            return Err(SidecarError::Size);
        }
        self.keys.insert(name, wrap(master, key)?);
        Ok(())
    }

    /// The same keys but those that `goes`, wrapped under another master key.
    ///
    /// # Errors
    /// When one that stays does not open: it must not be lost.
    pub(crate) fn rewrapped(
        &self,
        old: &Master,
        new: &Master,
        goes: impl Fn(&KeyName) -> bool,
    ) -> Result<Self, SidecarError> {
        let mut table = Self {
            ended: self.ended.clone(),
            keys: BTreeMap::new(),
        };
        for (name, wrapped) in self.keys.iter().filter(|(name, _)| !goes(name)) {
            let mut key = Zeroizing::new([0; 32]);
            kek(old)?
                .unwrap(wrapped, &mut *key)
                .map_err(|_| SidecarError::Seal)?;
            table.keys.insert(name.clone(), wrap(new, &key)?);
        }
        Ok(table)
    }

    /// Whether a period may never have a key again.
    pub(crate) fn is_ended(&self, period: &Period) -> bool {
        let (series, when) = period.span.series();
        let ended = self
            .ended
            .get(&(period.retention.clone(), series.to_owned()));
        ended.is_some_and(|newest| when <= *newest)
    }

    /// Notes that a period is over.
    pub(crate) fn end(&mut self, period: &Period) {
        let (series, when) = period.span.series();
        let series = (period.retention.clone(), series.to_owned());
        let newest = self.ended.entry(series).or_default();
        if *newest < when {
            *newest = when;
        }
    }

    /// One frame: CBOR `[1, generation, [[retention, use, newest destroyed] …], [[name, wrapped] …]]`.
    pub(crate) fn encode(&self, generation: u64) -> Result<Vec<u8>, SidecarError> {
        let mut out = Writer::with_capacity(64 + self.keys.len() * 112);
        out.array(4).uint(1).uint(generation);
        out.array(self.ended.len());
        for ((retention, series), newest) in &self.ended {
            out.array(3).text(&retention.to_string());
            out.text(series).text(newest);
        }
        out.array(self.keys.len());
        for (name, wrapped) in &self.keys {
            out.array(2).text(&name.to_string()).bytes(wrapped);
        }
        let mut framed = Vec::new();
        frame::put(&mut framed, out.as_slice())?;
        Ok(framed)
    }

    /// Reads what [`Table::encode`] wrote; none when it is not that.
    pub(crate) fn decode(bytes: &[u8], generation: u64) -> Option<Self> {
        let (body, rest) = frame::split(bytes)?;
        let table = Self::decode_body(body, generation).ok()?;
        rest.is_empty().then_some(table)
    }

    fn decode_body(body: &[u8], generation: u64) -> Result<Self, CborError> {
        let mut reader = Reader::new(body);
        if reader.array()? != 4 || reader.uint()? != 1 || reader.uint()? != generation {
            return Err(CborError::Unexpected);
        }
        let mut table = Self::default();
        for _ in 0..reader.array()? {
            if reader.array()? != 3 {
                return Err(CborError::Unexpected);
            }
            let retention = reader.text()?.parse().map_err(|_| CborError::Range)?;
            let series = (retention, reader.text()?.to_owned());
            table.ended.insert(series, reader.text()?.to_owned());
        }
        for _ in 0..reader.array()? {
            if reader.array()? != 2 {
                return Err(CborError::Unexpected);
            }
            let name = reader.text()?.parse().map_err(|_| CborError::Range)?;
            table.keys.insert(name, reader.bytes_exact()?);
        }
        reader.finish()?;
        Ok(table)
    }
}

fn wrap(master: &Master, key: &[u8; 32]) -> Result<[u8; 40], SidecarError> {
    let mut wrapped = [0; 40];
    kek(master)?
        .wrap(key, &mut wrapped)
        .map_err(|_| SidecarError::Seal)?;
    Ok(wrapped)
}

fn kek(master: &Master) -> Result<AesKek, SidecarError> {
    AesKek::new(&AES_256, &**master).map_err(|_| SidecarError::Seal)
}
