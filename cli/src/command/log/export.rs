//! `entente log export`: one exchange as a sealed file that anybody can verify.

mod gather;
mod openings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use entente_bundle::container;
use entente_bundle::dossier::{Dossier, Party, Tree};
use entente_bundle::stamped::Stamped;
use entente_clock::{Clock as _, SystemClock, Timestamp};
use entente_config::Pkcs11Uri;
use entente_directory::KeyRole;
use entente_evidence::commitment::Field;
use entente_identity::MemberId;
use entente_keys::{HsmKey, KeyStore, KeyStoreError, KeyUse, MemberCertificate, Validity};
use entente_security_server::request_stamp;
use entente_signing::{Digest, Signer, VerifyingKey};
use entente_tls::http::HttpUrl;
use entente_tls::net::TokioNet;
use serde_json::json;

use super::directory::{Directory, Registry};
use super::stamps;
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};
use gather::Gathered;

/// Put one exchange into a sealed bundle that anybody can verify
///
/// The bundle is an ASiC-E container with a CAdES seal by the member's key. It holds what the given
/// ledgers say about the exchange with the proofs (and receipts, where a ledger's key is at hand), the
/// certificates and registry entries for the keys, the time stamps over it, and VERIFY.txt: how to verify
/// all that with openssl alone. Nothing is disclosed of what was exchanged, unless `--open` names it; for
/// that the server must be stopped.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// The exchange, as `entente log show` names it
    transaction: String,
    /// This side's ledger, or a folder that holds it
    #[arg(long, value_name = "DIR")]
    ledger: PathBuf,
    /// A copy of the other side's ledger
    #[arg(long, value_name = "DIR")]
    peer_ledger: Option<PathBuf>,
    /// What to disclose, where its opening is kept: payload, subjects, user, case
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    open: Vec<OpenArg>,
    /// The member's key that seals it: the folder of the member's keys, of which the newest in force is taken, or
    /// where it is in a token (`pkcs11:…`)
    #[arg(long, value_name = "KEY")]
    seal_key: String,
    /// The time-stamping authority (RFC 3161) that is to stamp the whole bundle; otherwise that of the
    /// server's configuration, if it names one: `http://tsa.example/`
    #[arg(long, value_name = "URL")]
    timestamp_url: Option<HttpUrl>,
    /// Do not have the whole bundle stamped
    #[arg(long, conflicts_with = "timestamp_url")]
    no_timestamp: bool,
    /// Roots of the authorities that count, in PEM; otherwise those of the configuration
    #[arg(long, value_name = "FILE", requires = "timestamp_url")]
    timestamp_roots: Option<PathBuf>,
    /// Where to write the bundle, which must not exist yet; by default evidence-TRANSACTION.asice, or
    /// .asics when it is stamped
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The configuration that says which registry to believe; otherwise the nearest above the ledger
    #[arg(long, value_name = "FILE", env = "ENTENTE_CONFIG")]
    config: Option<PathBuf>,
}

/// A field to disclose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum OpenArg {
    Payload,
    Subjects,
    User,
    Case,
}

/// Who seals.
struct Sealer {
    key: Arc<dyn Signer>,
    certificate: MemberCertificate,
}

