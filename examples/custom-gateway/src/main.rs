//! A gateway of one's own: everything that `kong start` does, and a plugin `greeting` that adds a header.

use std::sync::Arc;

use kong_config::{Config, LoadOptions};
use kong_node::Node;
use kong_plugin::context::HeaderFilter;
use kong_plugin::{Instance, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Step};
use kong_schema::Record;
use serde::Deserialize;

/// Configuration of `greeting`.
#[derive(Deserialize, Record)]
struct Greeting {
    /// Value of the response header `X-Greeting`.
    #[kong(required, default = "hello")]
    text: String,
}

impl Plugin for Greeting {
    fn header_filter<'a>(&'a self, cx: &'a mut HeaderFilter<'_>) -> Step<'a> {
        cx.set_header("X-Greeting", &self.text);
        Step::CONTINUE
    }
}

impl PluginDefinition for Greeting {
    const NAME: &'static str = "greeting";
    const PRIORITY: i32 = 500;
    const PHASES: Phases = Phases::HEADER_FILTER;
    type Config = Self;
    type State = ();

    fn new(config: Self, _: Instance, _: &Arc<()>, _: &PluginEnv) -> Result<Self, PluginError> {
        Ok(config)
    }
}

fn main() -> anyhow::Result<()> {
    let config = Config::load(&LoadOptions::from_process())?;
    let node = Node::builder(config).plugin::<Greeting>().start()?;
    println!(
        "proxy: {:?}, Admin API: {:?}",
        node.proxy_addresses(),
        node.admin_addresses()
    );
    node.wait();
    Ok(())
}
