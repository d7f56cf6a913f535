//! What a bundle proves: offline, from the file and what its reader believes already.

use std::path::Path;

use bytes::Bytes;
use entente_bundle::archive::Archive;
use entente_bundle::container::{self, OpenError};
use entente_bundle::dossier::{Dossier, DossierError, Gap, Proven, Report, Trust};
use entente_bundle::stamped::Stamped;
use entente_evidence::proof::Form;
use entente_evidence::statement::Kind;
use entente_ledger::Checkpoint;
use entente_ledger::note::NoteKey;
use entente_reason::Lang;
use entente_signing::Digest;
use serde_json::{Value, json};

use super::keys::{Source, known_view, nearest_config};
use super::stamps;
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Checks one bundle. The registry's key is one of `keys`, or that of the configuration's anchor.
pub(super) async fn verify(
    file: &Path,
    keys: &[NoteKey],
    config: Option<&Path>,
    roots: Option<&Path>,
    screen: &Screen,
) -> Result<(), Failure> {
    let bytes = read(file, screen)?;
    let facts: [Fact<'_>; 1] = [("file", &file.display())];
    let broken = |error: &(dyn std::error::Error + 'static)| {
        let value = json!({ "file": file, "sound": false, "faults": [error.to_string()] });
        screen.event("log.bundle", value, |_| {});
        Failure::new(Exit::Integrity, screen.text(Text::BundleBroken, &facts)).because(error)
    };
    let authorities = stamps::authorities(file, roots, config)?;
    let stamped = Stamped::open(&bytes).map_err(|error| broken(&error))?;
    let whole = stamped.as_ref().map(|stamped| {
        let imprint = Digest::of(&stamped.bundle);
        let checked = authorities.as_ref();
        checked.map(|authorities| entente_timestamp::verify(&stamped.token, imprint, authorities))
    });
    let whole = whole.map(Option::transpose).transpose();
    let whole = whole.map_err(|error| broken(&error))?;
    let opened = container::open(stamped.as_ref().map_or(&bytes, |stamped| &stamped.bundle));
    let (files, sealed) = opened.map_err(|error: OpenError| broken(&error))?;
    let dossier = Dossier::read(&files).map_err(|error: DossierError| broken(&error))?;
    let trust = Trust {
        registry: registry(&dossier, file, keys, config, screen).await?,
        authorities,
    };
    let mut report = dossier.verify(&files, &sealed, &trust);
    match whole {
        Some(Some(stamp)) => report
            .proven
            .push(Proven::BundleStamped { by: stamp.latest() }),
        Some(None) if !report.gaps.contains(&Gap::Authority) => report.gaps.push(Gap::Authority),
        Some(None) | None => {}
    }
    tell(file, &dossier, &report, screen);
    if let Some(fault) = report.faults.first() {
        let what = screen.text(Text::BundleBroken, &facts);
        return Err(Failure::new(Exit::Integrity, what).because(fault));
    }
    match is_bound(&report) {
        true => Ok(()),
        // Anybody could have made it, with keys of their own.
        false => Err(
            Failure::new(Exit::NeedsPerson, screen.text(Text::BundleUnbound, &facts))
                .note(Text::LabelDo, "--config member.yaml"),
        ),
    }
}

/// Whether its keys are shown to be those of whom it names, by a registry that is believed.
fn is_bound(report: &Report) -> bool {
    !report.gaps.iter().any(Gap::is_about_keys)
}

/// Reads a bundle; no more than one can be.
fn read(file: &Path, screen: &Screen) -> Result<Bytes, Failure> {
    use std::io::Read as _;
    let failed = |error: &std::io::Error| {
        Failure::new(Exit::Usage, file.display().to_string()).because(error)
    };
    let most = 2 * Archive::MAX_LEN as u64;
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| failed(&error))?;
    let read = opened.take(most).read_to_end(&mut bytes);
    read.map_err(|error| failed(&error))?;
    if !Archive::is_like(&bytes) {
        let what = screen.text(Text::BundleNone, &[("file", &file.display())]);
        return Err(Failure::new(Exit::Usage, what));
    }
    Ok(bytes.into())
}

