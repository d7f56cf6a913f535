//! What the tree holds: its folders, its text files, and what cargo says of its packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// A file of the tree, with its path from the root in forward slashes.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A package as `cargo metadata` reports it.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    pub(crate) member: bool,
    pub(crate) deps: Vec<Dep>,
}

/// A dependency as a manifest declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dep {
    pub(crate) name: String,
    /// Declared under `[dev-dependencies]`.
    pub(crate) dev: bool,
}

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    // The manifest of xtask lies one folder below the root.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The target folder, where tools may be kept between runs.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// `cargo`, as this process was started by it, in the root folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Every text file of the tree, sorted by path; build results and local folders left out.
pub(crate) fn files() -> anyhow::Result<Vec<File>> {
    let root = root();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)
            .with_context(|| format!("reading the folder {}", folder.display()))?
        {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            // In a second worktree `.git` is a file, which says where the repository is.
            if LEFT_OUT.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                // In a further working tree `.git` is a file.
                && !LEFT_OUT.contains(&name.as_str())
                // What is not UTF-8 is no text: golden bytes, images.
                && let Ok(text) = std::fs::read_to_string(entry.path())
            {
                let path = entry.path();
                let path = path.strip_prefix(&root).unwrap_or(&path);
                files.push(File {
                    path: path.to_string_lossy().replace('\\', "/"),
                    text,
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The packages of the resolved workspace.
pub(crate) fn packages() -> anyhow::Result<Vec<Package>> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .context("starting cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let metadata = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    Ok(packages_of(&metadata))
}

/// The packages in the JSON of `cargo metadata`.
pub(crate) fn packages_of(metadata: &Value) -> Vec<Package> {
    let members = list(&metadata["workspace_members"]);
    list(&metadata["packages"])
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: package["license"].as_str().map(str::to_owned),
            member: members.contains(&package["id"]),
            deps: list(&package["dependencies"])
                .iter()
                .map(|dep| Dep {
                    name: text(&dep["name"]),
                    dev: dep["kind"] == "dev",
                })
                .collect(),
        })
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

const LEFT_OUT: &[&str] = &["target", ".git", "node_modules", ".venv"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_holds_this_file() {
        let files = files().unwrap();
        assert!(files.iter().any(|f| f.path == "xtask/src/workspace.rs"));
        assert!(!files.iter().any(|f| f.path.starts_with("target/")));
    }

    #[test]
    fn members_and_dev_dependencies_are_told_apart() {
        let metadata = serde_json::json!({
            "workspace_members": ["a 1"],
            "packages": [
                {"id": "a 1", "name": "a", "version": "1", "license": "MIT", "dependencies": [
                    {"name": "b", "kind": null}, {"name": "c", "kind": "dev"}]},
                {"id": "b 2", "name": "b", "version": "2", "license": null, "dependencies": []},
            ],
        });
        let packages = packages_of(&metadata);
        assert!(packages[0].member && !packages[1].member);
        assert_eq!(packages[1].licence, None);
        let dev: Vec<bool> = packages[0].deps.iter().map(|dep| dep.dev).collect();
        assert_eq!(dev, [false, true]);
    }
}
