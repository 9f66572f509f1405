//! The description of `/v1/authorize` in OpenAPI. No router gives it: the path is taken ahead of all routes.

use serde_json::json;
use utoipa::openapi::{HttpMethod, OpenApi};

use super::http::__path_authorize;

/// The path of the route's requirements, behind which a gateway appends the client's path.
const REQUIRED: &str = "/v1/authorize/{required}";

/// The description of `/v1/authorize`, whose routes take every method and every path: alone, with what is required, and
/// with a path of the client's behind that.
pub(in crate::server) fn description() -> OpenApi {
    let mut described = OpenApi::default();
    let (methods, operation) =
        (<__path_authorize as utoipa::Path>::methods(), <__path_authorize as utoipa::Path>::operation());
    for (path, name) in [("/v1/authorize", "authorize"), (REQUIRED, "authorize_required")] {
        for method in &methods {
            let mut operation = operation.clone();
            operation.operation_id = Some(format!("{name}_{}", name_of(method)));
            if path != REQUIRED {
                operation.parameters = None;
            }
            described.paths.add_path_operation(path, vec![method.clone()], operation);
        }
    }
    described
}

fn name_of(method: &HttpMethod) -> String {
    json!(method).as_str().unwrap_or_default().to_owned()
}