pub(crate) async fn run(args: &ExportArgs, screen: &Screen) -> Result<(), Failure> {
    let directory = Directory::open(&args.ledger, args.config.as_deref(), screen).await?;
    let mut gathered = Gathered::of(args, &directory, screen)?;
    let now = SystemClock.now();
    let sealer = Sealer::load(&args.seal_key, &directory, &gathered, now, screen)?;
    let openings = openings::open(args, &gathered, screen)?;
    let quoted = |of: Option<&Registry>| {
        let (registry, view) = of.map(|registry| (registry, registry.view()))?;
        Some(gather::empty_tree(
            registry.ledger_key(),
            view.checkpoint.as_ref()?,
        ))
    };
    let (home, abroad) = (directory.home(), abroad(&directory, &gathered));
    let mut dossier = Dossier {
        sealer: sealer.certificate.clone(),
        request: gathered.request.clone(),
        answer: gathered.answer.clone(),
        consumer: std::mem::take(&mut gathered.consumer),
        provider: std::mem::take(&mut gathered.provider),
        registry: quoted(Some(home)),
        abroad: quoted(abroad),
        openings,
    };
    // Which changes are needed follows from all the rest.
    let bound = dossier.registry.as_ref();
    let bound = bound.map(|tree| changes(tree, &dossier, home));
    let bound_abroad = dossier.abroad.as_ref().zip(abroad);
    let bound_abroad = bound_abroad.map(|(tree, abroad)| changes(tree, &dossier, abroad));
    dossier.registry = bound;
    dossier.abroad = bound_abroad;
    let files = dossier.files(now);
    let bytes = container::write(&files, &*sealer.key, &sealer.certificate, now)
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    let (bytes, kind) = match args.authority()? {
        None => (bytes, "asice"),
        Some(url) => (stamp(args, &url, bytes, screen).await?, "asics"),
    };
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| format!("evidence-{}.{kind}", args.transaction).into());
    write_new(&out, &bytes)
        .map_err(|error| Failure::new(Exit::Failed, out.display().to_string()).because(&error))?;
    let value = json!({
        "file": out,
        "transaction": args.transaction,
        "sealed_by": sealer.certificate.member(),
        "files": files.len(),
        "bytes": bytes.len(),
        "disclosed": dossier.openings.len(),
    });
    screen.show("log.exported", value, |screen| {
        let facts: [Fact<'_>; 3] = [
            ("file", &out.display()),
            ("files", &files.len()),
            ("member", sealer.certificate.member()),
        ];
        print_out(screen.text(Text::BundleWritten, &facts));
        if !dossier.openings.is_empty() {
            screen.say(Text::BundleDiscloses, &[("count", &dossier.openings.len())]);
        }
    });
    Ok(())
}

/// The bundle with an authority's time stamp over all of it.
async fn stamp(
    args: &ExportArgs,
    url: &HttpUrl,
    bundle: Bytes,
    screen: &Screen,
) -> Result<Bytes, Failure> {
    let (roots, config) = (args.timestamp_roots.as_deref(), args.config.as_deref());
    let authorities = stamps::authorities(&args.ledger, roots, config)?;
    let authorities = authorities.ok_or_else(|| {
        Failure::new(Exit::Usage, screen.text(Text::BundleNoAuthority, &[]))
            .note(Text::LabelDo, "--timestamp-roots FILE")
    })?;
    let imprint = Digest::of(&bundle);
    let token = request_stamp(&TokioNet, &SystemClock, url, imprint, &authorities).await;
    let token = token.map_err(|error| {
        Failure::of(Exit::Unavailable, &error).note(Text::LabelDo, "--no-timestamp")
    })?;
    let stamped = Stamped { bundle, token };
    let packed = stamped.write();
    packed.map_err(|error| Failure::of(Exit::Failed, &error))
}

/// The registry of the other party, where that is another one.
fn abroad<'a>(directory: &'a Directory, gathered: &Gathered) -> Option<&'a Registry> {
    let said = gathered.request.statement();
    let parties = [&said.sender_server, &said.receiver_server];
    let jurisdictions = parties.map(|server| server.jurisdiction());
    let home = &directory.home().anchor().jurisdiction;
    let mut others = jurisdictions.iter().filter(|other| *other != home);
    directory.of_jurisdiction(others.next()?)
}

