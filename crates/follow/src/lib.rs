//! Following a registry: fetch its changes, verify them, keep an own copy, and serve a verified view.
//!
//! A [`Follower`] starts from an [`Anchor`] and a folder, works from what the folder holds before it
//! has reached anybody, and then follows the registry's stream. Its [`Directory`] hands out
//! [`View`]s: each rests on a checkpoint signed by the ledger's key, over entries this process hashed
//! and applied itself. **Deny early, allow late**: what only takes away is in effect on sight of its
//! author's signature, anything else only under a checkpoint, cosigned by witnesses where the anchor or the
//! registry's policy asks for them. A registry that forks, forgets or logs
//! what the rules refuse is not followed: the view stays, and an [`Alarm`] is raised.
//!
//! [`RegistryClient`] asks a registry for things, [`author`] signs changes, and [`BlobStore`] is shared
//! with the registry itself. This crate decides no call, and does not append
//! to a server's ledger: whoever must log a view before using it waits on [`Directory::views`].

mod abroad;
mod ahead;
mod alarm;
mod anchor;
pub mod author;
mod blob;
mod client;
mod copy;
mod demand;
mod directory;
mod follower;
mod mirror;
mod pack;
mod replica;
mod session;
mod tree;
mod view;
pub mod witness;

pub use abroad::{Abroad, AbroadConfig, Directories};
pub use alarm::{Alarm, AlarmKind};
pub use anchor::{Anchor, Floors, InvalidAnchor};
pub use blob::{BlobError, BlobStore};
pub use client::{
    Accepted, ApplicationStanding, Applied, HeldApplication, RegistryClient, RegistryError,
};
pub use copy::VerifiedCopy;
pub use demand::demand;
pub use directory::{Behind, Counts, Directory};
pub use entente_directory::Keep;
pub use follower::{Follower, FollowerConfig, OpenError};
pub use replica::{ReplicaError, copied_entries};
pub use view::View;
