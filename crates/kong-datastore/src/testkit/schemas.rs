//! The entities that the suite stores: one of every kind of key and foreign key.

use std::sync::Arc;

use kong_schema::{AdminExposure, Field, FieldDef, Foreign, Kind, OnDelete, Record, Schema, Storage, Unique};

/// The suite's schemas.
#[derive(Debug, Clone)]
pub struct TestSchemas {
    /// Named per workspace, with a globally unique code and fields of every kind. A core entity.
    pub parents: Arc<Schema>,
    /// Cascade with their parent; unique key; may expire.
    pub children: Arc<Schema>,
    /// Cascade with their child.
    pub grandchildren: Arc<Schema>,
    /// Restrict the deletion of their parent.
    pub guards: Arc<Schema>,
    /// Survive their parent with a null.
    pub notes: Arc<Schema>,
    /// Unique by (name, parent, guard), each of which may be null; cascade with their parent.
    pub links: Arc<Schema>,
    /// Not in any workspace.
    pub globals: Arc<Schema>,
}

fn field(name: &str, kind: Kind) -> Field {
    Field {
        name: name.into(),
        def: FieldDef {
            kind,
            ..FieldDef::default()
        },
    }
}

fn unique(name: &str, scope: Unique) -> Field {
    Field {
        name: name.into(),
        def: FieldDef {
            unique: scope,
            ..FieldDef::default()
        },
    }
}

fn foreign(name: &str, reference: &str, on_delete: OnDelete) -> Field {
    field(
        name,
        Kind::Foreign(Foreign {
            on_delete,
            ..Foreign::to(reference)
        }),
    )
}

fn elements(kind: Kind) -> Box<FieldDef> {
    Box::new(FieldDef {
        kind,
        ..FieldDef::default()
    })
}

fn schema(name: &str, fields: Vec<Field>, storage: Storage) -> Arc<Schema> {
    let id = Field {
        name: "id".into(),
        def: FieldDef {
            uuid: true,
            auto: true,
            ..FieldDef::default()
        },
    };
    let tags = field("tags", Kind::Set(elements(Kind::String)));
    Arc::new(Schema {
        name: name.into(),
        fields: [id].into_iter().chain(fields).chain([tags]).collect(),
        entity_checks: Vec::new(),
        shorthands: Vec::new(),
        transformations: Vec::new(),
        polymorphic: None,
        on_read: None,
        storage: Storage {
            primary_key: vec!["id".into()],
            ..storage
        },
        admin: AdminExposure::default(),
    })
}

impl Default for TestSchemas {
    fn default() -> Self {
        Self::new()
    }
}

impl TestSchemas {
    /// Builds them.
    pub fn new() -> Self {
        let owned = Storage {
            workspaceable: true,
            ..Storage::default()
        };
        let record = Record {
            fields: vec![
                field("enabled", Kind::Boolean),
                field("sizes", Kind::Array(elements(Kind::Integer))),
            ],
            ..Record::default()
        };
        Self {
            parents: schema(
                "testkit_parents",
                vec![
                    unique("name", Unique::Workspace),
                    unique("code", Unique::Global),
                    field("count", Kind::Integer),
                    field("created_at", Kind::Number),
                    field("enabled", Kind::Boolean),
                    field("config", Kind::Record(Box::new(record))),
                    field(
                        "headers",
                        Kind::Map {
                            keys: elements(Kind::String),
                            values: elements(Kind::String),
                        },
                    ),
                    field("paths", Kind::Array(elements(Kind::String))),
                    field("free", Kind::Abstract),
                    field("group", Kind::String),
                ],
                Storage {
                    core_cache: true,
                    ..owned.clone()
                },
            ),
            children: schema(
                "testkit_children",
                vec![
                    unique("key", Unique::Workspace),
                    foreign("parent", "testkit_parents", OnDelete::Cascade),
                ],
                Storage {
                    cache_key: vec!["key".into()],
                    ttl: true,
                    ..owned.clone()
                },
            ),
            grandchildren: schema(
                "testkit_grandchildren",
                vec![foreign("child", "testkit_children", OnDelete::Cascade)],
                owned.clone(),
            ),
            guards: schema(
                "testkit_guards",
                vec![foreign("parent", "testkit_parents", OnDelete::Restrict)],
                owned.clone(),
            ),
            notes: schema(
                "testkit_notes",
                vec![foreign("parent", "testkit_parents", OnDelete::Null)],
                owned.clone(),
            ),
            links: schema(
                "testkit_links",
                vec![
                    field("name", Kind::String),
                    foreign("parent", "testkit_parents", OnDelete::Cascade),
                    foreign("guard", "testkit_guards", OnDelete::Cascade),
                ],
                Storage {
                    cache_key: vec!["name".into(), "parent".into(), "guard".into()],
                    ..owned
                },
            ),
            globals: schema(
                "testkit_globals",
                vec![unique("name", Unique::Workspace)],
                Storage::default(),
            ),
        }
    }

    /// All of them, parents before children.
    pub fn all(&self) -> Vec<Arc<Schema>> {
        [
            &self.parents,
            &self.children,
            &self.grandchildren,
            &self.guards,
            &self.notes,
            &self.links,
            &self.globals,
        ]
        .map(Arc::clone)
        .to_vec()
    }
}
