//! The path table. Kong's matching rules differ from those of common routers: segments match on the raw, undecoded
//! path, literals win over parameters with backtracking (`/schemas/plugins` is the schema of `plugins`), a trailing
//! slash is optional, repeated slashes never match, and the methods of a path decide between 404 and 405.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Path templates and what answers them: `H` per method.
#[derive(Debug)]
pub(crate) struct Table<H> {
    root: Node<H>,
}

#[derive(Debug)]
struct Node<H> {
    literals: HashMap<String, Node<H>>,
    parameter: Option<Box<Node<H>>>,
    endpoint: Option<Arc<Endpoint<H>>>,
}

/// One path template.
#[derive(Debug)]
pub(crate) struct Endpoint<H> {
    /// Template with parameters in braces.
    pub(crate) template: String,
    /// Names of the parameters in order.
    pub(crate) parameters: Vec<String>,
    /// What answers each method.
    pub(crate) methods: BTreeMap<String, H>,
}

impl<H> Default for Node<H> {
    fn default() -> Self {
        Self {
            literals: HashMap::new(),
            parameter: None,
            endpoint: None,
        }
    }
}

impl<H: Clone> Table<H> {
    pub(crate) fn new() -> Self {
        Self { root: Node::default() }
    }

    /// Sets what answers a method of a path, replacing what did before.
    pub(crate) fn on(&mut self, method: &str, template: &str, handler: H) {
        self.endpoint(template, |endpoint| {
            endpoint.methods.insert(method.to_owned(), handler);
        });
    }

    /// Puts another function in front of what answers the methods that a path has.
    pub(crate) fn wrap(&mut self, template: &str, wrapper: impl Fn(&str, H) -> H) {
        self.endpoint(template, |endpoint| {
            endpoint
                .methods
                .iter_mut()
                .for_each(|(method, handler)| *handler = wrapper(method, handler.clone()));
        });
    }

    fn endpoint(&mut self, template: &str, change: impl FnOnce(&mut Endpoint<H>)) {
        let mut node = &mut self.root;
        let mut parameters = Vec::new();
        for segment in segments(template) {
            match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
                Some(name) => {
                    parameters.push(name.to_owned());
                    node = node.parameter.get_or_insert_default();
                }
                None => node = node.literals.entry(segment.to_owned()).or_default(),
            }
        }
        let mut endpoint = match node.endpoint.take().map(Arc::try_unwrap) {
            Some(Ok(endpoint)) => endpoint,
            Some(Err(shared)) => Endpoint {
                template: shared.template.clone(),
                parameters: shared.parameters.clone(),
                methods: shared.methods.clone(),
            },
            None => Endpoint {
                template: template.to_owned(),
                parameters,
                methods: BTreeMap::new(),
            },
        };
        change(&mut endpoint);
        node.endpoint = Some(Arc::new(endpoint));
    }

    /// The endpoint of a raw path and the raw values of its parameters.
    pub(crate) fn find<'p>(&self, path: &'p str) -> Option<(&Arc<Endpoint<H>>, Vec<&'p str>)> {
        let segments: Vec<&str> = segments(path).collect();
        let mut values = Vec::new();
        self.root
            .find(&segments, &mut values)
            .map(|endpoint| (endpoint, values))
    }

    /// Every template, sorted segment by segment.
    pub(crate) fn templates(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.root.templates(&mut all);
        all.sort_by(|a, b| a.split('/').cmp(b.split('/')));
        all
    }
}

impl<H> Node<H> {
    fn find<'p>(&self, rest: &[&'p str], values: &mut Vec<&'p str>) -> Option<&Arc<Endpoint<H>>> {
        let Some((segment, rest)) = rest.split_first() else {
            return self.endpoint.as_ref();
        };
        if let Some(endpoint) = self.literals.get(*segment).and_then(|node| node.find(rest, values)) {
            return Some(endpoint);
        }
        let node = self.parameter.as_ref().filter(|_| !segment.is_empty())?;
        let depth = values.len();
        values.push(segment);
        let found = node.find(rest, values);
        if found.is_none() {
            values.truncate(depth);
        }
        found
    }

    fn templates(&self, all: &mut Vec<String>) {
        all.extend(self.endpoint.iter().map(|e| e.template.clone()));
        self.literals.values().for_each(|node| node.templates(all));
        if let Some(node) = &self.parameter {
            node.templates(all);
        }
    }
}

/// Segments of a path without its leading slash and, if it has one, its trailing slash; none for `/`.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let root = path.is_empty();
    path.strip_suffix('/').unwrap_or(path).split('/').filter(move |_| !root)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn table() -> Table<&'static str> {
        let mut table = Table::new();
        for path in [
            "/",
            "/plugins",
            "/plugins/{plugins}",
            "/plugins/enabled",
            "/schemas/{name}",
            "/schemas/{db_entity_name}/validate",
            "/schemas/plugins/{name}",
            "/schemas/plugins/validate",
            "/upstreams/{upstreams}/targets/all",
            "/upstreams/{upstreams}/targets/{targets}",
        ] {
            table.on("GET", path, path);
        }
        table
    }

    #[test]
    fn paths_match_as_in_the_original() {
        let table = table();
        for (path, want) in [
            ("/", Some("/")),
            ("//", None),
            ("/plugins", Some("/plugins")),
            ("/plugins/", Some("/plugins")),
            ("/plugins//", None),
            ("//plugins", None),
            ("/Plugins", None),
            ("/plugins/x", Some("/plugins/{plugins}")),
            ("/plugins/x/", Some("/plugins/{plugins}")),
            ("/plugins/enabled", Some("/plugins/enabled")),
            ("/plugins/enabled/x", None),
            ("/schemas/plugins", Some("/schemas/{name}")),
            ("/schemas/plugins/acl", Some("/schemas/plugins/{name}")),
            ("/schemas/plugins/validate", Some("/schemas/plugins/validate")),
            ("/schemas/routes/validate", Some("/schemas/{db_entity_name}/validate")),
            ("/schemas/routes/x", None),
            ("/upstreams/u/targets/all", Some("/upstreams/{upstreams}/targets/all")),
            (
                "/upstreams/u/targets/a%2Fb",
                Some("/upstreams/{upstreams}/targets/{targets}"),
            ),
            ("/plugins/..", Some("/plugins/{plugins}")),
        ] {
            assert_eq!(table.find(path).map(|(e, _)| e.template.as_str()), want, "{path}");
        }
    }

    #[test]
    fn backtracking_drops_the_values_of_the_abandoned_branch() {
        let table = table();
        let (endpoint, values) = table.find("/upstreams/u/targets/t").unwrap();
        assert_eq!(
            (endpoint.parameters.as_slice(), values.as_slice()),
            (
                ["upstreams".to_owned(), "targets".to_owned()].as_slice(),
                ["u", "t"].as_slice()
            )
        );
    }
}
