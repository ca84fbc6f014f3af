//! Puts a node together.

use std::sync::Arc;

use kong_config::Config;
use kong_datastore::Datastore;
use kong_plugin::{PluginDefinition, PluginKind};

use crate::{Node, NodeError};

/// Collects what a node is made of. See [`Node::builder`].
pub struct NodeBuilder {
    pub(crate) config: Config,
    pub(crate) kinds: Vec<Arc<dyn PluginKind>>,
    /// Names of plugins added by the embedder: enabled whatever `plugins` says.
    pub(crate) own: Vec<String>,
    pub(crate) store: Option<Arc<dyn Datastore>>,
}

impl NodeBuilder {
    pub(crate) fn new(config: Config) -> Self {
        NodeBuilder {
            config,
            kinds: kong_plugins::bundled(),
            own: Vec::new(),
            store: None,
        }
    }

    /// Adds a compiled-in plugin. It is enabled without being listed in `plugins`.
    pub fn plugin<P: PluginDefinition>(self) -> Self {
        self.plugin_kind(kong_plugin::kind::<P>())
    }

    /// Adds a plugin of whatever origin. One with the name of a bundled plugin replaces it.
    pub fn plugin_kind(mut self, kind: Arc<dyn PluginKind>) -> Self {
        let name = kind.descriptor().name.clone();
        self.kinds.retain(|other| other.descriptor().name != name);
        self.kinds.push(kind);
        self.own.push(name);
        self
    }

    /// Uses this store instead of the one that the configuration names.
    pub fn store(mut self, store: Arc<dyn Datastore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Starts the node on threads of its own and returns once it serves; the caller's runtime, if any, is not touched.
    ///
    /// # Errors
    /// [`NodeError`]: the store or a port cannot be used, or plugins and rows do not fit together.
    pub fn start(self) -> Result<Node, NodeError> {
        Node::start(self)
    }
}
