//! A witness of the federation's ledgers that is nobody's server, and what it may be shown.

use anyhow::ensure;
use bytes::Bytes;
use entente_ledger::note::SignedNote;
use entente_ledger::proof::{ConsistencyProof, Nodes};
use entente_ledger::tree::{leaf_hash, root_of};
use entente_ledger::witness::AddCheckpoint;
use entente_ledger::{Checkpoint, SignedCheckpoint};
use entente_oversight::witness::{Config, Deps, Running};
use entente_signing::Digest;
use entente_tls::http::{HttpUrl, send};
use entente_tls::net::TokioNet;
use http::{Method, Request, Response, StatusCode};

use super::{Site, World, write};

/// The leaves of a tree.
struct Leaves(Vec<Digest>);

// === impl World ===

impl World {
    /// The commissioner's witness, under the federation's clock; at `listen`, which may be any port.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn commissioner(&self, listen: &str) -> anyhow::Result<Running> {
        let anchor = self.consumer.dir.join("anchor.yaml");
        let yaml = format!(
            "name: witness.commissioner.example\nlisten: {listen}\ndata: ./data\nkeys: ./keys\n\
             anchors: [\"{}\"]\n",
            anchor.display()
        );
        let file = self.dir.join("commissioner/witness.yaml");
        write(&file, &yaml)?;
        let deps = Deps {
            clock: self.clock.clone(),
            ..Deps::real()
        };
        Ok(Running::start(Config::load(&file)?, deps).await?)
    }

    /// Puts a policy in force that asks for the cosignature of the commissioner alone.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn trust(&self, commissioner: &Running) -> anyhow::Result<()> {
        let policy = policy_of(commissioner, "quorum commissioner\n").parse()?;
        self.change_policy(|held| held.witnesses = policy).await
    }
}

/// A policy that knows the commissioner, and what `more` says.
pub fn policy_of(commissioner: &Running, more: &str) -> String {
    let (key, at) = (commissioner.key(), commissioner.endpoint());
    format!("witness commissioner {key} http://{at}\n{more}")
}

/// Has a witness cosign another tree than the one that a site's server goes on with: longer, and signed by the
/// same key, as by a copy of the server elsewhere.
///
/// # Errors
/// When the witness refuses.
pub async fn fork(site: &Site, witness: &Running) -> anyhow::Result<SignedCheckpoint> {
    let origin = site.origin()?;
    let at: HttpUrl = format!("http://{}", witness.endpoint()).parse()?;
    loop {
        let path = format!("/{}/checkpoint", Digest::of(origin.as_bytes()));
        let shown = ask(&at, &path, Method::GET, Bytes::new()).await?;
        let seen: Checkpoint = SignedNote::parse(shown.body())?.text().parse()?;
        let entries = site.encoded_entries()?.into_iter();
        let shared = entries.take(usize::try_from(seen.size)?);
        let mut leaves: Vec<_> = shared.map(|entry| leaf_hash(&entry)).collect();
        ensure!(root_of(&leaves) == seen.root, "another tree already");
        leaves.extend((0..50_u8).map(|other| leaf_hash(&[other])));
        let (size, root) = (leaves.len() as u64, root_of(&leaves));
        let proof = ConsistencyProof::build(&mut Leaves(leaves), seen.size, size)?;
        let checkpoint = Checkpoint {
            origin: origin.clone(),
            size,
            root,
        };
        let signed = SignedCheckpoint::sign(checkpoint, &*site.server_keys()?.ledger)?;
        let request = AddCheckpoint {
            old_size: seen.size,
            proof: proof.map_or_else(Vec::new, |proof| proof.path),
            note: signed.note().clone(),
        };
        let body = request.to_string().into();
        let answer = ask(&at, "/add-checkpoint", Method::POST, body).await?;
        match answer.status() {
            StatusCode::OK => return Ok(signed),
            // The server was faster with its own: once more, from there.
            status => ensure!(status == StatusCode::CONFLICT, "{status}"),
        }
    }
}

async fn ask(
    at: &HttpUrl,
    path: &str,
    method: Method,
    body: Bytes,
) -> anyhow::Result<Response<Bytes>> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    Ok(send(&TokioNet, &at.beneath(path)?, request, 64 * 1024).await?)
}

// === impl Leaves ===

impl Nodes for Leaves {
    type Error = std::convert::Infallible;

    fn node(&mut self, level: u8, index: u64) -> Result<Digest, Self::Error> {
        let leaves = (index << level) as usize..((index + 1) << level) as usize;
        Ok(root_of(&self.0[leaves]))
    }
}
