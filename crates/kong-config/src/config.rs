//! The whole configuration of a node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::checks::Reader;
use crate::datastore::{Cache, Database};
use crate::dns::Dns;
use crate::errors::{ConfigError, ConfigErrors};
use crate::file;
use crate::hybrid::{Families, Role};
use crate::listener::{Listener, parse_listeners};
use crate::logs::Logs;
use crate::prefix::Prefix;
use crate::property::Subsystem;
use crate::proxy::Proxy;
use crate::rules;
use crate::selection::Selection;
use crate::server::Server;
use crate::tls::Tls;
use crate::values::{Sources, Values};

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The file that was asked for; it must exist.
    pub file: Option<PathBuf>,
    /// Otherwise the first of these that exists, if any does.
    pub default_files: Vec<PathBuf>,
    /// Values that hold where neither environment nor file says anything: the running node's `.kong_env` on a reload.
    pub base_file: Option<PathBuf>,
    /// The environment: `KONG_*`, `HOME`, `XDG_STATE_HOME`, and what `{vault://env/…}` refers to.
    pub environment: BTreeMap<String, String>,
    /// The prefix given on the command line; the strongest.
    pub prefix: Option<PathBuf>,
}

impl LoadOptions {
    /// Nothing but the given environment.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let environment = environment.into_iter().collect();
        Self {
            file: None,
            default_files: Vec::new(),
            base_file: None,
            environment,
            prefix: None,
        }
    }

    /// What a command of the process reads: its environment and the usual files.
    pub fn from_process() -> Self {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value)));
        let default_files = ["/etc/kong/kong.conf", "/etc/kong.conf"].map(PathBuf::from).to_vec();
        Self {
            default_files,
            ..Self::new(environment)
        }
    }
}

/// Addresses on which the node listens, by what is served there.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Listeners {
    pub proxy: Vec<Listener>,
    pub stream: Vec<Listener>,
    pub admin: Vec<Listener>,
    /// Accepted, not opened yet.
    pub admin_gui: Vec<Listener>,
    pub status: Vec<Listener>,
    pub cluster: Vec<Listener>,
}

/// The configuration of a node, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The working directory.
    pub prefix: Prefix,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// `role`
    pub role: Role,
    /// `node_id`
    pub node_id: Option<Uuid>,
    /// `*_listen`
    pub listeners: Listeners,
    /// `*_log`, `log_level`
    pub logs: Logs,
    /// `database` and what follows from it.
    pub database: Database,
    /// `db_*`, `mem_cache_size`
    pub cache: Cache,
    /// `plugins`
    pub plugins: Selection,
    /// `vaults`
    pub vaults: Selection,
    /// How requests are proxied.
    pub proxy: Proxy,
    /// Workers, client connections, server directives.
    pub server: Server,
    /// Certificates of the listeners.
    pub tls: Tls,
    /// `dns_*`, `resolver_*`
    pub dns: Dns,
    /// `admin_gui_url`: origins that may call the Admin API from a browser.
    pub admin_gui_urls: Vec<String>,
    /// What the user should know and is no reason not to start.
    pub warnings: Vec<String>,
    pub(crate) values: Values,
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order in which users should hear of it.
    pub fn load(options: &LoadOptions) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let (sources, file, mut warnings) = read_sources(options)?;
        let mut values = Values::merge(&sources, &mut errors);
        values.check_choices(&mut errors);

        let prefix = choose_prefix(&values, options);

        let mut reader = Reader::new(&values);
        let listeners = Listeners::read(&mut reader);
        let proxy = Proxy::read(&mut reader);
        let tls = Tls::read(&mut reader);
        let server = Server::read(&mut reader);
        let dns = Dns::read(&mut reader);
        let cache = Cache::read(&mut reader);
        let families = Families {
            proxy: &listeners.proxy,
            admin: &listeners.admin,
            cluster: &listeners.cluster,
        };
        let role = Role::read(&mut reader, &families);
        rules::check(&mut reader);
        let node_id = reader.read("node_id", |text| {
            Uuid::try_parse(text)
                .ok()
                .filter(|_| text.len() == 36)
                .ok_or_else(|| "node_id must be a valid UUID".to_owned())
        });
        let logs = Logs::read(&mut reader, &prefix);
        listeners.check_proxy_protocol(&mut reader);
        let database = Database::read(&mut reader, &prefix.path);
        let (plugins, vaults) = (
            Selection::read(&values.list("plugins")),
            Selection::read(&values.list("vaults")),
        );
        let admin_gui_urls = values.list("admin_gui_url");
        errors.append(&mut reader.errors);
        warnings.append(&mut reader.warnings);

        values.check_refused(&mut errors);
        if let Some(errors) = ConfigErrors::from_list(errors) {
            return Err(errors);
        }
        values.warn_not_yet();
        warnings.append(&mut values.warnings);
        Ok(Self {
            prefix,
            file,
            role,
            node_id,
            listeners,
            logs,
            database,
            cache,
            plugins,
            vaults,
            proxy,
            server,
            tls,
            dns,
            admin_gui_urls,
            warnings,
            values,
        })
    }

    /// Finds the prefix and checks nothing else: what `kong stop` needs, whatever state the configuration is in.
    pub fn locate_prefix(options: &LoadOptions) -> Result<Prefix, ConfigErrors> {
        let (sources, ..) = read_sources(options)?;
        let values = Values::merge(&sources, &mut Vec::new());
        Ok(choose_prefix(&values, options))
    }

    /// Reads the configuration that `kong reload` has left in the prefix. The environment of the process says only
    /// what references stand for.
    pub fn load_again(&self) -> Result<Self, ConfigErrors> {
        let environment = LoadOptions::from_process().environment.into_iter();
        let environment = environment.filter(|(name, _)| !name.starts_with("KONG_"));
        Self::load(&LoadOptions {
            file: Some(self.prefix.env_file()),
            ..LoadOptions::new(environment)
        })
    }

    /// The text of a property (references replaced), declared or of a dynamic family such as `pluginserver_*`.
    pub fn text(&self, property: &str) -> Option<&str> {
        self.values.text(property)
    }
}

