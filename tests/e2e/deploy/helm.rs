//! The Helm chart, rendered by Helm, and what it renders, held to the schemas of Kubernetes and to the service.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use super::{example, root::Root, text};
use crate::support::{
    authority::Authority,
    deployment::Deployment,
    edge::Edge,
    postgres::Postgres,
    programs::{find, folder, run, try_run},
    server::Server,
};

/// What stands beside the defaults in the checks.
fn variants() -> [Value; 5] {
    [
        edge_values(),
        json!({}),
        json!({"tls": {"secretName": ""}, "networkPolicy": {"enabled": false}, "serviceMonitor": {"enabled": false}}),
        json!({"image": {"tag": "1.0", "pullSecrets": ["registry"]}, "replicas": 5, "nodeSelector": {"disk": "ssd"},
            "podAnnotations": {"a": "b"}, "tolerations": [{"key": "spot", "operator": "Exists"}], "listen": "[::]",
            "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/bulla"}},
            "serviceMonitor": {"labels": {"release": "prometheus"}}}),
        json!({"configMaps": {"keyring": null}, "admin": false, "env": [{"name": "BULLA_LOG__LEVEL", "value": "debug"}]}),
    ]
}

fn render(values: &Value) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/helm_render.py");
    let mut python = Command::new(folder().join("bin/python"));
    python.arg(script).arg(example("helm/bulla")).args(["bulla", "bulla", &values.to_string()]);
    try_run(&mut python)
}

fn rendered(values: &Value) -> String {
    let output = render(values);
    assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What kubernetes-validate says, and whether all is well; it reads no network.
fn validate(manifests: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("manifests.yaml");
    std::fs::write(&file, manifests).expect("written");
    let output = try_run(Command::new(find("kubernetes-validate")).arg("--strict").arg(&file));
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The manifests as JSON.
fn documents(manifests: &str) -> Vec<Value> {
    let script = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.argv[1])), sys.stdout)";
    let all = run(Command::new(folder().join("bin/python")).args(["-c", script, manifests]));
    serde_json::from_str(&all).expect("JSON")
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("a {kind}"))
}

#[test]
fn what_the_chart_renders_is_what_kubernetes_takes() {
    for values in variants() {
        let manifests = rendered(&values);
        let (valid, said) = validate(&manifests);
        assert!(valid, "{values}: {said}");
        // The operator's resource is of no version of Kubernetes.
        let unknown: Vec<&str> = said.lines().filter(|line| line.starts_with("WARN")).collect();
        assert!(unknown.iter().all(|line| line.contains("ServiceMonitor")), "{unknown:?}");
    }
    let broken = rendered(&json!({})).replace("failureThreshold: 3", "failureThreshold: many");
    assert!(!validate(&broken).0, "a wrong type is found");
    let unknown = rendered(&json!({})).replace("readOnlyRootFilesystem:", "readOnlyRootFileSystem:");
    assert!(!validate(&unknown).0, "an unknown field is found");
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for values in [json!({"replicas": "three"}), json!({"repliccas": 3}), json!({"image": {"pullPolicy": "Perhaps"}})] {
        let output = render(&values);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("schema"), "{values}: {said}");
    }
}

#[test]
fn the_manifests_without_helm_are_what_the_chart_renders() {
    let head = text("kubernetes/bulla.yaml");
    let (comment, manifests) = head.split_once("---\n").expect("manifests");
    assert!(comment.lines().all(|line| line.starts_with('#')));
    assert_eq!(format!("---\n{manifests}"), rendered(&json!({})), "render them again: the page says how");
    let (valid, said) = validate(&text("kubernetes/namespace.yaml"));
    assert!(valid, "{said}");
}