/// A registry's changes that a dossier rests on, and its newest policy, with their proofs.
fn changes(tree: &Tree, dossier: &Dossier, registry: &Registry) -> Tree {
    let mut filled = tree.clone();
    let policy = registry.entries().iter().rposition(Dossier::is_policy);
    for (index, bytes) in (0..).zip(registry.entries()) {
        let is_policy = policy.is_some_and(|policy| policy as u64 == index);
        if (is_policy || dossier.needs_change(tree, bytes))
            && let Some(proof) = registry.view().inclusion(index)
        {
            filled.entries.insert(index, gather::proved(bytes, proof));
        }
    }
    filled
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    // Whoever it is handed to gets a copy: until then it is nobody else's.
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

// === impl ExportArgs ===

impl ExportArgs {
    /// Who is to stamp the whole bundle.
    fn authority(&self) -> Result<Option<HttpUrl>, Failure> {
        if self.no_timestamp || self.timestamp_url.is_some() {
            return Ok(self.timestamp_url.clone());
        }
        let configured = stamps::configured(&self.ledger, self.config.as_deref())?;
        Ok(configured.map(|configured| configured.url))
    }
}

// === impl Sealer ===

impl Sealer {
    fn load(
        key: &str,
        directory: &Directory,
        gathered: &Gathered,
        now: Timestamp,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let usage = |error: &(dyn std::error::Error + 'static)| {
            Failure::new(
                Exit::Usage,
                screen.text(Text::SealKeyUnusable, &[("key", &key)]),
            )
            .because(error)
        };
        let mut kept = None;
        let signer: Arc<dyn Signer> = if key.starts_with("pkcs11:") {
            let uri: Pkcs11Uri = key.parse().map_err(|error| usage(&error))?;
            Arc::new(HsmKey::open(&uri).map_err(|error| usage(&error))?)
        } else {
            let store = KeyStore::open(key).map_err(|error| usage(&error))?;
            let pem = store.certificates(KeyUse::Member, LABEL);
            kept = pem.map_err(|error| usage(&error))?;
            newest(&store, directory).map_err(|error| usage(&error))?
        };
        let public = signer.verifying_key();
        let (_, member) = in_force(directory, public).ok_or_else(|| {
            let what = screen.text(Text::SealKeyStrange, &[("key", &public.key_id())]);
            Failure::new(Exit::Usage, what)
        })?;
        let fits = |certificate: &MemberCertificate| {
            certificate.key() == public
                && *certificate.member() == member
                && certificate.validity().contains(now)
        };
        // The certificate that stands above its sessions already, where there is one.
        let parties: [&Party; 2] = [&gathered.consumer, &gathered.provider];
        let above = parties
            .into_iter()
            .filter_map(|party| party.session.as_ref());
        let above = above.filter_map(|session| session.chain.as_ref());
        let above = above.map(|chain| chain.member().clone());
        let kept = kept.and_then(|pem| MemberCertificate::from_pem(&pem).ok());
        let certificate = match above.chain(kept).find(fits) {
            Some(certificate) => certificate,
            None => issue(&*signer, &member, now)?,
        };
        Ok(Self {
            key: signer,
            certificate,
        })
    }
}

fn issue(
    key: &dyn Signer,
    member: &MemberId,
    now: Timestamp,
) -> Result<MemberCertificate, Failure> {
    let validity = Validity::lasting(now, Validity::USUAL);
    let validity = validity.ok_or_else(|| Failure::new(Exit::Failed, "-"))?;
    MemberCertificate::issue(key, member, validity)
        .map_err(|error| Failure::of(Exit::Failed, &error))
}

/// Of the member keys in a folder, the one that was registered last and is in force.
fn newest(store: &KeyStore, directory: &Directory) -> Result<Arc<dyn Signer>, KeyStoreError> {
    let mut newest = None;
    for entry in store.list()? {
        if entry.key_use != KeyUse::Member {
            continue;
        }
        let key = store.load(KeyUse::Member, &entry.label)?;
        let since = in_force(directory, key.verifying_key()).map(|(since, _)| since);
        if newest.as_ref().is_none_or(|(other, _)| *other < since) {
            newest = Some((since, key));
        }
    }
    match newest {
        Some((_, key)) => Ok(key),
        None => store.load(KeyUse::Member, LABEL),
    }
}

/// Since when this is a member's key, and whose, by the directory as it is now.
fn in_force(directory: &Directory, key: &VerifyingKey) -> Option<(Timestamp, MemberId)> {
    directory.home().view().state.members().find_map(|member| {
        let mut keys = member.keys.iter().filter(|dated| dated.is_current());
        let held =
            keys.find(|held| held.value.role == KeyRole::Member && held.value.key == *key)?;
        Some((held.from, member.id.clone()))
    })
}

// === impl OpenArg ===

impl OpenArg {
    const fn field(self) -> Field {
        match self {
            Self::Payload => Field::PAYLOAD,
            Self::Subjects => Field::SUBJECTS,
            Self::User => Field::USER,
            Self::Case => Field::CASE,
        }
    }
}

/// The label of a member's first key.
const LABEL: &str = "1";

const EXAMPLES: &str = "\
Examples:
  entente log export 5f0c… --ledger sandbox/pensions --seal-key sandbox/pensions/member-keys
  entente log export 5f0c… --ledger sandbox/pensions --peer-ledger copy-of-their-ledger \\
      --open payload,subjects --seal-key sandbox/pensions/member-keys --out evidence.asice";
