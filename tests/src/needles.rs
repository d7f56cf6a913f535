//! Looking for values in bytes, in every form in which a program may have written them.

use std::fmt;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use entente_signing::Digest;

/// A form of a value. Base64 has three of each alphabet, by where in the text the value begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Standard base64, the value at this offset within a group of three bytes.
    Base64(usize),
    /// Base64 for URLs, likewise.
    Base64Url(usize),
    /// Decimal numbers of the bytes, as `{:?}` prints them.
    Decimals,
    /// The same without spaces, as JSON has them.
    DecimalsTight,
    /// `\x41\x42`, as escaped strings have them.
    Escaped,
    /// The SHA-256 of the value alone, which anybody can compute from a guess.
    Hashed,
    /// That in hexadecimal.
    HashedHex,
    /// Lower-case hexadecimal.
    HexLower,
    /// Upper-case hexadecimal.
    HexUpper,
    /// `%4a`.
    PercentLower,
    /// `%4A`.
    PercentUpper,
    /// As it is.
    Plain,
    /// UTF-16, most significant byte first.
    Utf16Be,
    /// UTF-16, least significant byte first.
    Utf16Le,
}

/// Values to look for.
#[derive(Clone, Debug)]
pub struct Needles {
    patterns: Vec<Pattern>,
    /// Whether some pattern begins with these two bytes.
    begins: Vec<bool>,
}

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Where.
    pub place: String,
    /// Which value.
    pub value: String,
    /// In which form.
    pub form: Form,
}

#[derive(Clone, Debug)]
struct Pattern {
    value: String,
    form: Form,
    bytes: Vec<u8>,
}

// === impl Form ===

impl Form {
    /// Every form.
    pub const ALL: [Self; 18] = [
        Self::Base64(0),
        Self::Base64(1),
        Self::Base64(2),
        Self::Base64Url(0),
        Self::Base64Url(1),
        Self::Base64Url(2),
        Self::Decimals,
        Self::DecimalsTight,
        Self::Escaped,
        Self::Hashed,
        Self::HashedHex,
        Self::HexLower,
        Self::HexUpper,
        Self::PercentLower,
        Self::PercentUpper,
        Self::Plain,
        Self::Utf16Be,
        Self::Utf16Le,
    ];

    /// `before`, `value` and `after` as a program writes them in this form, in one piece.
    pub fn write(self, before: &str, value: &str, after: &str) -> Vec<u8> {
        let whole = format!("{before}{value}{after}");
        let bytes = whole.as_bytes();
        let each = |form: &dyn Fn(&u8) -> String, between: &str| -> Vec<u8> {
            let parts: Vec<String> = bytes.iter().map(form).collect();
            parts.join(between).into_bytes()
        };
        match self {
            Self::Base64(at) => shifted(&BASE64_STANDARD, at, bytes),
            Self::Base64Url(at) => shifted(&BASE64_URL_SAFE, at, bytes),
            Self::Decimals => each(&u8::to_string, ", "),
            Self::DecimalsTight => each(&u8::to_string, ","),
            Self::Escaped => each(&|byte| format!("\\x{byte:02x}"), ""),
            Self::Hashed => Digest::of(value.as_bytes()).as_bytes().to_vec(),
            Self::HashedHex => Digest::of(value.as_bytes()).to_string().into_bytes(),
            Self::HexLower => each(&|byte| format!("{byte:02x}"), ""),
            Self::HexUpper => each(&|byte| format!("{byte:02X}"), ""),
            Self::PercentLower => each(&|byte| format!("%{byte:02x}"), ""),
            Self::PercentUpper => each(&|byte| format!("%{byte:02X}"), ""),
            Self::Plain => bytes.to_vec(),
            Self::Utf16Be => whole.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Self::Utf16Le => whole.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }

    /// What is in every text that holds `value` in this form, whatever stands around it.
    fn pattern(self, value: &str) -> Vec<u8> {
        let mut written = self.write("", value, "");
        if let Self::Base64(at) | Self::Base64Url(at) = self {
            // Characters that hold bits of a neighbour go.
            let end = (at + value.len()) * 8 / 6;
            written.truncate(end);
            written.drain(..(at * 8).div_ceil(6));
        }
        written
    }
}

/// Base64 of `at` other bytes and then these.
fn shifted(engine: &GeneralPurpose, at: usize, bytes: &[u8]) -> Vec<u8> {
    engine
        .encode([&[0x55; 3][..at], bytes].concat())
        .into_bytes()
}

// === impl Needles ===

impl Needles {
    /// These values, in every form.
    ///
    /// # Panics
    /// When one is so short that chance would find it.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Self {
            patterns: Vec::new(),
            begins: vec![false; 1 << 16],
        };
        for value in values {
            assert!(value.len() >= 12, "chance would find {value}");
            for form in Form::ALL {
                let bytes = form.pattern(value);
                needles.begins[index([bytes[0], bytes[1]])] = true;
                needles.patterns.push(Pattern {
                    value: value.to_owned(),
                    form,
                    bytes,
                });
            }
        }
        needles
    }

    /// What of them is in `bytes`, each value and form once.
    pub fn search(&self, place: &str, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        for (at, pair) in bytes.array_windows().enumerate() {
            if !self.begins[index(*pair)] {
                continue;
            }
            let rest = &bytes[at..];
            let here = self.patterns.iter().filter(|p| rest.starts_with(&p.bytes));
            found.extend(here.map(|pattern| Found {
                place: place.to_owned(),
                value: pattern.value.clone(),
                form: pattern.form,
            }));
        }
        found.sort();
        found.dedup();
        found
    }

    /// What of them is in the files below `folder`, their names included; and how many files there
    /// were.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn search_folder(&self, folder: &Path) -> anyhow::Result<(Vec<Found>, usize)> {
        let (mut found, mut files) = (Vec::new(), 0);
        for item in fs::read_dir(folder)? {
            let item = item?;
            let path = item.path();
            let place = path.display().to_string();
            let name = item.file_name();
            found.extend(self.search(&place, name.as_encoded_bytes()));
            let kind = item.file_type()?;
            if kind.is_dir() {
                let (more, below) = self.search_folder(&path)?;
                found.extend(more);
                files += below;
            } else if kind.is_file() {
                found.extend(self.search(&place, &fs::read(&path)?));
                files += 1;
            }
        }
        Ok((found, files))
    }
}

// === impl Found ===

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} as {:?} in {}", self.value, self.form, self.place)
    }
}

const fn index([first, second]: [u8; 2]) -> usize {
    (first as usize) << 8 | second as usize
}
