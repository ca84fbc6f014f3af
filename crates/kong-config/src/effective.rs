//! The configuration as others see it: `configuration` in `GET /`, and `.kong_env`.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::config::Config;
use crate::file;
use crate::listener::Listener;
use crate::table::{properties, property};
use crate::tls::on_one_line;
use crate::value::{ConfigValue, split_list};
use crate::vault;

const HIDDEN: &str = "******";

impl Config {
    /// Every property that has a value, and what is derived from them. Secrets are masked, references shown as such.
    ///
    /// The node adds what only it knows: `loaded_plugins`, and the present `log_level`.
    pub fn effective(&self) -> BTreeMap<String, ConfigValue> {
        let mut members = BTreeMap::new();
        for (name, entry) in &self.values.entries {
            let value = match property(name) {
                Some(property) if property.secret && !is_reference(&entry.given) => ConfigValue::Text(HIDDEN.into()),
                Some(property) if property.kind.is_list() => ConfigValue::List(
                    split_list(&entry.given)
                        .map(|item| ConfigValue::Text(item.into()))
                        .collect(),
                ),
                // References are shown, not what they stand for.
                _ if entry.given != entry.text => ConfigValue::Text(entry.given.clone()),
                _ => entry.value.clone(),
            };
            members.insert(name.clone(), value);
        }
        for property in properties().filter(|property| property.kind.is_list()) {
            members
                .entry(property.name.into())
                .or_insert_with(|| ConfigValue::List(Vec::new()));
        }
        self.add_derived(&mut members);
        members
    }

    /// Each property's value as text, secrets masked: what `--vv` prints.
    pub fn effective_texts(&self) -> BTreeMap<String, String> {
        let texts = self.effective().into_iter().map(|(name, value)| match value {
            ConfigValue::Text(text) => (name, text),
            value => (name, serde_json::Value::from(&value).to_string()),
        });
        texts.collect()
    }

    fn add_derived(&self, members: &mut BTreeMap<String, ConfigValue>) {
        let text = |text: &str| ConfigValue::Text(text.to_owned());
        members.insert("prefix".into(), text(&self.prefix.path.to_string_lossy()));
        members.insert("database".into(), text(self.database.kind.name()));
        members.insert("kong_env".into(), text(&self.prefix.env_file().to_string_lossy()));
        members.insert("nginx_pid".into(), text(&self.prefix.pid_file().to_string_lossy()));
        let families = [
            ("proxy", &self.listeners.proxy),
            ("stream", &self.listeners.stream),
            ("admin", &self.listeners.admin),
            ("admin_gui", &self.listeners.admin_gui),
            ("status", &self.listeners.status),
            ("cluster", &self.listeners.cluster),
        ];
        for (family, listeners) in families {
            let list = listeners.iter().map(Listener::to_value).collect();
            members.insert(format!("{family}_listeners"), ConfigValue::List(list));
            if matches!(family, "proxy" | "admin" | "status") {
                let ssl = listeners.iter().any(|listener| listener.ssl);
                members.insert(format!("{family}_ssl_enabled"), ConfigValue::Boolean(ssl));
            }
        }
        let vaults = self.vaults.chosen(["env"]).into_iter();
        let vaults = vaults
            .map(|name| (name.to_owned(), ConfigValue::Boolean(true)))
            .collect();
        members.insert("loaded_vaults".into(), ConfigValue::Map(vaults));
        let ports = self.proxy.port_maps.iter();
        let ports = ports
            .map(|map| (map.listener.to_string(), ConfigValue::Number(f64::from(map.outside))))
            .collect();
        members.insert("host_ports".into(), ConfigValue::Map(ports));
        // The spellings under which the original shows them.
        for name in ["client_max_body_size", "client_body_buffer_size"] {
            if let Some(value) = members.get(name).cloned() {
                members.insert(format!("nginx_http_{name}"), value);
            }
        }
    }

    /// The lines of `.kong_env`: what this configuration says, in the syntax of `kong.conf`.
    pub fn env_file_text(&self) -> String {
        let mut text = String::from(
            "# This file is written by `kong start`, `kong prepare` and `kong reload`. Do not edit it: change the\n\
             # configuration file or the environment instead.\n\n",
        );
        let shown = self.effective_lines();
        for (name, value) in shown {
            if value.contains('\n') {
                // The syntax has no way to write it.
                text.push_str(&format!("# {name} has several lines and is not kept here\n"));
            } else {
                text.push_str(&file::line(&name, &value));
            }
        }
        text
    }

    fn effective_lines(&self) -> BTreeMap<String, String> {
        let mut lines: BTreeMap<_, _> = self
            .values
            .entries
            .iter()
            .map(|(name, entry)| (name.clone(), on_one_line(&entry.given)))
            .collect();
        for name in &self.values.emptied {
            lines.insert((*name).to_owned(), String::new());
        }
        lines.insert("prefix".into(), self.prefix.path.to_string_lossy().into_owned());
        lines.insert("database".into(), self.database.kind.name().to_owned());
        lines
    }

    /// Writes `.kong_env` under the prefix, readable by its owner only, for it may hold passwords.
    pub fn write_env_file(&self) -> io::Result<()> {
        let path = self.prefix.env_file();
        let temporary = path.with_extension(format!("new{}", std::process::id()));
        let written = (|| {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(self.env_file_text().as_bytes())?;
            std::fs::rename(&temporary, &path)
        })();
        written.map_err(|error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display())))
    }
}

fn is_reference(text: &str) -> bool {
    split_list(text).all(vault::is_reference)
}
