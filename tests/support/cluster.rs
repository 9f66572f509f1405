//! Clusters of PostgreSQL: standbys that stream, promotion, logical replication, and the poolers that people put before
//! them.

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    postgres::{Postgres, as_postgres, is_root, program},
    process::{Process, free_port, listens, wait_until},
    programs,
};

/// How long anything may take that takes milliseconds or a few seconds; a deadline, not an expectation.
const DEADLINE: Duration = Duration::from_secs(120);

/// What others can replicate, physically and logically.
const REPLICATED: &[&str] = &[
    "wal_level=logical",
    "max_connections=400",
    "wal_receiver_status_interval=1s",
    "wal_retrieve_retry_interval=100ms",
    "shared_buffers=16MB",
];

impl Postgres {
    /// A server that others can replicate.
    pub fn primary() -> Postgres {
        Postgres::start(REPLICATED)
    }

    /// A standby of this server that streams, under a name for `synchronous_standby_names`.
    pub fn standby(&self, name: &str) -> Postgres {
        let source = format!("host=127.0.0.1 port={} user=postgres application_name={name}", self.port());
        let copy = |data: &Path| {
            as_postgres(&program("pg_basebackup"))
                .arg("-D")
                .arg(data)
                .args(["-d", &source, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"])
                .output()
        };
        let standby = Postgres::made(copy, REPLICATED);
        let streams = format!(
            "SELECT count(*) FROM pg_stat_replication WHERE application_name = '{name}' AND state = 'streaming'"
        );
        self.until("the standby streams", |primary| primary.sql(&streams) == "1");
        standby
    }

    /// From now on commits wait for the standby of this name; for none where it is empty.
    pub fn wait_for(&self, standby: &str) {
        self.sql(&format!("ALTER SYSTEM SET synchronous_standby_names = '{standby}'"));
        self.reload();
        self.until("the setting counts", |primary| primary.sql("SHOW synchronous_standby_names") == standby);
        let synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        let expected = if standby.is_empty() { "0" } else { "1" };
        self.until("the standby is synchronous", |primary| primary.sql(synchronous) == expected);
    }

    /// Cuts a standby off from its primary: it receives nothing more.
    pub fn lose_primary(&self) {
        self.sql("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'");
        self.reload();
        let received = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
        self.until("nothing more is received", |standby| standby.sql(received) == "0");
    }

    /// Makes a primary of a standby, which waits for no standby of its own.
    pub fn promote(&self) {
        assert_eq!(self.sql("SELECT pg_promote(true, 100)"), "t");
        self.until("it is a primary", |server| server.sql("SELECT pg_is_in_recovery()") == "f");
        self.wait_for("");
    }

    /// Keeps a standby from showing what it receives, or lets it go on.
    pub fn pause_replay(&self, paused: bool) {
        self.sql(if paused { "SELECT pg_wal_replay_pause()" } else { "SELECT pg_wal_replay_resume()" });
        let state = if paused { "paused" } else { "not paused" };
        self.until("the replay obeys", |standby| standby.sql("SELECT pg_get_wal_replay_pause_state()") == state);
    }

    /// Waits until a standby shows everything that its primary has written.
    pub fn until_it_has_all_of(&self, primary: &Postgres) {
        let written = primary.sql("SELECT pg_current_wal_flush_lsn()");
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        self.until("the standby has everything", |standby| standby.sql(&replayed) == "t");
    }

    /// Receives every table of `database` of another server, which has the schema `bulla`.
    pub fn subscribe_to(&self, publisher: &Postgres, database: &str) {
        let dump = as_postgres(&program("pg_dump"))
            .args(["--schema-only", "--schema=bulla", "-h", "127.0.0.1", "-U", "postgres", "-d", database])
            .args(["-p", &publisher.port().to_string()])
            .output()
            .expect("pg_dump runs");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        self.psql(database, &String::from_utf8(dump.stdout).expect("UTF-8"));
        publisher.psql(database, "CREATE PUBLICATION everything FOR TABLES IN SCHEMA bulla");
        let source = format!("host=127.0.0.1 port={} user=postgres dbname={database}", publisher.port());
        self.psql(database, &format!("CREATE SUBSCRIPTION standby CONNECTION '{source}' PUBLICATION everything"));
        let copied = "SELECT count(*) > 0 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel";
        self.until("the tables are copied", |server| server.psql(database, copied) == "t");
    }

    /// Receives nothing more; what is received is kept.
    pub fn pause_subscription(&self, database: &str) {
        self.psql(database, "ALTER SUBSCRIPTION standby DISABLE");
        let works = "SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL";
        self.until("nothing more is received", |server| server.psql(database, works) == "0");
    }

    /// Ends a subscription whose publisher may be gone.
    pub fn unsubscribe(&self, database: &str) {
        self.pause_subscription(database);
        self.psql(database, "ALTER SUBSCRIPTION standby SET (slot_name = NONE)");
        self.psql(database, "DROP SUBSCRIPTION standby");
    }

    /// Runs SQL in the database `postgres`; what it prints.
    pub fn sql(&self, statement: &str) -> String {
        self.psql("postgres", statement)
    }

    /// The URL of the database `postgres` over TCP.
    pub fn here(&self) -> String {
        self.tcp_url("postgres", "postgres")
    }

    /// Waits until `done`.
    pub fn until(&self, what: &str, done: impl Fn(&Postgres) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !done(self) {
            let said = || fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < deadline, "not in time: {what}. {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The URL of the database `postgres` behind a port of the loopback address.
pub fn url_at(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

/// PgBouncer before a server, in transaction mode.
pub struct PgBouncer {
    pub port: u16,
    _process: Process,
    _folder: TempDir,
}

impl PgBouncer {
    /// With so few connections to the server that clients share them.
    pub fn before(server: &Postgres) -> PgBouncer {
        let (folder, port) = (private_folder(), free_port());
        let (ini, log) = (folder.path().join("pgbouncer.ini"), folder.path().join("log"));
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 500\n",
            server.port()
        );
        fs::write(&ini, text).expect("written");
        let process = serve(&programs::find("pgbouncer"), &[ini.as_os_str()], &log);
        wait_until("PgBouncer", &log, || listens(port));
        PgBouncer { port, _process: process, _folder: folder }
    }
}

/// pgpool before a primary and a standby, which balances reads as it does by default.
pub struct Pgpool {
    pub port: u16,
    process: Process,
    _folder: TempDir,
}

impl Pgpool {
    pub fn before(primary: &Postgres, standby: &Postgres) -> Pgpool {
        let (folder, port) = (private_folder(), free_port());
        let (conf, log, place) =
            (folder.path().join("pgpool.conf"), folder.path().join("log"), folder.path().display());
        let text = format!(
            "backend_clustering_mode = 'streaming_replication'\nlisten_addresses = '127.0.0.1'\nport = {port}\n\
             unix_socket_directories = '{place}'\npcp_port = {pcp}\npcp_socket_dir = '{place}'\npid_file_name = '{place}/pid'\n\
             logdir = '{place}'\nnum_init_children = 32\nmax_pool = 1\nenable_pool_hba = off\nsr_check_user = 'postgres'\n\
             sr_check_database = 'postgres'\nsr_check_period = 1\nfailover_on_backend_error = off\n\
             backend_hostname0 = '127.0.0.1'\nbackend_port0 = {}\nbackend_weight0 = 1\nbackend_flag0 = 'ALWAYS_PRIMARY'\n\
             backend_hostname1 = '127.0.0.1'\nbackend_port1 = {}\nbackend_weight1 = 1\n",
            primary.port(),
            standby.port(),
            pcp = free_port(),
        );
        fs::write(&conf, text).expect("written");
        let process = serve(&programs::find("pgpool"), &["-n".as_ref(), "-f".as_ref(), conf.as_os_str()], &log);
        let ask = || {
            let mut psql = Command::new(program("psql"));
            psql.args(["-X", "-qAt", "-h", "127.0.0.1", "-U", "postgres", "-p", &port.to_string(), "-c", "SELECT 1"]);
            psql.env("PGCONNECT_TIMEOUT", "30").output()
        };
        wait_until("pgpool", &log, || ask().is_ok_and(|output| output.status.success()));
        Pgpool { port, process, _folder: folder }
    }
}

impl Drop for Pgpool {
    /// Its children end only if it ends them.
    fn drop(&mut self) {
        let _gone_already = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(30);
        while listens(self.port) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Starts a server as the user that PostgreSQL runs as.
fn serve(program: &Path, arguments: &[&OsStr], log: &Path) -> Process {
    let prepare = |command: &mut Command| {
        if is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        }
        // A process that becomes another user's forgets the signal that it was to get.
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments).current_dir("/");
    };
    Process::start(Path::new("setpriv"), prepare, log)
}

/// A folder that belongs to the user that PostgreSQL runs as.
fn private_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    if is_root() {
        programs::run(Command::new("chown").arg("postgres:").arg(folder.path()));
    }
    folder
}
