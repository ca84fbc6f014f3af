//! Stands in for an instance that could not be built: a request that needs it fails, it never silently goes without.

use kong_plugin::context::Access;
use kong_plugin::{Plugin, Step};

pub(crate) struct Broken {
    pub(crate) reason: String,
}

impl Plugin for Broken {
    fn access<'a>(&'a self, _cx: &'a mut Access<'_>) -> Step<'a> {
        Step::fail(format_args!("the instance could not be built: {}", self.reason))
    }
}
