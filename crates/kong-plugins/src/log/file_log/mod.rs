//! `file-log`: one JSON object a line (plugins-transform-observe.md §9.1).
//!
//! On the request path: making the entry and one send into a bounded queue; a thread of the node does the writing, so
//! that a slow disk never stops a worker.

pub mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kong_plugin::context::Log;
use kong_plugin::{Instance, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, StreamLog, serializer};
use kong_schema::{ALL_PROTOCOLS, Object, Record};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use self::writer::{Line, Writer};

/// Configuration of `file-log`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// File to append to; its directory must exist. Devices such as `/dev/stdout` work.
    #[kong(required, matches = r"^[^*&%%\`]+$", err = "not a valid filename")]
    pub path: String,
    /// Open the file anew for every entry, so that a rotated file is noticed at once. (All files are reopened on
    /// `SIGUSR1`.)
    #[kong(required, default = false)]
    pub reopen: bool,
    /// Fields computed by Lua code. This version runs no Lua: only an empty map is accepted.
    #[kong(keys(len_min = 1), values(len_min = 1), custom = no_lua)]
    pub custom_fields_by_lua: Option<BTreeMap<String, String>>,
}

fn no_lua(value: &Value) -> Result<(), Value> {
    match value.as_object().is_none_or(Object::is_empty) {
        true => Ok(()),
        false => Err("this version of the gateway runs no Lua code: custom_fields_by_lua must be empty".into()),
    }
}

/// See the module.
pub struct FileLog {
    path: Arc<PathBuf>,
    reopen: bool,
    workspace: Uuid,
    writer: Arc<Writer>,
}

impl PluginDefinition for FileLog {
    const NAME: &'static str = "file-log";
    const PRIORITY: i32 = 9;
    const PHASES: Phases = Phases::LOG.with(Phases::STREAM_LOG);
    const PROTOCOLS: &'static [&'static str] = ALL_PROTOCOLS;

    type Config = Config;
    type State = Writer;

    fn new(config: Config, instance: Instance, writer: &Arc<Writer>, _env: &PluginEnv) -> Result<Self, PluginError> {
        if config.custom_fields_by_lua.is_some_and(|fields| !fields.is_empty()) {
            return Err(PluginError(format!(
                "instance {}: custom_fields_by_lua needs Lua",
                instance.id
            )));
        }
        Ok(FileLog {
            path: Arc::new(PathBuf::from(config.path)),
            reopen: config.reopen,
            workspace: instance.ws_id,
            writer: writer.clone(),
        })
    }

    fn init(writer: &Arc<Writer>, env: &PluginEnv) {
        let (writer, shutdown) = (writer.clone(), env.tasks.shutdown());
        env.tasks.spawn(
            "file-log flush",
            Box::pin(async move {
                shutdown.await;
                writer.flush().await;
            }),
        );
    }

    fn reopen(writer: &Arc<Writer>) {
        writer.reopen();
    }
}

impl FileLog {
    fn write(&self, entry: Object) -> Result<(), PluginError> {
        let mut text = serde_json::to_vec(&entry).map_err(PluginError::new)?;
        text.push(b'\n');
        self.writer.write(Line {
            path: self.path.clone(),
            text,
            reopen: self.reopen,
        });
        Ok(())
    }
}

impl Plugin for FileLog {
    fn log(&self, cx: &mut Log<'_>) -> Result<(), PluginError> {
        self.write(serializer::http(cx, self.workspace)?)
    }

    fn log_stream(&self, cx: &mut StreamLog<'_>) -> Result<(), PluginError> {
        self.write(serializer::stream(cx, self.workspace)?)
    }
}

#[cfg(test)]
mod tests;
