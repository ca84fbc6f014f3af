//! Replays the recorded exchanges of `tests/conformance` against the gateway.
//!
//! The verdicts are those of `tests/conformance/run.py`, case by case, and CI compares them. What differs is speed:
//! files that need the same kind of node are spread over several nodes that run at once, each on ports of its own.

mod case;
mod compare;
mod echo;
mod exchange;
mod expected;
pub mod json;
mod node;
mod pattern;
mod run;

pub use case::{Case, Group, cases_dir, load};
pub use echo::Echo;
pub use expected::{Expected, Finding, Work};
pub use run::{Options, Verdict, echo_port, run};
