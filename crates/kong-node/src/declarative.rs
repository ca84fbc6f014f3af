//! `/config` of a node without a database: documents are loaded whole or not at all (admin-api.md §9).

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kong_admin::{AdminRequest, AdminResponse, DeclarativeConfig, Input};
use kong_datastore::dao::ChangeListener;
use kong_datastore::{BoxFuture, Datastore, MemoryStore, PageQuery, Row, RowOp, StoreError, StoreResult, Write};
use kong_model::Registry;
use kong_model::declarative::{self, DeclarativeError, EMPTY_HASH, LoadContext};
use kong_schema::{Object, Schema};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::publisher::Publisher;

/// Seconds that a client should wait while another load is in progress.
const RETRY_AFTER: &str = "10";
/// Rows read in one page of an export.
const PAGE: usize = 1000;

/// See the module.
pub(crate) struct Documents {
    store: Arc<MemoryStore>,
    registry: Arc<Registry>,
    publisher: Arc<Publisher>,
    hash: Arc<ArcSwap<String>>,
    loading: Mutex<()>,
}

/// Entities as `POST /config` shows them: by name and id.
type Shown = BTreeMap<String, BTreeMap<String, Object>>;

/// Why a document was not applied.
pub(crate) enum Refusal {
    /// It is wrong.
    Document(DeclarativeError),
    /// It is right, and the store does not take it.
    Store(StoreError),
}

/// A document as it was sent.
enum Sent {
    /// JSON that is the document itself.
    Document(Object),
    /// Text that holds it.
    Text(String),
    /// Text that cannot be one.
    Unparsable(DeclarativeError),
    /// Nothing.
    Nothing,
}

impl Documents {
    pub(crate) fn new(store: Arc<MemoryStore>, registry: Arc<Registry>, publisher: Arc<Publisher>) -> Self {
        Documents {
            store,
            registry,
            publisher,
            hash: Arc::new(ArcSwap::from_pointee(EMPTY_HASH.to_owned())),
            loading: Mutex::new(()),
        }
    }

    /// Where the hash of the running document is.
    pub(crate) fn hash(&self) -> Arc<ArcSwap<String>> {
        self.hash.clone()
    }

    async fn post(&self, request: AdminRequest) -> AdminResponse {
        let parameters = request.parameters();
        let is_on = |name: &str, words: &[&str]| match parameters.get(name) {
            Some(Value::Bool(flag)) => *flag && words.contains(&"true"),
            Some(Value::String(text)) => words.iter().any(|word| text.eq_ignore_ascii_case(word)),
            Some(Value::Number(number)) => words.contains(&number.to_string().as_str()),
            _ => false,
        };
        let flatten = is_on("flatten_errors", &["true", "1", "on", "yes"]);
        let check_hash = is_on("check_hash", &["1"]);
        let (document, text) = match sent(&request) {
            Sent::Nothing => return AdminResponse::message(400, "expected a declarative configuration"),
            Sent::Unparsable(error) => return AdminResponse::json(400, &error.body(flatten)),
            Sent::Document(document) => {
                let text = Value::Object(document.clone()).to_string();
                (document, text)
            }
            Sent::Text(text) => {
                let hash = declarative::hash(&text);
                if check_hash && **self.hash.load() == hash {
                    return AdminResponse::empty(304);
                }
                match declarative::parse_text(&text) {
                    Ok(document) => (document, text),
                    Err(error) => return AdminResponse::json(400, &error.body(flatten)),
                }
            }
        };
        let Ok(_guard) = self.loading.try_lock() else {
            return AdminResponse::message(429, "Currently loading previous configuration")
                .header("Retry-After", RETRY_AFTER);
        };
        match self.apply(document, &text).await {
            Ok(shown) => AdminResponse::json(201, &shown),
            Err(Refusal::Document(error)) => AdminResponse::json(400, &error.body(flatten)),
            Err(Refusal::Store(error)) => {
                tracing::error!("a declarative configuration could not be stored: {error}");
                AdminResponse::message(500, "An unexpected error occurred")
            }
        }
    }

    /// Loads the text of the settings at start.
    pub(crate) async fn load_text(&self, text: &str) -> Result<(), Refusal> {
        let document = declarative::parse_text(text).map_err(Refusal::Document)?;
        self.apply(document, text).await.map(drop)
    }

    /// Replaces the configuration; on an error everything stays as it is.
    async fn apply(&self, document: Object, text: &str) -> Result<Shown, Refusal> {
        let context = LoadContext {
            registry: &self.registry,
            now: kong_datastore::unix_now(),
            ws: self.store.default_workspace(),
        };
        let loaded = declarative::load(document, context).map_err(Refusal::Document)?;
        let hash = loaded.hash(text);
        let writes = loaded
            .rows
            .into_iter()
            .map(|(schema, row)| Write {
                schema,
                ws: context.ws,
                op: RowOp::Insert(row),
            })
            .collect();
        let changes = self.store.replace(writes).map_err(Refusal::Store)?;
        self.publisher.changed(&changes).await;
        self.hash.store(Arc::new(hash));
        Ok(loaded.shown)
    }

    async fn export(&self) -> StoreResult<String> {
        let mut groups: Vec<(&Arc<Schema>, Vec<Row>)> = Vec::new();
        for schema in self.registry.schemas() {
            let mut rows = Vec::new();
            let mut after = None;
            loop {
                let query = PageQuery {
                    schema: schema.clone(),
                    ws: self.store.default_workspace(),
                    by_foreign: None,
                    tags: None,
                    size: PAGE,
                    after,
                };
                let page = self.store.page(&query).await?;
                rows.extend(page.rows);
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            groups.push((schema, rows));
        }
        Ok(declarative::export(
            groups.iter().map(|(schema, rows)| (*schema, rows.as_slice())),
        ))
    }
}

fn sent(request: &AdminRequest) -> Sent {
    let config = match &request.input {
        Input::None => return Sent::Nothing,
        Input::Text(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => return Sent::Nothing,
        Input::Text(bytes) => return Sent::Text(String::from_utf8_lossy(bytes).into_owned()),
        Input::Form(fields) if fields.is_empty() => return Sent::Nothing,
        Input::Form(fields) => fields
            .iter()
            .find(|(name, _)| name == "config")
            .map(|(_, text)| json!(text)),
        Input::Json(document) => match document.get("config") {
            Some(config) => Some(config.clone()),
            None => {
                let mut document = document.clone();
                // Query parameters count as members, so that a misspelt one is noticed.
                let parameters = request.parameters();
                for parameter in &request.query {
                    let is_flag = matches!(parameter.name.as_str(), "check_hash" | "flatten_errors");
                    if !is_flag
                        && !document.contains_key(&parameter.name)
                        && let Some(value) = parameters.get(&parameter.name)
                    {
                        document.insert(parameter.name.clone(), value.clone());
                    }
                }
                return Sent::Document(document);
            }
        },
    };
    match config {
        Some(Value::String(text)) if !text.is_empty() => Sent::Text(text),
        _ => Sent::Unparsable(declarative::not_an_object()),
    }
}

impl DeclarativeConfig for Documents {
    fn load(&self, request: AdminRequest) -> BoxFuture<'_, AdminResponse> {
        Box::pin(self.post(request))
    }

    fn show(&self) -> BoxFuture<'_, AdminResponse> {
        Box::pin(async {
            match self.export().await {
                Ok(text) => AdminResponse::json(200, &json!({ "config": text })),
                Err(error) => {
                    tracing::error!("the configuration could not be exported: {error}");
                    AdminResponse::message(500, "An unexpected error occurred")
                }
            }
        })
    }
}
