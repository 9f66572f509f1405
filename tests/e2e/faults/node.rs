//! A node on a host of its own.

use bulla::{feed::VerifyingKey, keyring::KeyringId};
use serde_json::{Value, json};

use crate::support::{
    authority::Authority,
    command::bulla,
    deployment::{APP, Deployment},
    http::Http,
    netns::Host,
    server::Server,
};

pub(super) struct Node<'h> {
    server: Server,
    host: &'h Host,
    /// Its data plane, over TLS.
    data: Http,
}

impl<'h> Node<'h> {
    /// Starts one, with a certificate for its host's address.
    pub(super) fn start(
        host: &'h Host,
        deployment: &Deployment,
        authority: &Authority,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut serve = bulla(deployment.path());
        serve.args(["serve", "--data-listen", &format!("{}:0", host.address)]);
        let issued = authority.server(&[&host.address], 4000, &deployment.file(&host.address));
        serve.env("BULLA_DATA__TLS__CERTIFICATE", &issued.certificate).env("BULLA_DATA__TLS__KEY", &issued.key);
        let server = Server::start_as(host.on(&serve), &deployment.admin_key, environment);
        let data = server.data.over_tls(authority, None);
        Node { server, host, data }
    }

    pub(super) fn port(&self) -> u16 {
        self.data.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// Where its feed is.
    pub(super) fn feed(&self) -> String {
        format!("https://{}/v1/revocations", self.data.address)
    }

    pub(super) fn issue(&self) -> Value {
        let answer =
            self.host.inside(|| self.server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()
    }

    /// Revokes a key; it is acknowledged when this returns.
    pub(super) fn revoke(&self, key: &Value) {
        let path = format!("/v1/api-keys/{}", key["api_key_id"].as_str().expect("an id"));
        let answer = self.host.inside(|| self.server.admin.request("DELETE", &path, &[], ""));
        assert!(answer.status < 300, "{}", answer.body);
    }

    /// Whether it accepts a key.
    pub(super) fn accepts(&self, key: &Value) -> bool {
        let answer = self.host.inside(|| self.data.post("/v1/verify", &json!({"api_key": key["api_key"]})));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["active"] == true
    }
}

/// What a follower of a deployment trusts.
pub(super) fn trust(deployment: &Deployment) -> (KeyringId, VerifyingKey) {
    let shown = deployment.keyring(&["show"]);
    let text = |name: &str| shown[name].as_str().expect(name).to_owned();
    (text("keyring_id").parse().expect("an id"), text("feed_public_key").parse().expect("a key"))
}
