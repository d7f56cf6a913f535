//! Sections 7, 12 and 13: an entry on each side, both ledgers proven, and a flipped byte found.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use entente_ledger::tree::leaf_hash;
use entente_sandbox::{Agency, FEDERAL, PROVINCES};

use super::{Demo, PENSIONS, PROVIDER, broken};
use crate::command::log::verify::{Verdict, check, print_verdict};
use crate::command::log::{Line, damaged, known_key, ledgers_in, open};
use crate::exit::Failure;
use crate::texts::{Fact, Text};

/// The entries of one exchange in one ledger, each with its bytes.
type Entries = Vec<(Line, Bytes)>;

// === impl Demo ===

impl Demo<'_> {
    /// The exchange as each side logged it, and that both logged the same.
    pub(super) fn both_sides(&self, transaction: &str) -> Result<(), Failure> {
        let sides = [PENSIONS, PROVIDER];
        let [ours, theirs] = sides.map(|agency| self.entries(agency, transaction));
        let (ours, theirs) = (ours?, theirs?);
        for (agency, entries) in sides.iter().zip([&ours, &theirs]) {
            self.tell(Text::DemoSide, &[("member", &agency.member())]);
            for (line, _) in entries {
                self.line(&line.human(self.screen));
            }
        }
        self.compare(&ours, &theirs)
    }

    /// That two sides logged the same, without showing each entry again.
    pub(super) fn same_on_both_sides(
        &self,
        (consumer, provider): (&Agency, &Agency),
        transaction: &str,
    ) -> Result<(), Failure> {
        let ours = self.entries(consumer, transaction)?;
        let theirs = self.entries(provider, transaction)?;
        let members = [("one", &consumer.member()), ("other", &provider.member())];
        let facts: [Fact<'_>; 2] = members.map(|(name, member)| (name, member as _));
        self.tell(Text::DemoSides, &facts);
        self.compare(&ours, &theirs)
    }

    fn entries(&self, agency: &Agency, transaction: &str) -> Result<Entries, Failure> {
        let mut found = Vec::new();
        for dir in ledgers_in(&self.layout.ledgers(agency), self.screen)? {
            let mut reader = open(&dir, self.screen)?;
            for entry in reader.entries(0) {
                let (index, bytes) = entry.map_err(|error| damaged(&dir, &error, self.screen))?;
                let line = Line::read(index, &bytes);
                let line = line.ok_or_else(|| self.not_as_told("an entry cannot be read"))?;
                if line.transaction.as_deref() == Some(transaction) {
                    found.push((line, bytes));
                }
            }
        }
        Ok(found)
    }

    /// OUT and IN of the request, OUT and IN of the answer: the same statements, and the receipt
    /// names the entry that is there.
    fn compare(&self, ours: &Entries, theirs: &Entries) -> Result<(), Failure> {
        let ([(asked, _), (answered, _)], [(received, leaf), (sent, _)]) = (&ours[..], &theirs[..])
        else {
            return Err(self.not_as_told("an exchange is not two entries on each side"));
        };
        let bytes = |line: &Line| line.statement.as_ref().map(|signed| signed.bytes().clone());
        let same = bytes(asked).is_some()
            && bytes(asked) == bytes(received)
            && bytes(answered) == bytes(sent);
        self.ensure(same, "the two sides logged different statements")?;
        self.done(Text::DemoSame, &[]);
        let receipt = answered
            .statement
            .as_ref()
            .and_then(|signed| signed.statement().receipt());
        let receipt = receipt.ok_or_else(|| self.not_as_told("the answer has no receipt"))?;
        let holds = receipt.index == received.index && receipt.leaf_hash == leaf_hash(leaf);
        self.ensure(holds, "the receipt is of another entry")?;
        let facts: [Fact<'_>; 2] = [("index", &receipt.index), ("ledger", &receipt.origin)];
        self.done(Text::DemoReceiptHolds, &facts);
        let personal = [PERSON.as_bytes(), b"u-7f3a", b"GIS-2026-5521"];
        let silent = ours.iter().chain(theirs).all(|(_, entry)| {
            let holds = |value: &[u8]| entry.windows(value.len()).any(|window| window == value);
            !personal.into_iter().any(holds)
        });
        self.ensure(silent, "an entry holds a personal value")?;
        self.done(Text::DemoNothingPersonal, &[]);
        Ok(())
    }

    /// Every ledger, replayed whole.
    pub(super) async fn verify(&mut self) -> Result<(), Failure> {
        self.section(Text::DemoProof);
        let mut dirs = vec![
            self.layout.ledgers(PENSIONS),
            self.layout.ledgers(PROVIDER),
            self.layout.registry(&FEDERAL),
        ];
        for realm in &PROVINCES {
            let agencies = realm.agencies.iter();
            dirs.extend(agencies.map(|agency| self.layout.ledgers(agency)));
            dirs.push(self.layout.registry(realm));
        }
        for dir in dirs {
            for ledger in ledgers_in(&dir, self.screen)? {
                let verdict = self.check(&ledger, None).await?;
                self.ensure(verdict.report.is_sound(), "a ledger is damaged")?;
                let facts: [Fact<'_>; 3] = [
                    ("ledger", &verdict.origin),
                    ("entries", &verdict.report.size),
                    ("root", &short(&verdict.report.root.to_string())),
                ];
                self.done(Text::DemoVerified, &facts);
            }
        }
        Ok(())
    }

    /// One byte of a copy, changed and found.
    pub(super) async fn find_a_flipped_byte(&mut self) -> Result<(), Failure> {
        self.section(Text::DemoFlip);
        let ledgers = ledgers_in(&self.layout.ledgers(PENSIONS), self.screen)?;
        let ledger = ledgers
            .first()
            .ok_or_else(|| self.not_as_told("there is no ledger"))?;
        let copy = self.layout.root().join("altered-copy");
        fs::create_dir_all(&copy).map_err(|error| broken(&error))?;
        crate::command::log::copy(ledger, &copy).map_err(|error| broken(&error))?;
        let bundle = first_file(&copy.join("log/tile/entries"));
        let bundle = bundle.ok_or_else(|| self.not_as_told("the copy has no entries"))?;
        let mut bytes = fs::read(&bundle).map_err(|error| broken(&error))?;
        let at = bytes.len() / 2;
        let Some(byte) = bytes.get_mut(at) else {
            return Err(self.not_as_told("the copy has no entries"));
        };
        *byte ^= 1;
        fs::write(&bundle, &bytes).map_err(|error| broken(&error))?;
        let file = bundle.strip_prefix(&copy).unwrap_or(&bundle);
        let facts: [Fact<'_>; 3] = [
            ("at", &at),
            ("file", &file.display()),
            ("copy", &copy.display()),
        ];
        self.tell(Text::DemoFlipped, &facts);
        let verdict = self
            .check(&copy, Some(&self.layout.member_file(PENSIONS)))
            .await?;
        let path = file.display().to_string();
        let found = verdict
            .report
            .findings
            .iter()
            .any(|finding| finding.path == path);
        self.ensure(found, "the flipped byte was not found")?;
        if self.screen.format == crate::output::Format::Table {
            print_verdict(&copy, &verdict, self.screen);
        }
        self.done(Text::DemoFound, &[("file", &path)]);
        Ok(())
    }

    async fn check(&self, dir: &Path, config: Option<&Path>) -> Result<Verdict, Failure> {
        let origin = open(dir, self.screen)?.origin().map(str::to_owned);
        let known = known_key(dir, origin.as_deref(), &[], config, self.screen).await?;
        check(dir, origin, known, self.screen)
    }
}

fn first_file(dir: &Path) -> Option<PathBuf> {
    let mut items: Vec<PathBuf> = fs::read_dir(dir)
        .ok()?
        .flatten()
        .map(|item| item.path())
        .collect();
    items.sort();
    items.into_iter().find_map(|path| {
        if path.is_dir() {
            first_file(&path)
        } else {
            Some(path)
        }
    })
}

fn short(hash: &str) -> String {
    hash.get(..16).unwrap_or(hash).to_owned()
}

const PERSON: &str = entente_adapter_sql::samples::DECEASED;
