//! Registries as they are founded, and the configuration of every machine.

use std::path::Path;
use std::sync::Arc;

use entente_central_registry as registry;
use entente_directory::Policy;
use entente_follow::Anchor;
use entente_ledger::Runner;
use entente_ledger::disk::Disk;
use entente_signing::Signer;

use super::cast::Machine;
use super::machine::Host;

/// A registry as it was founded.
#[derive(Debug)]
pub(super) struct Founded {
    pub(super) anchor: Anchor,
    pub(super) registrar: Arc<dyn Signer>,
}

const REGISTRY_PORT: u16 = 7100;
pub(super) const WITNESS_PORT: u16 = 7200;
pub(super) const PEER_PORT: u16 = 7443;

/// Makes a registry, and writes its configuration.
pub(super) async fn found(host: &Host, root: &Path) -> anyhow::Result<Founded> {
    let (name, jurisdiction) = (host.machine.host(), host.machine.jurisdiction());
    let other = host.machine.other_registry().host();
    let text = format!(
        "jurisdiction: {jurisdiction}\nlisten: 0.0.0.0:{REGISTRY_PORT}\n\
         addresses: [\"{name}:{REGISTRY_PORT}\"]\nwitness: 0.0.0.0:{WITNESS_PORT}\n\
         cosigns: [../{other}.anchor.yaml]\ndata: ./data\nkeys: ./keys\nanchor: ./anchor.yaml\n"
    );
    write(&host.dir.join("registry.yaml"), &text)?;
    let config = entente_config::load(&host.dir.join("registry.yaml"))?;
    let mut policy = Policy::usual();
    policy.validity_hours = 1;
    let disk: Arc<dyn Disk> = Arc::new(host.disk());
    let made = registry::init(&config, policy, host.clock(), disk, Runner::Task).await?;
    let anchor = made.anchor.to_string();
    write(&root.join(format!("{name}.anchor.yaml")), &anchor)?;
    Ok(Founded {
        anchor: made.anchor,
        registrar: made.registrar,
    })
}

/// Writes the configuration of everybody else.
pub(super) fn lay_out(host: &Host) -> anyhow::Result<()> {
    let machine = host.machine;
    if machine == Machine::Watch {
        let anchors = Machine::REGISTRIES.map(|it| format!("../{}.anchor.yaml", it.host()));
        let text = format!(
            "name: witness.watch.example\nlisten: 0.0.0.0:{WITNESS_PORT}\ndata: ./data\n\
             keys: ./keys\nanchors: [{}]\n",
            anchors.join(", ")
        );
        return write(&host.dir.join("witness.yaml"), &text);
    }
    let text = format!(
        "server: {}\ndata: ./data\nkeys: ./keys\nanchor: ../{}.anchor.yaml\n\
         peer: {{listen: \"0.0.0.0:{PEER_PORT}\"}}\nadmin: {{listen: \"127.0.0.1:0\"}}\n\
         systems:\n  {}:\n    callers: [{{unix: ./caller.sock}}]\n    \
         serves: {{live: {{unix: ./source.sock}}}}\n",
        machine.server(),
        machine.registry().host(),
        machine.system(),
    );
    write(&host.dir.join("server.yaml"), &text)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, text)?)
}
