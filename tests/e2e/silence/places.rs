//! Where a secret could have come to stand: answers, output, log, audit, metrics, and the files of a deployment.

use crate::support::{deployment::Deployment, server::Server};

/// What is looked for at once: shorter than what anybody would quote of a secret, and too long to occur by chance.
const WINDOW: usize = 12;

#[derive(Default)]
pub(super) struct Places(Vec<(String, Vec<u8>)>);

impl Places {
    pub(super) fn add(&mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.push((name.into(), content.into()));
    }

    /// Everything that a service says and leaves behind: it is stopped.
    pub(super) fn add_service(&mut self, deployment: &Deployment, server: Server) {
        self.add("metrics", server.metrics.get("/metrics").body);
        self.add("ledger", server.admin.get("/v1/api-keys?limit=1000").body);
        self.add("readiness", server.data.get("/readyz").body);
        self.add_files(deployment);
        self.add("store", deployment.store().bytes());
        assert!(self.get("store").contains("api_key.issue"), "what was written last is among it");
        self.add("log", server.stop());
        self.add("audit", deployment.run(&["audit", "--jsonl"]).ok().out.clone());
    }

    /// The names and the content of a deployment's files.
    pub(super) fn add_files(&mut self, deployment: &Deployment) {
        for entry in std::fs::read_dir(deployment.path()).expect("the folder") {
            let path = entry.expect("an entry").path();
            let name = path.display().to_string();
            self.add(format!("the name {name}"), name.clone());
            if path.is_file() {
                self.add(name, std::fs::read(&path).expect("its content"));
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> String {
        let found = self.0.iter().find(|(of, _)| of == name).expect("a place of this name");
        String::from_utf8_lossy(&found.1).into_owned()
    }

    /// Nothing of an API key is anywhere but its id, which is public.
    pub(super) fn hold_no_key(&self, key: &str) {
        let parsed: bulla::ApiKey = key.parse().unwrap_or_else(|_| panic!("an API key"));
        let id = parsed.id().to_string().len();
        self.hold_nothing_of(&key[id..]);
    }

    /// No part of a secret is anywhere, neither as text nor as the numbers of its bytes.
    pub(super) fn hold_nothing_of(&self, secret: &str) {
        let windows: Vec<&[u8]> = secret.as_bytes().chunks_exact(WINDOW).collect();
        assert!(!windows.is_empty(), "long enough to be looked for");
        for (name, content) in &self.0 {
            for window in &windows {
                let numbers: Vec<String> = window[..4].iter().map(u8::to_string).collect();
                for form in [window.to_vec(), numbers.join(", ").into_bytes()] {
                    let found = content.windows(form.len()).any(|part| part == form);
                    assert!(!found, "{name} holds a part of a secret: {}", String::from_utf8_lossy(content));
                }
            }
        }
    }
}
