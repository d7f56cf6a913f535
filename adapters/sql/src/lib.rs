//! The declarative SQL adapter: one strict YAML file binds the methods of a contract to named SQL
//! queries over SQLite or PostgreSQL. Its owner writes no code.
//!
//! Values of a request are checked, then bound as parameters; nothing of a request ever becomes
//! SQL. The owner's query is wrapped, never edited: only the columns whose elements the agreement
//! releases are selected, and one row more than the limit is an error instead of a cut. A source
//! that could be written to stops the start.
//!
//! Pages and streams come later: a method that asks for them does not serve, and says so, while
//! the others do.

mod adapter;
mod answer;
mod bind;
mod binding;
mod breaker;
mod check;
mod convert;
mod dates;
mod examples;
mod file;
mod limits;
mod load;
pub mod samples;
mod source;
mod statement;
mod value;

pub use adapter::{OpenError, SqlAdapter};
pub use check::{CheckReport, check, schema};
pub use examples::Outcome;
pub use load::{Finding, LoadError, OpenOptions, Stage};