/// The key of a registry whose ledger a bundle quotes, as far as it is known here: of either party's.
async fn registry(
    dossier: &Dossier,
    file: &Path,
    keys: &[NoteKey],
    config: Option<&Path>,
    screen: &Screen,
) -> Result<Option<NoteKey>, Failure> {
    let quoted = [&dossier.registry, &dossier.abroad];
    let origins = quoted.into_iter().flatten().map(|tree| tree.key.name());
    let origins: Vec<&str> = origins.collect();
    if let Some(key) = keys.iter().find(|key| origins.contains(&key.name())) {
        return Ok(Some(key.clone()));
    }
    let Some(config) = config.map(Path::to_owned).or_else(|| nearest_config(file)) else {
        return Ok(None);
    };
    let anchor = Source::of(&config)?.anchor;
    let mut trees = quoted.into_iter().flatten();
    let Some(tree) = trees.find(|tree| tree.key.name() == anchor.origin()) else {
        // An anchor of another registry says nothing about these.
        return Ok(None);
    };
    if anchor.ledger == tree.key {
        return Ok(Some(anchor.ledger));
    }
    // Another key than the anchor's signs trees of some sizes, where one took the other's place.
    let size = Checkpoint::claimed(tree.checkpoint.as_bytes()).map_or(0, |claimed| claimed.size);
    for is_refreshed in [false, true] {
        let view = known_view(file, Some(&config), is_refreshed, screen).await;
        let key = view.ok().flatten().and_then(|view| view.ledger_at(size));
        if key.as_ref() == Some(&tree.key) {
            return Ok(key);
        }
    }
    Ok(Some(anchor.ledger))
}

