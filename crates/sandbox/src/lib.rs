//! A federation in one process: a registry, three agencies and a legacy database, and two provinces, each with
//! a registry and an agency of its own, on loopback only.
//!
//! [`Federation`] runs the real roles over real files, so that `entente serve` could take over any
//! of them; what it shows of itself is a [`Step`], made only from something that happened. [`Desk`],
//! [`Office`] and [`Registrar`] are the acts of a member and of a registrar, as the commands run
//! them too, and [`Door`] asks a question the way a consumer system does.
//!
//! Nothing here is simulated: for faults, clocks and networks that lie, see the test kit.

mod across;
mod ask;
mod desk;
mod federation;
mod files;
mod layout;
mod member_file;
mod office;
mod ports;
mod registrar;
mod seams;
mod step;

pub use across::{ACROSS, Across};
pub use ask::{Answer, AskError, Door, Question, Refused};
pub use desk::{Desk, DeskError};
pub use federation::{BuildError, Federation, Options};
pub use layout::{
    AGENCIES, Agency, DEATHS, FEDERAL, HEALTH, Layout, NotASandbox, PROVINCES, Realm,
};
pub use member_file::{CallerDoor, ClassText, MemberFile, NameText};
pub use office::{AddedKey, FolderKeys, Office, OfficeError, RevokedKey, Signed, Then, Wanted};
pub use registrar::{Registrar, RegistrarError};
pub use seams::Seams;
pub use step::Step;