#[test]
fn selectors_ports_and_names_fit_together() {
    let documents = documents(&rendered(&json!({})));
    let deployment = &of_kind(&documents, "Deployment")["spec"];
    let labels = deployment["template"]["metadata"]["labels"].as_object().expect("labels");
    let selects =
        |selector: &Value| selector.as_object().expect("labels").iter().all(|(name, value)| labels[name] == *value);
    assert!(selects(&deployment["selector"]["matchLabels"]) && deployment["replicas"] == 3);
    for kind in ["PodDisruptionBudget", "NetworkPolicy"] {
        let spec = &of_kind(&documents, kind)["spec"];
        let selector = spec.get("selector").or(spec.get("podSelector")).expect("a selector");
        assert!(selects(&selector["matchLabels"]), "{kind}");
    }
    let container = &deployment["template"]["spec"]["containers"][0];
    let ports: Vec<&str> = container["ports"]
        .as_array()
        .expect("ports")
        .iter()
        .map(|port| port["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(ports, ["admin", "data", "metrics"]);
    let services: Vec<&Value> = documents.iter().filter(|document| document["kind"] == "Service").collect();
    assert_eq!(services.len(), 3);
    for service in &services {
        assert!(
            selects(&service["spec"]["selector"])
                && ports.contains(&service["spec"]["ports"][0]["targetPort"].as_str().expect("a port"))
        );
    }
    // The monitor finds the service of the metrics by its labels, and the port by its name.
    let monitor = &of_kind(&documents, "ServiceMonitor")["spec"];
    let wanted = monitor["selector"]["matchLabels"].as_object().expect("labels");
    let found: Vec<_> = services
        .iter()
        .filter(|service| wanted.iter().all(|(name, value)| service["metadata"]["labels"][name] == *value))
        .map(|service| service["spec"]["ports"][0]["name"].clone())
        .collect();
    assert_eq!(found, [monitor["endpoints"][0]["port"].clone()]);
}

/// The pod's arguments, environment and files, with the folders moved and ports of its own, and a PostgreSQL that
/// speaks TLS.
#[test]
fn the_service_starts_from_the_manifests() {
    let (root, documents) = (Root::new(), documents(&rendered(&json!({}))));
    let container = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let mounted = |name: &str| mount(container, name);
    let config = of_kind(&documents, "ConfigMap")["data"]["bulla.toml"].as_str().expect("a configuration");
    root.mount(&mounted("config"), &[("bulla.toml", root.moved(config))]);
    let names = ["master-1.key", "keyring-mac.key", "pepper-1.key", "feed-signing.key"];
    let keys: Vec<(&str, String)> = (1..).zip(names).map(|(at, name)| (name, Root::key(at))).collect();
    root.mount(&mounted("secret-keys"), &keys);
    let authority = Authority::new("servers");
    mount_certificate(&root, &authority, container);
    let mut environment = environment(container);
    let postgres = postgres(&root, &authority);
    let secret = [("password", "none is asked for\n".to_owned()), ("ca.crt", authority.pem())];
    root.mount(&mounted("secret-postgresql"), &secret);
    let url = format!("{}?sslmode=verify-full", postgres.tcp_url("postgres", "postgres"));
    environment.push(("BULLA_STORE__URL".to_owned(), url));
    root.run(&environment, &["store", "migrate"]).ok();
    std::fs::create_dir_all(root.path(&mounted("files-keyring"))).expect("a folder");
    let admin = root.set_up(&environment, &format!("file:{}/master-1.key", mounted("secret-keys")));

    let mut serve = root.bulla(&environment);
    serve.args(arguments(container));
    let server = Server::start_as(serve, &admin, &[]);
    let data = server.data.over_tls(&authority, None);
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let asked = &container[probe]["httpGet"];
        assert_eq!((&asked["port"], &asked["scheme"]), (&json!("data"), &json!("HTTPS")));
        assert_eq!(data.get(asked["path"].as_str().expect("a path")).status, 200, "{probe}");
    }
    // As people look, and as a container without a kubelet is looked at.
    root.run(&environment, &["status", "--data-listen", &server.data.address]).ok();
    root.run(&environment, &["status", "--alive", "--data-listen", &server.data.address]).ok();
}

/// An edge's pod, with a real node in the place of the nodes' service.
#[test]
fn an_edge_starts_from_the_manifests() {
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    let (root, documents) = (Root::new(), documents(&rendered(&edge_values())));
    assert!(
        documents.iter().all(|document| !document["metadata"]["name"].as_str().expect("a name").ends_with("-admin"))
    );
    let container = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let shown = deployment.keyring(&["show"]);
    let config = of_kind(&documents, "ConfigMap")["data"]["bulla.toml"].as_str().expect("a configuration");
    let config = config
        .replace("https://bulla-data.bulla.svc:8181", &format!("http://{}", node.data.address))
        .replace("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", shown["keyring_id"].as_str().expect("an id"))
        .replace("A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=", shown["feed_public_key"].as_str().expect("a key"));
    root.mount(&mount(container, "config"), &[("bulla.toml", root.moved(&config))]);
    let files = Edge::new(&deployment, &["https://bulla.example:8181"], &["live"]);
    let read = |name: &str| std::fs::read_to_string(files.file(name)).expect("text");
    root.mount(&mount(container, "files-exports"), &[("live.export", read("exports/live.export"))]);
    let authority = Authority::new("servers");
    let secrets = [("edge.key", read("edge.key")), ("feed-api.key", read("feed-api.key")), ("ca.crt", authority.pem())];
    root.mount(&mount(container, "secret-edge"), &secrets);
    mount_certificate(&root, &authority, container);
    let mut serve = root.bulla(&environment(container));
    serve.args(arguments(container));
    let server = Server::start_as(serve, "", &[]);
    let data = server.data.over_tls(&authority, None);
    let key = deployment.issue_text("live", &[]);
    server.until("the first message", |_| data.post("/v1/verify", &json!({"api_key": key})).status == 200);
    assert_eq!(data.post("/v1/verify", &json!({"api_key": key})).json()["active"], true);
    root.run(&environment(container), &["status", "--data-listen", &server.data.address]).ok();
}

/// The values of the example for an edge.
fn edge_values() -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(sys.argv[1]), sys.stdout)";
    let values = text("helm/bulla/values-edge.yaml");
    serde_json::from_str(&run(Command::new(folder().join("bin/python")).args(["-c", script, &values]))).expect("JSON")
}

