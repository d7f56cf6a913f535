//! One module a noun. Each holds its arguments, and what running it does.

mod abroad;
mod admin;
pub(crate) mod agreement;
pub(crate) mod call;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
mod desk;
mod dial;
pub(crate) mod doctor;
mod fingerprint;
pub(crate) mod help;
pub(crate) mod join;
pub(crate) mod log;
pub(crate) mod mandate;
pub(crate) mod member;
pub(crate) mod peer;
pub(crate) mod registry;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod status;
pub(crate) mod trust;
pub(crate) mod version;

use crate::args::Command;
use crate::exit::{Exit, Failure};
use crate::output::Screen;

/// Runs a command to its end.
pub(crate) fn run(command: Command, screen: &Screen) -> Result<(), Failure> {
    match command {
        Command::Completions(args) => return completions::run(&args),
        Command::Config(command) => return config::run(&command, screen),
        Command::Help(args) => return help::run(&args, screen),
        Command::Version(args) => return version::run(&args, screen),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::of(Exit::Failed, &error))?;
    let ended = runtime.block_on(async {
        match command {
            Command::Agreement(command) => agreement::run(command, screen).await,
            Command::Call(args) => call::run(args, screen).await,
            Command::Demo(args) => demo::run(args, screen).await,
            Command::Doctor(args) => doctor::run(&args, screen).await,
            Command::Join(args) => join::run(args, screen).await,
            Command::Log(command) => log::run(command, screen).await,
            Command::Member(command) => member::run(command, screen).await,
            Command::Peer(command) => peer::run(command, screen).await,
            Command::Registry(command) => registry::run(command, screen).await,
            Command::Sandbox(command) => sandbox::run(command, screen).await,
            Command::Serve(args) => serve::run(args, screen).await,
            Command::Server(command) => server::run(command, screen).await,
            Command::Status(args) => status::run(&args, screen).await,
            Command::Service(command) => service::run(command, screen).await,
            Command::Trust(command) => trust::run(command, screen).await,
            Command::Mandate(command) => mandate::run(command, screen).await,
            Command::Completions(_)
            | Command::Config(_)
            | Command::Help(_)
            | Command::Version(_) => Ok(()),
        }
    });
    // What still runs (a follower that waits for a registry) is of no interest any more.
    runtime.shutdown_background();
    ended
}

/// A whole file the command was given.
fn read_file(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(Exit::Usage, format!("{}", path.display())).because(&error))
}

/// An endpoint of a file, in the words of the network.
fn net_endpoint(endpoint: &entente_config::Endpoint) -> entente_tls::net::Endpoint {
    use entente_config::Endpoint;
    match endpoint {
        Endpoint::Tcp { host, port } => entente_tls::net::Endpoint::Tcp {
            host: host.clone(),
            port: *port,
        },
        Endpoint::Unix(path) => entente_tls::net::Endpoint::Unix(path.clone()),
    }
}

/// A path whose folder has a name: what lies in this folder is in `.`, not in nothing.
fn in_folder(path: &std::path::Path) -> std::path::PathBuf {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => std::path::Path::new(".").join(path),
        _ => path.to_owned(),
    }
}
