//! Filter chains need Wasm (entities.md §4.13): every path about them is refused while it is off.

use crate::error::ApiError;
use crate::routes::Routes;

const REFUSAL: &str = "this endpoint is only available when wasm is enabled";

pub(super) fn add(routes: &mut Routes, wasm: bool) {
    for list in ["all", "enabled", "disabled"] {
        let template = format!("/routes/{{routes}}/filters/{list}");
        routes.on("GET", &template, |_, _| async { Err(ApiError::message(400, REFUSAL)) });
    }
    if !wasm {
        routes.refuse(
            |template| template.split('/').any(|segment| segment == "filter-chains"),
            400,
            REFUSAL,
        );
    }
}
