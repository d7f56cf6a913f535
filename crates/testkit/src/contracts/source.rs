//! Contracts as text, and compiled.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::{ELEMENTS, Entropy};

/// A file's text in package `test.v1`, without its head, that defines `S/M` over messages `M0`, `M1`, …, each
/// able to reach the others. [`source_of`] gives it a head.
pub fn random_source(entropy: &mut Entropy) -> String {
    let messages = 1 + entropy.below(4);
    let answer = entropy.below(messages);
    let mut source = format!(
        "import \"google/protobuf/any.proto\";
        service S {{ rpc M(M0) returns (M{answer}); }}
        enum E {{ E_NONE = 0; E_ONE = 1; }}\n"
    );
    for message in 0..messages {
        let mut numbers = BTreeSet::new();
        let mut oneof = String::new();
        let mut body = String::new();
        for _ in 0..1 + entropy.below(6) {
            let number = [1, 16, 120, 5_000][entropy.below(4)] + entropy.below(16);
            if numbers.insert(number) {
                random_field(entropy, messages, number, &mut body, &mut oneof);
            }
        }
        if !oneof.is_empty() {
            write!(body, "oneof choice {{\n{oneof}}}\n").expect("a String takes everything");
        }
        writeln!(source, "message M{message} {{\n{body}}}").expect("a String takes everything");
    }
    source
}

fn random_field(
    entropy: &mut Entropy,
    messages: usize,
    number: usize,
    body: &mut String,
    oneof: &mut String,
) {
    const SCALARS: [&str; 8] = [
        "string", "int32", "sint64", "fixed32", "double", "bool", "E", "bytes",
    ];
    let below = format!("M{}", entropy.below(messages));
    let (kind, map) = match entropy.below(6) {
        0..=2 => (SCALARS[entropy.below(8)].to_owned(), false),
        3 => (below, false),
        4 => ("google.protobuf.Any".to_owned(), false),
        _ => {
            let key = ["string", "sint32"][entropy.below(2)];
            let value = [below.as_str(), "string", "bytes", "int32"][entropy.below(4)];
            (format!("map<{key}, {value}>"), true)
        }
    };
    // What can hold anything must be an element; anything else may be.
    let must = kind.contains("bytes") || kind.contains("Any");
    let element = ELEMENTS.get(entropy.below(if must { 5 } else { 8 }));
    let identifies = ["string", "int32", "sint64", "fixed32"].contains(&&*kind);
    let mut options = Vec::new();
    if let Some(element) = element {
        let subject = if identifies && entropy.below(3) == 0 {
            " subject: \"test.id\""
        } else {
            ""
        };
        options.push(format!(
            "(entente.v1.privacy) = {{element: \"{element}\"{subject}}}"
        ));
    }
    let label = if map { 0 } else { entropy.below(4) };
    let packable =
        !["string", "bytes", "google.protobuf.Any"].contains(&&*kind) && !kind.starts_with('M');
    if label == 2 && packable && entropy.below(2) == 1 {
        options.push("packed = false".to_owned());
    }
    let options = if options.is_empty() {
        String::new()
    } else {
        format!(" [{}]", options.join(", "))
    };
    let field = format!("{kind} f{number} = {number}{options};");
    match label {
        1 => writeln!(body, "optional {field}"),
        2 => writeln!(body, "repeated {field}"),
        3 => writeln!(oneof, "{field}"),
        _ => writeln!(body, "{field}"),
    }
    .expect("a String takes everything");
}

/// The text of a proto3 file in `package`, with our annotations in reach.
pub fn source_of(package: &str, body: &str) -> String {
    format!(
        "syntax = \"proto3\";\npackage {package};\nimport \"entente/v1/annotations.proto\";\n{body}"
    )
}

/// The descriptor set of one whole file, imports included.
///
/// # Panics
/// When the text is not one: a fault of the test.
pub fn compile_source(source: &str) -> Vec<u8> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts {
        source: source.to_owned(),
    });
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(false);
    compiler
        .open_file(NAME)
        .unwrap_or_else(|error| panic!("{error}\n{source}"));
    compiler.encode_file_descriptor_set()
}

struct Texts {
    source: String,
}

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            NAME => File::from_source(name, &self.source),
            "entente/v1/annotations.proto" => File::from_source(name, ANNOTATIONS),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

const NAME: &str = "test.proto";

const ANNOTATIONS: &str = include_str!("../../../../proto/entente/v1/annotations.proto");