fn tell(file: &Path, dossier: &Dossier, report: &Report, screen: &Screen) {
    let id = dossier.request.statement().message_id.to_string();
    let is_sound = report.faults.is_empty();
    let value = json!({
        "file": file,
        "sound": is_sound,
        "keys_bound": is_bound(report),
        "transaction": id,
        "proven": report.proven.iter().map(proven_value).collect::<Vec<_>>(),
        "not_proven": report.gaps.iter().map(gap_value).collect::<Vec<_>>(),
        "faults": report.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    screen.event("log.bundle", value, |screen| {
        let facts: [Fact<'_>; 2] = [("file", &file.display()), ("transaction", &id)];
        if !is_sound {
            print_out(screen.red(&screen.text(Text::BundleFaulty, &facts)));
            for fault in &report.faults {
                print_out(screen.red(&format!("  {fault}")));
            }
            return;
        }
        print_out(match is_bound(report) {
            true => screen.green(&screen.text(Text::BundleSound, &facts)),
            false => screen.bold(&screen.text(Text::BundleCoherent, &facts)),
        });
        for proven in &report.proven {
            print_out(format!("  {}", proven_text(proven, screen)));
        }
        print_out(screen.bold(&screen.text(Text::BundleNotProven, &[])));
        for gap in &report.gaps {
            print_out(format!("  {}", gap_text(gap, screen)));
        }
        for always in [Text::GapBypass, Text::GapTogether, Text::GapPurpose] {
            print_out(format!("  {}", screen.text(always, &[])));
        }
    });
}

const fn kind_text(kind: Kind) -> Text {
    match kind {
        Kind::Request => Text::SaysRequest,
        Kind::Response => Text::SaysResponse,
        Kind::Fault => Text::SaysFault,
        Kind::Close => Text::SaysClose,
        Kind::Progress => Text::SaysProgress,
    }
}

const fn kind_code(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "request",
        Kind::Response => "response",
        Kind::Fault => "fault",
        Kind::Close => "close",
        Kind::Progress => "progress",
    }
}

fn proven_text(proven: &Proven, screen: &Screen) -> String {
    match proven {
        Proven::Bound { server, index } => {
            screen.text(Text::ProvenBound, &[("server", server), ("index", index)])
        }
        Proven::BundleStamped { by } => screen.text(Text::ProvenBundleStamped, &[("by", by)]),
        Proven::Certified { server } => screen.text(Text::ProvenCertified, &[("server", server)]),
        Proven::Disclosed {
            is_of_answer,
            field,
        } => {
            let of = if *is_of_answer {
                Text::SaysResponse
            } else {
                Text::SaysRequest
            };
            let of = screen.text(of, &[]);
            screen.text(Text::ProvenDisclosed, &[("field", field), ("of", &of)])
        }
        Proven::Logged {
            origin,
            index,
            kind,
            size,
        } => screen.text(
            Text::ProvenLogged,
            &[
                ("kind", kind),
                ("index", index),
                ("ledger", origin),
                ("size", size),
            ],
        ),
        Proven::Promised { index } => screen.text(Text::ProvenPromised, &[("index", index)]),
        Proven::Recognised {
            by,
            jurisdiction,
            index,
        } => screen.text(
            Text::ProvenRecognised,
            &[("by", by), ("jurisdiction", jurisdiction), ("index", index)],
        ),
        Proven::SealBound { member, index } => screen.text(
            Text::ProvenSealBound,
            &[("member", member), ("index", index)],
        ),
        Proven::Sealed { member, at } => {
            screen.text(Text::ProvenSealed, &[("member", member), ("at", at)])
        }
        Proven::Signed {
            server, kind, at, ..
        } => {
            let kind = screen.text(kind_text(*kind), &[]);
            let facts: [Fact<'_>; 3] = [("server", server), ("kind", &kind), ("at", at)];
            screen.text(Text::ProvenSigned, &facts)
        }
        Proven::Stamped { origin, index, by } => screen.text(
            Text::ProvenStamped,
            &[("index", index), ("ledger", origin), ("by", by)],
        ),
        Proven::Witnessed {
            origin,
            size,
            at,
            by,
        } => {
            let by = by.join(", ");
            let facts: [Fact<'_>; 4] =
                [("ledger", origin), ("size", size), ("at", at), ("by", &by)];
            screen.text(Text::ProvenWitnessed, &facts)
        }
        _ => String::new(),
    }
}

fn proven_value(proven: &Proven) -> Value {
    match proven {
        Proven::Bound { server, index } => {
            json!({ "what": "bound", "server": server, "registry_index": index })
        }
        Proven::BundleStamped { by } => json!({ "what": "bundle-stamped", "by": by.to_string() }),
        Proven::Certified { server } => json!({ "what": "certified", "server": server }),
        Proven::Disclosed {
            is_of_answer,
            field,
        } => json!({
            "what": "disclosed",
            "of": if *is_of_answer { "answer" } else { "request" },
            "field": field.to_string(),
        }),
        Proven::Logged {
            origin,
            index,
            kind,
            size,
        } => json!({
            "what": "logged", "ledger": origin, "index": index, "kind": kind, "checkpoint": size,
        }),
        Proven::Promised { index } => json!({ "what": "promised", "index": index }),
        Proven::Recognised {
            by,
            jurisdiction,
            index,
        } => json!({
            "what": "recognised", "by": by, "jurisdiction": jurisdiction, "registry_index": index,
        }),
        Proven::SealBound { member, index } => {
            json!({ "what": "seal-bound", "member": member, "registry_index": index })
        }
        Proven::Sealed { member, at } => {
            json!({ "what": "sealed", "member": member, "at": at.to_string() })
        }
        Proven::Signed {
            server,
            kind,
            at,
            form,
        } => json!({
            "what": "signed",
            "server": server,
            "kind": kind_code(*kind),
            "at": at.to_string(),
            "form": match form { Form::Batch => "batch", Form::Direct => "direct" },
        }),
        Proven::Stamped { origin, index, by } => json!({
            "what": "stamped", "ledger": origin, "index": index, "by": by.to_string(),
        }),
        Proven::Witnessed {
            origin,
            size,
            at,
            by,
        } => json!({
            "what": "witnessed", "ledger": origin, "size": size, "at": at.to_string(), "witnesses": by,
        }),
        _ => Value::Null,
    }
}

fn gap_text(gap: &Gap, screen: &Screen) -> String {
    let [en, fr] = gap.words();
    match screen.lang {
        Lang::En => en,
        Lang::Fr => fr,
    }
}

fn gap_value(gap: &Gap) -> Value {
    match gap {
        Gap::Answer => json!({ "what": "answer" }),
        Gap::Authority => json!({ "what": "authority" }),
        Gap::InForce => json!({ "what": "in-force" }),
        Gap::Instructions => json!({ "what": "instructions" }),
        Gap::Ledger { server } => json!({ "what": "ledger", "server": server }),
        Gap::MemberNotBound { member } => json!({ "what": "member-not-bound", "member": member }),
        Gap::NotBound { server } => json!({ "what": "not-bound", "server": server }),
        Gap::NotLogged { server, kind } => {
            json!({ "what": "not-logged", "server": server, "kind": kind_code(*kind) })
        }
        Gap::Recognition => json!({ "what": "recognition" }),
        Gap::Registry { key } => json!({ "what": "registry", "key": key }),
        Gap::Stamp { origin, size } => json!({ "what": "stamp", "ledger": origin, "size": size }),
        Gap::Time { origin, entries } => {
            json!({ "what": "time", "ledger": origin, "entries": entries })
        }
        Gap::Witnesses { server } => json!({ "what": "witnesses", "server": server }),
        _ => Value::Null,
    }
}
