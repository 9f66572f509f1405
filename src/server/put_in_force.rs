//! Puts a change in force that is on record already. Where that fails the change is made all the same, and no answer
//! may say that it is not.

use std::time::Instant;

use super::{App, problem::Problem};
use crate::{store::StoreError, telemetry::rate_limit::LineLimit};

/// A change that is on record, and that this process could not read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the change is on record and may be in force elsewhere; this server could not read it ({0}) and applies it as soon as it can"
)]
pub(super) struct NotInForce(StoreError);

/// Reads the change that was just committed; it is in force here when this returns.
pub(super) fn put_in_force(app: &App) -> Result<(), NotInForce> {
    app.catch_up().map_err(|error| {
        static LINES: LineLimit = LineLimit::new();
        if let Some(kept_back) = LINES.allow(Instant::now()) {
            tracing::error!(%error, kept_back, "a change is on record and could not be put in force here");
        }
        NotInForce(error)
    })
}

/// For a change that may be repeated, and shows nothing that would be lost.
impl From<NotInForce> for Problem {
    fn from(error: NotInForce) -> Self {
        Problem::may_have_happened(format!("{error}. Repeat the request: it is not done twice"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{
        body::Body,
        http::{Method, Request},
    };
    use http_body_util::BodyExt;
    use secrecy::{ExposeSecret, SecretString};
    use serde_json::{Value, json};

    use crate::{
        cli::throw_away_with_administrator,
        deployment::Deployment,
        server::{
            Node, Unbound,
            simulation::faults::{Fault, Faults, FaultyStore},
        },
        store::Store,
    };

    /// No request makes more calls of the store.
    const CALLS: usize = 16;

    /// Both planes of a node whose store fails when it is told to.
    struct World {
        data: Unbound,
        admin: Unbound,
        administrator: SecretString,
        faults: Arc<Faults>,
        real: Arc<dyn Store>,
        _folder: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let (config, administrator) = throw_away_with_administrator(folder.path()).expect("made");
            let deployment = Deployment::open(&config).expect("opened");
            let (real, faults) = (deployment.store().expect("opened"), Arc::new(Faults::default()));
            let store = FaultyStore { real: Arc::clone(&real), faults: Arc::clone(&faults) };
            let app = Node::load_with(deployment, Arc::new(store), false).expect("loaded").app();
            let (data, admin) = (Unbound::data(Arc::clone(&app)), Unbound::admin(app));
            World { data, admin, administrator, faults, real, _folder: folder }
        }

        async fn send(&self, plane: &Unbound, (method, path): (Method, &str), key: &str, body: Value) -> (u16, Value) {
            let (media, body) = match body {
                Value::String(form) => ("application/x-www-form-urlencoded", form),
                Value::Null => ("application/json", String::new()),
                object => ("application/json", object.to_string()),
            };
            let request = Request::builder().method(method).uri(path).header("x-api-key", key);
            let request = request.header("content-type", media).body(Body::from(body)).expect("a request");
            let (head, body) = plane.answer(request).await.into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            (head.status.as_u16(), serde_json::from_slice(&body).unwrap_or_default())
        }

        /// A new key with a secret half: its id and its text.
        async fn issue(&self) -> (String, String) {
            let new = json!({"realm": "live", "app_id": uuid::Uuid::nil(), "secret": true, "expires_in": "1d"});
            let administrator = self.administrator.expose_secret();
            let (status, key) = self.send(&self.admin, (Method::POST, "/v1/api-keys"), administrator, new).await;
            assert_eq!(status, 201, "{key}");
            let text = |name: &str| key[name].as_str().expect(name).to_owned();
            (text("api_key_id"), text("api_key"))
        }

        /// Changes on record.
        fn changes(&self) -> usize {
            self.real.audit_after(0, 10_000).expect("the audit").len()
        }
    }

    #[tokio::test]
    async fn a_revocation_on_record_is_never_answered_as_not_done() {
        let world = World::new();
        let (admin, data) = (&world.admin, &world.data);
        let administrator = world.administrator.expose_secret();
        for kind in ["revoke", "suspend", "revoke many", "self-revoke", "revoke by OAuth"] {
            let mut uncertain = 0;
            for calls in 0..CALLS {
                let (id, text) = world.issue().await;
                let (one, suspend) = (format!("/v1/api-keys/{id}"), format!("/v1/api-keys/{id}/suspend"));
                let (plane, method, path, key, body) = match kind {
                    "revoke" => (admin, Method::DELETE, &*one, administrator, Value::Null),
                    "suspend" => (admin, Method::POST, &*suspend, administrator, json!({})),
                    "revoke many" => (admin, Method::POST, "/v1/revocations", administrator, json!({"ids": [id]})),
                    "self-revoke" => (data, Method::POST, "/v1/self-revoke", &*text, Value::Null),
                    _ => (data, Method::POST, "/v1/revoke", administrator, json!(format!("token={text}"))),
                };
                let before = world.changes();
                world.faults.plan(calls, Fault { written: false, dies: false });
                let (status, answer) = world.send(plane, (method, path), key, body).await;
                world.faults.end();
                let is_uncertain = answer["type"] == "urn:bulla:problem:may-have-happened";
                let done = world.changes() > before;
                assert_eq!(done, status == 200 || is_uncertain, "{kind}, call {calls}: {status} {answer}");
                uncertain += usize::from(is_uncertain);
            }
            assert!(uncertain > 1, "{kind}: neither the log nor the changes of secret halves could be read");
        }
    }

    #[tokio::test]
    async fn a_new_key_on_record_is_shown_where_the_old_one_s_end_is_not_in_force() {
        let world = World::new();
        let administrator = world.administrator.expose_secret();
        for (kind, shown) in [("reroll", "api_key"), ("reroll-secret", "ending")] {
            let mut warned = Vec::new();
            for calls in 0..CALLS {
                let (id, _) = world.issue().await;
                let (path, how, before) =
                    (format!("/v1/api-keys/{id}/{kind}"), json!({"grace": "0s"}), world.changes());
                world.faults.plan(calls, Fault { written: false, dies: false });
                let (status, answer) = world.send(&world.admin, (Method::POST, &path), administrator, how).await;
                world.faults.end();
                assert_eq!(status == 201, world.changes() > before, "{kind}, call {calls}: {answer}");
                assert_eq!(status == 201, answer[shown].is_string(), "{kind}, call {calls}: {answer}");
                warned.extend(answer["warning"].is_string().then_some(calls));
            }
            assert!(warned.len() > 1, "{kind}: neither the log nor the changes of secret halves could be read");
            if kind == "reroll" {
                let (id, _) = world.issue().await;
                world.faults.plan(warned[0], Fault { written: false, dies: false });
                let (path, how) = (format!("/v1/api-keys/{id}/reroll?wait=60s"), json!({"grace": "0s"}));
                let (status, answer) = world.send(&world.admin, (Method::POST, &path), administrator, how).await;
                world.faults.end();
                assert_eq!((status, answer["api_key"].is_string()), (202, true), "{answer}");
                assert!(answer["propagation"]["error"].is_string(), "nobody knows what to wait for: {answer}");
            }
        }
    }
}
