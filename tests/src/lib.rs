//! Harness of the end-to-end tests: spawns the real binary over real sockets and looks at it from outside.
//! Links no crate of the gateway, so that a test sees only what a user sees.
//!
//! A test starts an origin and a node, configures the node through its Admin API and sends requests through it:
//!
//! ```no_run
//! use kong_tests::{Gateway, Origin};
//!
//! fn main() -> anyhow::Result<()> {
//!     let origin = Origin::start()?;
//!     let gateway = Gateway::builder().start()?;
//!     gateway.add_service("echo", &origin.url())?;
//!     gateway.add_route("echo", serde_json::json!({"paths": ["/echo"]}))?;
//!     assert_eq!(gateway.proxy().get("/echo")?.status, 200);
//!     Ok(())
//! }
//! ```

pub mod binary;
pub mod client;
pub mod conformance;
pub mod gateway;
pub mod origin;
pub mod ports;
pub mod process;
pub mod walkthrough;
pub mod wire;

pub use client::{Client, Connection, Request, Response};
pub use gateway::{Gateway, GatewayBuilder};
pub use origin::Origin;
pub use ports::PortBlock;
pub use process::Process;
