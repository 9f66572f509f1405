//! The programs that people have, with a key in their own settings, through a gateway: in front of a folder with a
//! repository, a package index and a registry.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use super::{gateway::NGINX, keys::Keys, running::Running};
use crate::support::{
    process::{self, Process},
    programs,
};

/// A gateway before the files in a folder.
struct Protected {
    running: Running,
    keys: Keys,
    folder: tempfile::TempDir,
    _files: Process,
}

impl Protected {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, log) = (process::free_port(), folder.path().join("files.log"));
        let served = folder.path().join("served");
        fill(&served);
        let files = Process::start(
            &programs::find("python3"),
            |command| {
                let port = port.to_string();
                command.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(&served).arg(port);
            },
            &log,
        );
        process::wait_until("python3", &log, || process::listens(port));
        let behind = format!("proxy_pass http://127.0.0.1:{port}");
        // A registry's clients ask at the root.
        let changes =
            [("location /orders/ {", "location ~ ^/(orders|v2)/ {"), ("proxy_pass http://127.0.0.1:9000", &behind)];
        let running = Running::start_with(&NGINX, &changes);
        let keys = Keys::issue(&running.deployment);
        let ended = running.server().data.request("POST", "/v1/self-revoke", &[("x-api-key", &keys.revoked.text)], "");
        assert_eq!(ended.status, 200, "{}", ended.body);
        Protected { running, keys, folder, _files: files }
    }

    /// An address with this user and password.
    fn url(&self, login: &str, path: &str) -> String {
        let at = if login.is_empty() { "" } else { "@" };
        format!("http://{login}{at}{}{path}", self.running.http.address)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(programs::find(program));
        // Nothing of the settings of those who run the tests.
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).env("GIT_TERMINAL_PROMPT", "0");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("PIP_CONFIG_FILE", "/dev/null").env("NO_PROXY", "*");
        for proxy in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"] {
            command.env_remove(proxy);
        }
        command
    }

    /// Lets the client in with a good key, and not with a revoked one.
    fn hold(&self, program: &str, run: impl Fn(&str, &mut Command) -> Output) {
        for (key, good) in [(&self.keys.good.text, true), (&self.keys.revoked.text, false)] {
            let said = run(key, &mut self.command(program));
            let shown = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
            assert_eq!(said.status.success(), good, "{program}: {shown}\n{}", self.running.log());
        }
    }
}

/// A repository for git's plain HTTP, a package in an index, and the root of a registry.
fn fill(served: &Path) {
    let orders = served.join("orders");
    fs::create_dir_all(orders.join("simple/wares")).expect("a folder");
    fs::create_dir_all(served.join("v2")).expect("a folder");
    fs::write(served.join("v2/index.html"), "{}").expect("written");
    fs::write(orders.join("file"), "the file\n").expect("written");
    let git = |arguments: &[&str]| {
        let mut git = Command::new(programs::find("git"));
        git.env("HOME", served).env("GIT_CONFIG_NOSYSTEM", "1").current_dir(&orders);
        programs::run(
            git.args(["-c", "user.name=x", "-c", "user.email=x@example", "-c", "init.defaultBranch=main"])
                .args(arguments),
        )
    };
    git(&["init", "--quiet", "made"]);
    git(&["-C", "made", "commit", "--quiet", "--allow-empty", "--message", "Begin"]);
    git(&["clone", "--quiet", "--bare", "made", "wares.git"]);
    git(&["-C", "wares.git", "update-server-info"]);
    // The least that is a wheel.
    let wheel = "wares-1-py3-none-any.whl";
    let make = "import sys, zipfile\n\
        z = zipfile.ZipFile(sys.argv[1], 'w')\n\
        z.writestr('wares-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: wares\\nVersion: 1\\n')\n\
        z.writestr('wares-1.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
        z.writestr('wares-1.dist-info/RECORD', '')\n";
    programs::run(
        Command::new(programs::find("python3")).args(["-c", make]).arg(orders.join("simple/wares").join(wheel)),
    );
    fs::write(orders.join("simple/wares/index.html"), format!("<a href=\"{wheel}\">{wheel}</a>")).expect("written");
}

/// The options of curl for a login with this key.
type Login<'a> = &'a dyn Fn(&str) -> [String; 2];

/// What stands before the host of a URL for a login with this key.
type UserInfo = fn(&str) -> String;

#[test]
fn programs_that_people_have_log_in_with_a_key() {
    let protected = Protected::start();
    let folder = protected.folder.path();
    let fresh = || {
        for name in ["cloned", "loaded", "got", "auth.json", ".netrc"] {
            let path = folder.join(name);
            // What was not made cannot be removed.
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    };
    for login in
        [|key: &str| format!("x:{key}"), |key: &str| format!("{key}:"), |key: &str| format!("{key}:x-oauth-basic")]
    {
        protected.hold("git", |key, git| {
            fresh();
            let url = protected.url(&login(key), "/orders/wares.git");
            programs::try_run(git.args(["clone", "--quiet", &url, "cloned"]))
        });
    }
    protected.hold("git", |key, git| {
        fresh();
        let helper = format!("credential.helper=!f() {{ printf 'username=x\\npassword=%s\\n' {key}; }}; f");
        let url = protected.url("", "/orders/wares.git");
        programs::try_run(git.args(["-c", &helper, "clone", "--quiet", &url, "cloned"]))
    });
    let netrc = |name: &str, key: &str| {
        let host = protected.running.http.address.split(':').next().expect("a host").to_owned();
        let file = folder.join(name);
        fs::write(&file, format!("machine {host} login me password {key}\n")).expect("written");
        file
    };
    for in_file in [false, true] {
        protected.hold("wget", |key, wget| {
            fresh();
            if in_file {
                netrc(".netrc", key);
            } else {
                wget.args(["--user=me".to_owned(), format!("--password={key}")]);
            }
            wget.args(["--no-verbose", "--tries=1", "--output-document=got"]);
            programs::try_run(wget.arg(protected.url("", "/orders/file")))
        });
    }
    for how in [&["--basic"][..], &["--anyauth"]] {
        let login: [Login<'_>; 3] = [
            &|key: &str| ["--netrc-file".to_owned(), netrc("netrc", key).to_string_lossy().into_owned()],
            &|key: &str| ["--user".to_owned(), format!("me:{key}")],
            &|key: &str| ["--user".to_owned(), format!("{key}:")],
        ];
        for login in login {
            protected.hold("curl", |key, curl| {
                let url = protected.url("", "/orders/file");
                programs::try_run(curl.args(["--silent", "--fail"]).args(login(key)).args(how).arg(url))
            });
        }
    }
    // The virtual environment's Python has pip.
    let logins: [Option<UserInfo>; 3] = [Some(|key| format!("__token__:{key}")), Some(|key| key.to_owned()), None];
    for login in logins {
        protected.hold("python", |key, pip| {
            fresh();
            if login.is_none() {
                netrc(".netrc", key);
            }
            let login = login.map(|login| login(key)).unwrap_or_default();
            let index = protected.url(&login, "/orders/simple");
            pip.args(["-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input", "download", "--quiet"]);
            pip.args(["--no-deps", "--retries", "0", "--no-cache-dir", "--dest", "loaded", "--index-url", &index]);
            programs::try_run(pip.arg("wares"))
        });
    }
    protected.hold("skopeo", |key, skopeo| {
        fresh();
        let login = ["login", "--authfile", "auth.json", "--tls-verify=false", "--username", "me", "--password", key];
        programs::try_run(skopeo.args(login).arg(&protected.running.http.address))
    });
}