impl Listeners {
    fn read(reader: &mut Reader<'_>) -> Self {
        let mut family = |name: &str, subsystem| {
            let read = |text: &str| parse_listeners(text, subsystem).map_err(|usage| format!("{name} {usage}"));
            reader.read(name, read).unwrap_or_default()
        };
        Self {
            proxy: family("proxy_listen", Subsystem::Http),
            stream: family("stream_listen", Subsystem::Stream),
            admin: family("admin_listen", Subsystem::Http),
            admin_gui: family("admin_gui_listen", Subsystem::Http),
            status: family("status_listen", Subsystem::Http),
            cluster: family("cluster_listen", Subsystem::Http),
        }
    }

    /// A listener that ignored the flag would take the load balancer's address for the client's.
    fn check_proxy_protocol(&self, reader: &mut Reader<'_>) {
        for (name, family) in [
            ("proxy_listen", &self.proxy),
            ("admin_listen", &self.admin),
            ("admin_gui_listen", &self.admin_gui),
            ("status_listen", &self.status),
        ] {
            if family.iter().any(|listener| listener.proxy_protocol) {
                reader.errors.push(ConfigError::Refused {
                    property: name.into(),
                    value: "… proxy_protocol".into(),
                    reason: "the PROXY protocol is not built yet".into(),
                });
            }
        }
    }
}

fn choose_prefix(values: &Values, options: &LoadOptions) -> Prefix {
    let environment = |name: &str| options.environment.get(name).map(String::as_str);
    let set = values.is_set("prefix").then(|| values.text("prefix")).flatten();
    let usual = crate::table::property("prefix")
        .and_then(|property| property.default)
        .unwrap_or_default();
    Prefix::choose(
        set,
        Path::new(usual),
        environment("HOME"),
        environment("XDG_STATE_HOME"),
    )
}

type Read = (Sources, Option<PathBuf>, Vec<String>);

fn read_sources(options: &LoadOptions) -> Result<Read, ConfigErrors> {
    let mut warnings = Vec::new();
    let file = match &options.file {
        Some(path) if !path.exists() => return Err(ConfigError::NoFile(path.clone()).into()),
        Some(path) => Some(path.clone()),
        None => options.default_files.iter().find(|path| path.exists()).cloned(),
    };
    let mut sources = Sources {
        environment: options.environment.clone(),
        ..Sources::default()
    };
    let base = options.base_file.iter().filter(|path| path.exists());
    for path in base.chain(&file) {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let parsed = file::parse(&text);
        for line in parsed.unreadable_lines {
            warnings.push(format!(
                "{}:{line} is not of the form 'name = value' and is ignored",
                path.display()
            ));
        }
        sources.file.extend(parsed.values);
    }
    if let Some(prefix) = &options.prefix {
        sources
            .arguments
            .insert("prefix".into(), prefix.to_string_lossy().into_owned());
    }
    Ok((sources, file, warnings))
}