/// Where a volume is mounted.
fn mount(container: &Value, name: &str) -> String {
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    let mount = mounts.iter().find(|mount| mount["name"] == name).unwrap_or_else(|| panic!("{name} is mounted"));
    mount["mountPath"].as_str().expect("a path").to_owned()
}

/// A container's variables, with a port that is free.
fn environment(container: &Value) -> Vec<(String, String)> {
    let all = container["env"].as_array().expect("variables").iter();
    all.map(|variable| (variable["name"].as_str().expect("a name"), variable["value"].as_str().expect("a value")))
        .map(|(name, value)| (name.to_owned(), value.replace("0.0.0.0:8181", "127.0.0.1:0")))
        .collect()
}

fn arguments(container: &Value) -> impl Iterator<Item = &str> {
    container["args"].as_array().expect("arguments").iter().map(|word| word.as_str().expect("a word"))
}

/// A server whose certificate comes from `authority`.
fn postgres(root: &Root, authority: &Authority) -> Postgres {
    let issued = authority.server(&["127.0.0.1"], 4000, &root.path("/database"));
    let mut postgres = Postgres::start(&["fsync=off"]);
    for (name, path) in [("server.crt", issued.certificate), ("server.key", issued.key)] {
        postgres.replace(name, &std::fs::read_to_string(path).expect("PEM"));
    }
    postgres.configure("postgresql.conf", "ssl = on\n");
    postgres.stop("fast");
    postgres.run();
    postgres
}

fn mount_certificate(root: &Root, authority: &Authority, container: &Value) {
    let issued = authority.server(&["127.0.0.1"], 4000, &root.path("/issued"));
    let read = |path| std::fs::read_to_string(path).expect("PEM");
    root.mount(&mount(container, "tls"), &[("tls.crt", read(issued.certificate)), ("tls.key", read(issued.key))]);
}
