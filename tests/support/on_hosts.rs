//! Nodes and edges on hosts of their own, each with the port 8181 of its host.

use bulla::{feed::VerifyingKey, keyring::KeyringId};
use serde_json::{Value, json};

use super::{
    authority::Authority,
    command::bulla,
    deployment::{APP, Deployment},
    edge::Edge,
    http::Http,
    netns::Host,
    server::Server,
};

/// The port of every data plane.
pub const PORT: u16 = 8181;

/// What a verifier says of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Accepted,
    Refused,
    CouldNotTell,
}

pub struct Node<'h> {
    pub server: Server,
    pub host: &'h Host,
    /// Its data plane, over TLS.
    data: Http,
}

impl<'h> Node<'h> {
    /// Starts one, with a certificate for its host's address.
    pub fn start(host: &'h Host, deployment: &Deployment, authority: &Authority, environment: &[(&str, &str)]) -> Self {
        let mut serve = bulla(deployment.path());
        serve.args(["serve", "--data-listen", &format!("{}:{PORT}", host.address)]);
        let issued = authority.server(&[&host.address], 4000, &deployment.file(&host.address.replace('.', "-")));
        serve.env("BULLA_DATA__TLS__CERTIFICATE", &issued.certificate).env("BULLA_DATA__TLS__KEY", &issued.key);
        let server = Server::start_as(host.on(&serve), &deployment.admin_key, environment);
        let data = server.data.over_tls(authority, None);
        Node { server, host, data }
    }

    /// Where followers find it.
    pub fn origin(&self) -> String {
        origin(self.host)
    }

    pub fn issue(&self) -> Value {
        self.try_issue().expect("an API key is issued")
    }

    /// A new key, unless the node cannot issue any.
    pub fn try_issue(&self) -> Option<Value> {
        let new = json!({"realm": "live", "app_id": APP});
        let answer = self.host.inside(|| self.server.admin.post("/v1/api-keys", &new));
        (answer.status == 201).then(|| answer.json())
    }

    /// Revokes a key; it is acknowledged when this returns.
    pub fn revoke(&self, key: &Value) {
        assert!(self.try_revoke(key), "it is acknowledged");
    }

    /// Revokes a key, and returns whether that was acknowledged.
    pub fn try_revoke(&self, key: &Value) -> bool {
        let path = format!("/v1/api-keys/{}", key["api_key_id"].as_str().expect("an id"));
        self.host.inside(|| self.server.admin.request("DELETE", &path, &[], "")).status < 300
    }

    /// Revokes ids of keys that nobody has.
    pub fn revoke_ids(&self, ids: &[String]) {
        let answer = self.host.inside(|| self.server.admin.post("/v1/revocations", &json!({"ids": ids})));
        assert_eq!(answer.json()["revoked"], ids.len(), "{}", answer.body);
    }

    pub fn verdict(&self, key: &Value) -> Verdict {
        verdict(self.host, &self.data, key)
    }

    /// What `/readyz` says.
    pub fn ready(&self) -> Value {
        self.host.inside(|| self.data.get("/readyz")).json()
    }
}

/// Where a node on this host is.
pub fn origin(host: &Host) -> String {
    format!("https://{}:{PORT}", host.address)
}

fn verdict(host: &Host, data: &Http, key: &Value) -> Verdict {
    let answer = host.inside(|| data.post("/v1/verify", &json!({"api_key": key["api_key"]})));
    match answer.status {
        200 if answer.json()["active"] == true => Verdict::Accepted,
        200 => Verdict::Refused,
        503 => Verdict::CouldNotTell,
        other => panic!("{other}: {}", answer.body),
    }
}

/// What a follower of a deployment trusts.
pub fn trust(deployment: &Deployment) -> (KeyringId, VerifyingKey) {
    let shown = deployment.keyring(&["show"]);
    let text = |name: &str| shown[name].as_str().expect(name).to_owned();
    (text("keyring_id").parse().expect("an id"), text("feed_public_key").parse().expect("a key"))
}

/// The files of an edge, and where it runs.
pub struct EdgeOn<'h> {
    pub files: Edge,
    host: &'h Host,
}

/// An edge that runs.
pub struct RunningEdge<'h> {
    pub server: Server,
    pub host: &'h Host,
}

impl<'h> EdgeOn<'h> {
    /// Follows the nodes on these hosts.
    pub fn new(deployment: &Deployment, authority: &Authority, host: &'h Host, nodes: &[&Host]) -> Self {
        let sources: Vec<String> = nodes.iter().map(|node| origin(node)).collect();
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        Self::following(deployment, authority, host, &sources)
    }

    /// Follows these sources.
    pub fn following(deployment: &Deployment, authority: &Authority, host: &'h Host, sources: &[&str]) -> Self {
        let files = Edge::new(deployment, sources, &["live"]);
        files.configure("# roots = \"ca.crt\"", &format!("roots = {:?}", authority.file()));
        EdgeOn { files, host }
    }

    pub fn start(&self) -> RunningEdge<'h> {
        self.start_with(&[])
    }

    /// Starts with further environment variables.
    pub fn start_with(&self, environment: &[(&str, &str)]) -> RunningEdge<'h> {
        let server = Server::start_as(self.host.on(&self.files.serve()), "", environment);
        RunningEdge { server, host: self.host }
    }
}

impl RunningEdge<'_> {
    pub fn verdict(&self, key: &Value) -> Verdict {
        verdict(self.host, &self.server.data, key)
    }

    /// What `/readyz` says.
    pub fn ready(&self) -> Value {
        self.host.inside(|| self.server.data.get("/readyz")).json()
    }

    /// Whether nothing is degraded.
    pub fn is_well(&self) -> bool {
        self.ready()["degraded"].as_array().is_some_and(Vec::is_empty)
    }
}
