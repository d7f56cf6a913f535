//! The file, and the paths it names: there, and private where they must be.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use entente_config::ListenAddr;
use entente_security_server::{Caller, Config as ServerConfig, Dial, Serves};

use super::finding::{Finding, Group, Remedy, Said};
use super::site::{Role, Site};
use crate::exit::Exit;
use crate::texts::Text;

/// A path, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    need: Need,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// A folder that others may not change; made at the first start.
    Data,
    /// A file that others may not change.
    File,
    /// A folder that others may not even read.
    PrivateFolder,
    /// A file that others may not even read.
    Secret,
    /// A folder to make a socket in.
    SocketFolder,
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Missing,
    There { is_dir: bool, mode: u32, owner: u32 },
    Unreadable(String),
}

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let file = Said::of(Text::DoctorConfigSound)
        .with("file", site.file.display())
        .with("name", site.name());
    let mut findings = vec![Finding::ok(Group::Config, "config.file", file)];
    if let Some(fault) = &site.anchor_fault {
        let found = Said::of(Text::DoctorConfigBroken).with("fault", fault);
        let fetch = Said::of(Text::DoctorAnchorDo);
        findings.push(Finding::fail(
            Group::Config,
            "config.anchor",
            Exit::Usage,
            found,
            fetch,
        ));
    }
    if let Role::Adapter(adapter) = &site.role {
        for fault in adapter.faults.iter().take(MOST) {
            let found = Said::of(Text::DoctorConfigBroken).with("fault", fault);
            let check = Remedy::run(format!("entente config check {}", site.file.display()));
            findings.push(Finding::fail(
                Group::Config,
                "config.adapter",
                Exit::Usage,
                found,
                check,
            ));
        }
        return findings;
    }
    let places: Vec<(Place, Seen)> = places(site)
        .into_iter()
        .map(|place| (look(&place.path), place))
        .map(|(seen, place)| (place, seen))
        .collect();
    findings.extend(judge(&places));
    findings
}

/// What the file names.
fn places(site: &Site) -> Vec<Place> {
    let (data, keys, anchor) = match &site.role {
        Role::Adapter(_) => return Vec::new(),
        Role::Registry(config) => (&config.data, &config.keys, &config.anchor),
        Role::Server(config) => (&config.data, &config.keys, &config.anchor),
    };
    let mut places = vec![
        place(data.as_path(), Need::Data),
        place(keys.as_path(), Need::PrivateFolder),
        place(anchor.as_path(), Need::File),
    ];
    if let Some(config) = site.server() {
        places.extend(of_server(config));
    }
    // What is in the key folder is private too, whether the file names it or not.
    let items = fs::read_dir(keys.as_path()).into_iter().flatten().flatten();
    for item in items.take(MOST_KEYS) {
        let name = item.file_name().to_string_lossy().into_owned();
        if name == "kek" {
            places.push(place(&item.path(), Need::PrivateFolder));
        } else if [".pem", ".secret"].iter().any(|end| name.ends_with(end)) {
            places.push(place(&item.path(), Need::Secret));
        }
    }
    places.sort_by(|one, other| one.path.cmp(&other.path));
    places.dedup();
    places
}

fn of_server(config: &ServerConfig) -> Vec<Place> {
    let mut places = Vec::new();
    let mut socket = |path: &Path| {
        places.extend(
            path.parent()
                .map(|folder| place(folder, Need::SocketFolder)),
        );
    };
    for listen in [&config.peer.listen, &config.admin.listen] {
        if let ListenAddr::Unix(path) = listen {
            socket(path);
        }
    }
    for caller in config.systems.values().flat_map(|system| &system.callers) {
        if let Caller::Unix(path) = caller {
            socket(path.as_path());
        }
    }
    for caller in config.systems.values().flat_map(|system| &system.callers) {
        if let Caller::Loopback { token, .. } = caller {
            places.push(place(token.file.as_path(), Need::Secret));
        }
    }
    let serves = config.systems.values().flat_map(|system| &system.serves);
    for (_, dial) in serves.flat_map(Serves::by_mode) {
        if let Dial::Loopback { token, .. } = dial {
            places.push(place(token.file.as_path(), Need::Secret));
        }
    }
    if let Some(timestamp) = &config.timestamp {
        places.push(place(timestamp.roots.as_path(), Need::File));
    }
    if let Some(key) = &config.server_key {
        places.push(place(key.module(), Need::File));
        places.push(place(key.pin(), Need::Secret));
    }
    places
}

