//! The files of a sandbox, as an operator would write them: every role's configuration is real.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use entente_clock::Timestamp;
use entente_signing::Digest;

use crate::layout::{Agency, FEDERAL, Layout, PROVINCES, Realm};

/// Writes what must be there before anything starts.
pub(crate) fn write(layout: &Layout, ports: &[u16]) -> io::Result<()> {
    let mut ports = ports.iter().copied();
    let mut port = || ports.next().ok_or(io::ErrorKind::InvalidInput);
    for realm in [FEDERAL].into_iter().chain(PROVINCES) {
        fs::create_dir_all(layout.registry(&realm))?;
        put(
            &layout.registry_config(&realm),
            &registry_yaml(&realm, port()?),
        )?;
        for agency in realm.agencies {
            fs::create_dir_all(layout.data(agency))?;
            put(&layout.member_file(agency), &member_yaml(agency))?;
            let server = server_yaml(agency, port()?, port()?);
            put(&layout.server_config(agency), &server)?;
        }
    }
    put(&layout.root().join("README.md"), README)
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
}

fn registry_yaml(realm: &Realm, port: u16) -> String {
    let jurisdiction = realm.jurisdiction;
    format!(
        "# The registry of {jurisdiction}. Start it: entente serve registry --config registry.yaml\n\
         jurisdiction: {jurisdiction}\n\
         listen: 127.0.0.1:{port}\n\
         data: ./data\n\
         keys: ./keys\n\
         anchor: ./anchor.yaml\n"
    )
}

fn member_yaml(agency: &Agency) -> String {
    let Agency { en, fr, .. } = agency;
    let (member, system) = (agency.member(), agency.system());
    let callers = if agency.asks {
        format!(
            "# How its systems call their own security server: `entente call` uses this.\n\
             callers:\n  {system}:\n    server: unix:./{}.sock\n",
            agency.system
        )
    } else {
        String::new()
    };
    format!(
        "# What the commands of this member start from: member, agreement, call.\n\
         member: {member}\n\
         class: ministry\n\
         name:\n  en: {en}\n  fr: {fr}\n\
         # Which registry to believe.\n\
         anchor: ../registry/anchor.yaml\n\
         # Officer, member and recovery keys. In earnest they are not on this machine.\n\
         keys: ./member-keys\n\
         copy: ./member-copy\n\
         {callers}"
    )
}

fn server_yaml(agency: &Agency, peer: u16, admin: u16) -> String {
    let (server, system) = (agency.server(), agency.system());
    let role = if agency.asks {
        format!(
            "    # Whoever can open this socket is this system.\n    \
             callers:\n      - unix: ./{}.sock\n",
            agency.system
        )
    } else {
        "    # The adapter: entente serve adapter --config adapter/vital-events.adapter.yaml\n    \
         serves:\n      live: { unix: ./adapter/adapter.sock }\n"
            .to_owned()
    };
    format!(
        "# Start it: entente serve security-server --config security-server.yaml\n\
         server: {server}\n\
         data: ./data\n\
         keys: ./keys\n\
         anchor: ../registry/anchor.yaml\n\
         peer:\n  listen: 127.0.0.1:{peer}\n\
         admin:\n  listen: 127.0.0.1:{admin}\n\
         systems:\n  {system}:\n{role}"
    )
}

/// The agreement of the sandbox. Each version after the first names the one it takes the place of.
pub(crate) fn agreement_yaml(
    version: u32,
    descriptor_set: &Digest,
    supersedes: Option<&Digest>,
    now: Timestamp,
) -> String {
    let last = now.saturating_add(TERM).day();
    let supersedes = supersedes.map_or_else(String::new, |hash| format!("supersedes: {hash}\n"));
    AGREEMENT
        .replace("@version", &version.to_string())
        .replace("@not_before", &now.day().to_string())
        .replace("@not_after", &last.to_string())
        .replace("@supersedes\n", &supersedes)
        .replace("@descriptor_set", &descriptor_set.to_string())
}

/// How long an agreement of the sandbox is in force.
pub(crate) const TERM: Duration = Duration::from_secs(365 * 24 * 3600);
const AGREEMENT: &str = include_str!("files/agreement.yaml");
const README: &str = include_str!("files/README.md");

#[cfg(test)]
mod tests {
    use entente_agreement::{Agreement, Document, lint};

    use super::*;

    #[test]
    fn the_agreement_has_none_of_the_five_faults_and_versions_follow_each_other() {
        let contract = Digest::of(b"contract");
        let now = Timestamp::from_millis(1_800_000_000_000);
        let first = Document::from_yaml(&agreement_yaml(1, &contract, None, now)).unwrap();
        assert!(first.in_dates(now));
        assert_eq!(lint::check(&first), []);
        let hash = Agreement::of(&first).unwrap().id();
        let second = Document::from_yaml(&agreement_yaml(2, &contract, Some(&hash), now)).unwrap();
        assert_eq!((second.version, second.supersedes), (2, Some(hash)));
        assert_eq!(second.clauses, first.clauses);
    }
}
