//! `GET /openapi.json`: the HTTP interface as OpenAPI 3.1 has it, made of the handlers and types that do the work.

mod assembly;
mod examples;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::Extension,
    http::{HeaderName, header},
};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{App, data, problem::Problem};

/// The document, rendered once.
#[derive(Clone)]
struct Rendered(Bytes);

/// The endpoint that answers the document, in which the `admin` plane is described as its router does.
pub(super) fn router(admin: OpenApi) -> Router<Arc<App>> {
    let (router, own) = OpenApiRouter::default().routes(routes!(document)).split_for_parts();
    let document = assembly::document(data::routes().into_openapi(), admin, own);
    router
        .method_not_allowed_fallback(|| async { Problem::method() })
        .layer(Extension(Rendered(document.to_string().into())))
}

/// Describes the HTTP interface.
///
/// This document. It needs no credential.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1, both planes.", body = Object))
)]
async fn document(Extension(Rendered(document)): Extension<Rendered>) -> ([(HeaderName, &'static str); 1], Bytes) {
    ([(header::CONTENT_TYPE, "application/json")], document)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        cli::throw_away,
        deployment::Deployment,
        scope::Grant,
        server::{Node, admin},
    };

    /// The paths of a router, which names them in its `Debug` alone.
    fn routed(router: &Router) -> BTreeSet<String> {
        let named = |router: &Router| -> BTreeSet<String> {
            format!("{router:?}").split('"').filter(|part| part.starts_with('/')).map(str::to_owned).collect()
        };
        &named(router) - &named(&Router::new())
    }

    #[test]
    fn descriptions_name_scopes_that_there_are() {
        let document = serde_json::json!(admin::routes().into_openapi()).to_string();
        let named = document.split("Scope").skip(1).map(|rest| rest.split('.').next().unwrap_or_default());
        let scopes: Vec<&str> = named.flat_map(|sentence| sentence.split('`').skip(1).step_by(2)).collect();
        assert!(scopes.len() > 15, "{scopes:?}");
        for scope in scopes {
            assert!(scope.replace("REALM", "live").parse::<Grant>().is_ok(), "{scope}");
        }
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let deployment = Deployment::open(&throw_away(folder.path()).expect("made")).expect("opened");
        let app = Node::load(deployment, false).expect("loaded").app();

        let mut described: BTreeSet<String> = admin::routes().into_openapi().paths.paths.into_keys().collect();
        described.insert("/openapi.json".to_owned());
        assert_eq!(routed(&admin::router(Arc::clone(&app))), described);

        let described: BTreeSet<String> = data::routes().into_openapi().paths.paths.into_keys().collect();
        let mut routed = routed(&data::router(app));
        // They come before any route.
        routed.extend(["/v1/authorize".to_owned(), "/v1/authorize/{required}".to_owned()]);
        assert_eq!(routed, described);
    }
}