fn place(path: &Path, need: Need) -> Place {
    let path = path.to_owned();
    Place { path, need }
}

fn look(path: &Path) -> Seen {
    match fs::metadata(path) {
        Ok(found) => Seen::There {
            is_dir: found.is_dir(),
            mode: found.permissions().mode() & 0o7777,
            owner: found.uid(),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Seen::Missing,
        Err(error) => Seen::Unreadable(error.to_string()),
    }
}

fn judge(places: &[(Place, Seen)]) -> Vec<Finding> {
    let faults = places.iter().filter_map(|(place, seen)| fault(place, seen));
    let mut findings: Vec<Finding> = faults.chain(other_owner(places)).collect();
    if findings.is_empty() {
        let sound = Said::of(Text::DoctorPathsSound).with("count", places.len());
        findings.push(Finding::ok(Group::Config, PATHS, sound));
    }
    findings
}

fn fault(place: &Place, seen: &Seen) -> Option<Finding> {
    let path = &place.path.display().to_string();
    let fail = |text, remedy| {
        let found = Said::of(text).with("path", path);
        Finding::fail(Group::Config, PATHS, Exit::Usage, found, remedy)
    };
    let (is_dir, mode) = match seen {
        Seen::Missing if place.need == Need::Data => {
            let found = Said::of(Text::DoctorFolderNotYet).with("path", path);
            return Some(Finding::warn(
                Group::Config,
                PATHS,
                found,
                Text::DoctorFolderNotYetDo,
            ));
        }
        Seen::Missing => {
            let restore = Said::of(Text::DoctorPathMissingDo).with("path", path);
            return Some(fail(Text::DoctorPathMissing, Remedy::from(restore)));
        }
        Seen::Unreadable(why) => {
            let found = Said::of(Text::DoctorPathUnreadable);
            let found = found.with("path", path).with("why", why);
            let remedy = Text::DoctorPathUnreadableDo;
            return Some(Finding::fail(
                Group::Config,
                PATHS,
                Exit::Usage,
                found,
                remedy,
            ));
        }
        Seen::There { is_dir, mode, .. } => (*is_dir, *mode),
    };
    let wants_dir = !matches!(place.need, Need::File | Need::Secret);
    if is_dir != wants_dir {
        let restore = Said::of(Text::DoctorPathMissingDo).with("path", path);
        let text = if wants_dir {
            Text::DoctorNoFolder
        } else {
            Text::DoctorNoFile
        };
        return Some(fail(text, Remedy::from(restore)));
    }
    let (open, change) = match place.need {
        Need::PrivateFolder => (mode & 0o077, "chmod 0700"),
        Need::Secret => (mode & 0o077, "chmod 0600"),
        Need::Data | Need::File => (mode & 0o022, "chmod go-w"),
        Need::SocketFolder => (0, ""),
    };
    if open == 0 {
        return None;
    }
    let found = Said::of(Text::DoctorPathOpen);
    let found = found.with("path", path).with("mode", format!("{mode:04o}"));
    let remedy = Remedy::run(format!("{change} {path}"));
    Some(Finding::fail(
        Group::Config,
        PATHS,
        Exit::Usage,
        found,
        remedy,
    ))
}

/// What belongs to somebody else than the key folder: a command once run as another user.
fn other_owner(places: &[(Place, Seen)]) -> Option<Finding> {
    let owner_of = |seen: &Seen| match seen {
        Seen::There { owner, .. } => Some(*owner),
        Seen::Missing | Seen::Unreadable(_) => None,
    };
    let is_keys = |(place, _): &&(Place, Seen)| place.need == Need::PrivateFolder;
    let keys = places.iter().find(is_keys)?;
    let owner = owner_of(&keys.1)?;
    let is_ours = |need| matches!(need, Need::Data | Need::PrivateFolder | Need::Secret);
    let mut others = places.iter().filter(|(place, _)| is_ours(place.need));
    let (place, _) = others.find(|(_, seen)| owner_of(seen).is_some_and(|uid| uid != owner))?;
    let path = &place.path.display().to_string();
    let found = Said::of(Text::DoctorPathOwner)
        .with("path", path)
        .with("folder", keys.0.path.display());
    let remedy = Remedy::run(format!("chown -R {owner} {path}"));
    Some(Finding::warn(Group::Config, PATHS, found, remedy))
}

const PATHS: &str = "config.paths";
/// Faults of an adapter's file that are shown.
const MOST: usize = 20;
/// Files of the key folder that are looked at.
const MOST_KEYS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::super::finding::{Verdict, remedies};
    use super::*;

    const fn there(is_dir: bool, mode: u32) -> Seen {
        Seen::There {
            is_dir,
            mode,
            owner: 0,
        }
    }

    fn judged(need: Need, seen: Seen) -> Finding {
        let judged = judge(&[(place(Path::new("/a/b"), need), seen)]);
        assert_eq!(judged.len(), 1, "{judged:?}");
        judged.into_iter().next().unwrap()
    }

    #[test]
    fn paths_that_are_there_and_private_are_sound() {
        for (need, seen) in [
            (Need::Data, there(true, 0o755)),
            (Need::PrivateFolder, there(true, 0o700)),
            (Need::Secret, there(false, 0o600)),
            (Need::File, there(false, 0o644)),
            (Need::SocketFolder, there(true, 0o777)),
        ] {
            assert_eq!(judged(need, seen).verdict(), Verdict::Ok, "{need:?}");
        }
    }

    #[test]
    fn each_fault_of_a_path_says_what_to_do() {
        for (need, seen, command) in [
            (Need::PrivateFolder, there(true, 0o755), "chmod 0700 /a/b"),
            (Need::Secret, there(false, 0o640), "chmod 0600 /a/b"),
            (Need::Data, there(true, 0o775), "chmod go-w /a/b"),
            (Need::File, there(false, 0o646), "chmod go-w /a/b"),
        ] {
            assert_eq!(remedies(&judged(need, seen)), [command, command]);
        }
        let missing = remedies(&judged(Need::File, Seen::Missing));
        assert!(missing[0].contains("put /a/b in its place"), "{missing:?}");
        let no_folder = remedies(&judged(Need::SocketFolder, there(false, 0o644)));
        assert!(no_folder[0].contains("/a/b"), "{no_folder:?}");
        let unreadable = Seen::Unreadable("no".to_owned());
        let unreadable = remedies(&judged(Need::Secret, unreadable));
        assert!(unreadable[0].contains("sudo -u entente"), "{unreadable:?}");
        let not_yet = judged(Need::Data, Seen::Missing);
        assert_eq!(not_yet.verdict(), Verdict::Warn);
        assert!(remedies(&not_yet)[1].contains("entente server restore"));
    }

    #[test]
    fn what_belongs_to_another_user_is_told() {
        let keys = (
            place(Path::new("/a/keys"), Need::PrivateFolder),
            there(true, 0o700),
        );
        let data = Seen::There {
            is_dir: true,
            mode: 0o700,
            owner: 7,
        };
        let judged = judge(&[keys, (place(Path::new("/a/data"), Need::Data), data)]);
        assert_eq!(remedies(&judged[0])[0], "chown -R 0 /a/data");
    }
}
