//! The declarative document (admin-api.md §9): text → document → rows, or the complete list of what is wrong with it.
//!
//! Loading has three stages, each of which stops with all of its errors: the members with an underscore; every entity on
//! its own, nested ones included, at its position; references and uniqueness across the document. Nothing is applied
//! here: the caller replaces its configuration with the rows, or shows the error.

mod complete;
mod error;
mod export;
mod ids;
mod load;
mod node;
mod paths;
mod references;
mod report;
mod yaml;

pub use error::{DeclarativeError, FlattenedError};
pub use export::export;
pub use ids::deterministic_id;
pub use load::{LoadContext, Loaded, hash, load};
pub use yaml::parse_text;

/// The error of what is no document at all.
pub fn not_an_object() -> DeclarativeError {
    DeclarativeError::unparsable("expected an object")
}

/// Hash of a configuration without entities.
pub const EMPTY_HASH: &str = "00000000000000000000000000000000";
