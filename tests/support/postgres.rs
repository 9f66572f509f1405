//! PostgreSQL servers for the tests: in a temporary folder, on a Unix socket there and on a port of the loopback
//! address. Each ends with this process, even if that is killed.

#[path = "ports.rs"]
pub mod ports;

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A running server.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    running: Option<Running>,
}

/// The server's parent, which ends it when this process closes its standard input.
struct Running {
    guard: Child,
    ends_it: ChildStdin,
}

/// Seconds that making a data folder may take, and connecting. A hang then fails its test, and not the whole run.
const MAKE_LIMIT: &str = "180";
const CONNECT_LIMIT: &str = "30";
/// What a statement of psql may take, for the same reason.
const STATEMENT_LIMIT: &str = "-c statement_timeout=120s";

/// What no test but those of durability needs.
const HASTY: &[&str] = &["fsync=off", "full_page_writes=off", "synchronous_commit=off"];

impl Postgres {
    /// One for all tests of this process that do nothing to it. It does not wait for the disk.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Postgres::start(HASTY))
    }

    /// A new one with these settings.
    pub fn start(settings: &[&str]) -> Postgres {
        let initdb = |data: &Path| {
            as_postgres("timeout".as_ref())
                .args(["--kill-after=5", MAKE_LIMIT])
                .arg(program("initdb"))
                .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
                .arg(data)
                .output()
        };
        Postgres::made(initdb, settings)
    }

    /// One with these settings, whose data folder `make` makes.
    pub fn made(make: impl FnOnce(&Path) -> std::io::Result<Output>, settings: &[&str]) -> Postgres {
        let folder = tempfile::Builder::new().prefix("bulla-pg-").tempdir().expect("a folder").keep();
        let mut server = Postgres { folder, port: ports::free_port(), running: None };
        if is_root() {
            let chown = Command::new("chown").arg("postgres:").arg(&server.folder).status();
            assert!(chown.is_ok_and(|status| status.success()), "the user `postgres` of the package postgresql exists");
        }
        checked("the data folder", make(&server.data()));
        let own = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nmax_connections = 200\nlogging_collector = \
             off\nshared_buffers = 32MB\n{}\n",
            server.port,
            server.folder.display(),
            settings.iter().map(|one| one.replacen('=', " = ", 1)).collect::<Vec<_>>().join("\n"),
        );
        server.configure("postgresql.conf", &own);
        server.run();
        server
    }

    /// The port on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Adds to a file of the data folder.
    pub fn configure(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).expect("a file of the data folder");
        file.write_all(text.as_bytes()).expect("written");
        self.give(&path);
    }

    /// Replaces a file of the data folder, which only the server may read.
    pub fn replace(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        self.give(&path);
    }

    fn give(&self, path: &Path) {
        if is_root() {
            let owner = self.folder.metadata().expect("the folder");
            std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())).expect("given to the server");
        }
    }

    /// Starts the server, and waits until it answers.
    pub fn run(&mut self) {
        // Where this process ends without a word, nobody else removes the folder.
        let script = "\"$1\" -D \"$2\" </dev/null >>\"$2/test.log\" 2>&1 & server=$!\n\
                      read -r word; kill -INT $server 2>/dev/null; wait $server; [ -n \"$word\" ] || rm -rf \"$3\"";
        let mut command = as_postgres("sh".as_ref());
        command.args(["-c", script, "sh"]).arg(program("postgres")).arg(self.data()).arg(&self.folder);
        let mut guard = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("sh");
        let ends_it = guard.stdin.take().expect("its standard input");
        self.running = Some(Running { guard, ends_it });
        let deadline = Instant::now() + Duration::from_secs(90);
        while !self.try_psql("postgres", "SELECT 1").status.success() {
            let said = || fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL did not come up within 90 s: {}", said());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where the server writes what happens.
    pub fn log(&self) -> PathBuf {
        self.data().join("test.log")
    }

    /// Stops the server as an administrator does (`fast`), or as a crash does (`immediate`).
    pub fn stop(&mut self, how: &str) {
        let Some(mut running) = self.running.take() else { return };
        let stopped = as_postgres(&program("pg_ctl")).args(["stop", "-w", "-m", how, "-D"]).arg(self.data()).output();
        running.ends_it.write_all(b"stopped\n").expect("the server's parent reads");
        drop(running.ends_it);
        running.guard.wait().expect("the server's parent ends");
        checked("pg_ctl stop", stopped);
    }

    /// Lets the server read its configuration again.
    pub fn reload(&self) {
        self.psql("postgres", "SELECT pg_reload_conf()");
    }

    /// Runs SQL as the superuser; what it prints, without headings. It has to succeed.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let output = self.try_psql(database, sql);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs SQL as the superuser.
    pub fn try_psql(&self, database: &str, sql: &str) -> Output {
        self.psql_as("postgres", database, sql)
    }

    /// Runs SQL as this role.
    pub fn psql_as(&self, role: &str, database: &str, sql: &str) -> Output {
        self.psql_with(&["-U", role], database, sql)
    }

    /// The rows of a query, with every column as a text.
    pub fn rows(&self, database: &str, sql: &str) -> Vec<Vec<String>> {
        let output = self.psql_with(&["-U", "postgres", "--field-separator-zero", "-R", "\x1e"], database, sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let rows = text.strip_suffix('\n').unwrap_or(&text).split('\x1e').filter(|row| !row.is_empty());
        rows.map(|row| row.split('\0').map(str::to_owned).collect()).collect()
    }

    /// psql, which reads SQL from its standard input.
    pub fn psql_open(&self, database: &str) -> Child {
        self.psql_process(&["-U", "postgres"], database, "")
    }

    fn psql_with(&self, arguments: &[&str], database: &str, sql: &str) -> Output {
        let mut psql = self.psql_process(arguments, database, STATEMENT_LIMIT);
        psql.stdin.take().expect("its standard input").write_all(sql.as_bytes()).expect("written");
        psql.wait_with_output().expect("psql ends")
    }

    fn psql_process(&self, arguments: &[&str], database: &str, options: &str) -> Child {
        let mut command = Command::new(program("psql"));
        command.env("PGCONNECT_TIMEOUT", CONNECT_LIMIT).env("PGOPTIONS", options);
        command.args(["-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-p", &self.port.to_string()]);
        let psql = command.args(arguments).arg("-h").arg(&self.folder);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("psql")
    }

    /// A new database; its name.
    pub fn new_database(&self) -> String {
        self.copy_of("template1")
    }

    /// A new database with everything that is in this one, which nobody uses; its name.
    pub fn copy_of(&self, database: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {database}"));
        name
    }

    /// Removes a database, even while it is in use.
    pub fn drop_database(&self, database: &str) {
        self.psql("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"));
    }

    /// Everything in a database, as SQL, with texts in the clear also where a column holds bytes.
    pub fn dump(&self, database: &str) -> Vec<u8> {
        let mut dump = Command::new(program("pg_dump"));
        dump.env("PGOPTIONS", "-c bytea_output=escape");
        dump.args(["-U", "postgres", "-d", database, "-p", &self.port.to_string(), "-h"]).arg(&self.folder);
        let output = dump.output().expect("pg_dump runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The URL of a database over the socket, as the superuser.
    pub fn url(&self, database: &str) -> String {
        self.url_of("postgres", database)
    }

    /// The URL of a database over the socket, as this role.
    pub fn url_of(&self, role: &str, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://{role}@{folder}:{}/{database}", self.port)
    }

    /// The URL of a database over TCP, as this role.
    pub fn tcp_url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop("immediate");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A program of PostgreSQL: the newest version's, or where the system has its own.
pub fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin").join(name)))
        })
        .filter(|(_, path)| path.is_file())
        .collect();
    found.sort();
    let on_path = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
    };
    found.pop().map(|(_, path)| path).or_else(on_path).unwrap_or_else(|| {
        panic!("{name} is not installed, and the tests need it: ./tests/run installs it (or tests/parts alone)")
    })
}

/// PostgreSQL refuses to run as root.
pub fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups", "--"]).arg(program);
    command.current_dir("/");
    command
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn checked(what: &str, output: std::io::Result<Output>) {
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}
