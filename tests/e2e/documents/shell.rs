//! A shell in a folder of its own, in which the commands of a document run one after the other.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use tempfile::TempDir;

use super::transcript::Ids;
use crate::support::{process, programs};

/// How long a command may take.
const DEADLINE: Duration = Duration::from_secs(240);
/// What the pages say, and the variable that names this deployment's own.
const PORTS: [(&str, &str); 3] =
    [("8181", "BULLA_DATA__LISTEN"), ("8182", "BULLA_ADMIN__LISTEN"), ("8183", "BULLA_METRICS__LISTEN")];
/// Ports that a page may ask for.
const FREE_PORTS: usize = 4;
/// Waits are hardly longer than the pages say, and the keyring's interval, a minute on the pages, is shorter than this.
const PREAMBLE: &str = r#"
set -o pipefail
free_port() { head -n 1 "$FREE_PORTS"; sed -i 1d "$FREE_PORTS"; }
until_it_answers() { local n; for n in $(seq 900); do "$@" > /dev/null 2>&1 && return; command sleep 0.1; done; return 1; }
simulate_aws() {
  local port=$(free_port)
  moto_server -H 127.0.0.1 -p $port > /dev/null 2>&1 &
  export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none
  until_it_answers curl -sf $AWS_ENDPOINT_URL/moto-api/
}
sleep() {
  local for=${1%.*} n
  command sleep $((for > 5 ? 8 : for + 1))
  # The pages wait until a service that they have started is there.
  [[ $(jobs -r) != *'bulla serve'* ]] || for n in $(seq 150); do
    (exec 3<> "/dev/tcp/${BULLA_DATA__LISTEN%:*}/${BULLA_DATA__LISTEN##*:}") 2> /dev/null && break
    command sleep 0.1
  done
}
stands_for() { printf '%s %s\n' "$1" "$2" >> "$STANDS_FOR"; }
"#;

pub struct Shell {
    folder: TempDir,
    child: Child,
    input: ChildStdin,
    ended: Receiver<String>,
    ports: Vec<(String, String)>,
    commands: usize,
    pub ids: Ids,
}

pub struct Ran {
    pub code: i32,
    pub output: String,
}

impl Shell {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let work = folder.path().join("work");
        fs::create_dir(&work).expect("a folder");
        let address = |port: u16| format!("127.0.0.1:{port}");
        let ports: Vec<_> = PORTS.map(|(port, _)| (format!("127.0.0.1:{port}"), address(process::free_port()))).into();
        let more: String = (0..FREE_PORTS).map(|_| format!("{}\n", process::free_port())).collect();
        fs::write(folder.path().join("free-ports"), more).expect("written");
        let built = Path::new(env!("CARGO_BIN_EXE_bulla")).parent().expect("its folder");
        let (bao, parts) = (programs::find("bao"), programs::folder().join("bin"));
        let folders = [built, bao.parent().expect("its folder"), &parts];
        let path = folders.map(|folder| folder.display().to_string()).join(":");
        let path = format!("{path}:{}", std::env::var("PATH").expect("PATH"));
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc"]).current_dir(&work).process_group(0);
        bash.env_clear().env("PATH", path).env("HOME", folder.path()).env("LANG", "C.UTF-8").env("USER", "root");
        bash.env("STANDS_FOR", folder.path().join("stands-for")).env("BULLA_KEYRING__REFRESH_INTERVAL", "3s");
        bash.env("ROOT", super::page::root()).env("FREE_PORTS", folder.path().join("free-ports"));
        bash.envs(PORTS.iter().zip(&ports).map(|((_, variable), (_, own))| (*variable, own.as_str())));
        let mut child =
            bash.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("bash starts");
        let (tell, ended) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(tell.send(line))));
        let mut input = child.stdin.take().expect("its input");
        input.write_all(PREAMBLE.as_bytes()).expect("bash reads");
        Shell { folder, child, input, ended, ports, commands: 0, ids: Ids::new() }
    }

    /// What a page says as it is in this deployment: its ports and folders.
    fn places(&self, text: &str) -> String {
        let mut text = text.replace("/srv/bulla", &self.path("srv").display().to_string());
        for (documented, own) in &self.ports {
            text = text.replace(documented, own);
        }
        text
    }

    /// The other way round, for what commands print.
    fn documented(&self, text: &str) -> String {
        let mut text = text.replace(&self.path("srv").display().to_string(), "/srv/bulla");
        for (documented, own) in &self.ports {
            text = text.replace(own, documented);
        }
        text
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command of a page, with this deployment's ids.
    pub fn run(&mut self, command: &str) -> Ran {
        let own = self.ids.iter().fold(command.to_owned(), |text, (documented, own)| text.replace(documented, own));
        self.run_as_it_is(&own)
    }

    /// Runs a set-up, whose ids are the page's.
    pub fn run_as_it_is(&mut self, command: &str) -> Ran {
        self.commands += 1;
        let output = self.path(&format!("output-{}", self.commands));
        let script = format!(
            "{{ eval \"$(cat <<'__END_OF_EXAMPLE__'\n{0}\n__END_OF_EXAMPLE__\n)\"; }} >'{1}' 2>&1 </dev/null\necho \"$?\"\nPRINTED='{1}'\n",
            self.places(command),
            output.display()
        );
        self.input.write_all(script.as_bytes()).expect("bash reads");
        let code = self.ended.recv_timeout(DEADLINE);
        let printed = String::from_utf8_lossy(&fs::read(&output).expect("the output")).into_owned();
        let code = code.unwrap_or_else(|_| panic!("does not end: {command}\n{printed}"));
        for line in fs::read_to_string(self.path("stands-for")).unwrap_or_default().lines() {
            let (documented, own) = line.split_once(' ').expect("two ids");
            self.ids.insert(documented.to_owned(), own.to_owned());
        }
        Ran { code: code.parse().expect("a number"), output: self.documented(&printed) }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _killed = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _reaped = self.child.wait();
    }
}
