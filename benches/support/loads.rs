//! Load from one core on servers on the other: wrk and h2load, and what they say.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{command::bulla, deployment::Deployment, server::Server};

/// What a while of load showed.
pub struct Load {
    pub per_second: f64,
    /// In microseconds.
    pub p99: f64,
    /// Microseconds of the server's core for each request, in the program and in the kernel.
    pub cpu: f64,
}

/// A request over HTTP/1.1.
#[derive(Clone)]
pub struct Request {
    pub url: String,
    pub headers: Vec<String>,
    pub body: Option<String>,
    /// Where wrk finds the body.
    script: PathBuf,
}

impl Request {
    pub fn get(url: String, header: String) -> Self {
        Request { url, headers: vec![header], body: None, script: PathBuf::new() }
    }

    /// With a body of JSON, for which a file is written.
    pub fn post(url: String, body: String, script: PathBuf) -> Self {
        let mut file = std::fs::File::create(&script).expect("a script");
        writeln!(file, "wrk.method = 'POST'\nwrk.body = [==[{body}]==]").expect("written");
        Request { url, headers: vec!["content-type: application/json".to_owned()], body: Some(body), script }
    }

    /// As many as the server answers, over 16 connections, for a second.
    pub fn wrk(&self, server: u32) -> Load {
        let mut wrk = on_the_second_core("wrk");
        wrk.args(["-t1", "-c16", "-d1s", "--latency"]);
        for header in &self.headers {
            wrk.args(["-H", header]);
        }
        if self.body.is_some() {
            wrk.arg("-s").arg(&self.script);
        }
        let before = ticks(server);
        let out = run(wrk.arg(&self.url));
        let spent = ticks(server) - before;
        let after = |what: &str| {
            let line = out.lines().find_map(|line| line.trim().strip_prefix(what));
            line.unwrap_or_else(|| panic!("{what}: {out}")).trim().to_owned()
        };
        let requests: f64 = out
            .lines()
            .find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok())
            .unwrap_or_else(|| panic!("{out}"));
        let p99 = after("99%");
        let (number, unit) = p99.split_at(p99.find(|c: char| c.is_alphabetic()).expect("a unit"));
        let unit = match unit {
            "us" => 1.0,
            "ms" => 1e3,
            _ => 1e6,
        };
        Load {
            per_second: after("Requests/sec:").parse().expect("a number"),
            p99: number.parse::<f64>().expect("a number") * unit,
            cpu: spent / requests,
        }
    }

    /// This many a second and no more, over 16 connections.
    pub fn at_rate(&self, server: u32, per_second: f64, folder: &Path) -> Load {
        let mut arguments = vec!["--h1".to_owned()];
        self.headers.iter().for_each(|header| arguments.extend(["-H".to_owned(), header.clone()]));
        if let Some(body) = &self.body {
            let file = folder.join("body");
            std::fs::write(&file, body).expect("written");
            arguments.extend(["-d".to_owned(), file.display().to_string()]);
        }
        arguments.extend(["-c16".into(), "-D2".into(), format!("--rps={}", (per_second / 16.0).round())]);
        h2load(&arguments, &self.url, server, folder)
    }
}

/// As many gRPC requests as the server answers, over 4 connections with 4 streams each, for a second.
pub fn grpc(url: &str, frame: &Path, server: u32, folder: &Path) -> Load {
    let headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"];
    let mut arguments: Vec<String> = ["-c4", "-m4", "-D1"].into_iter().chain(headers).map(str::to_owned).collect();
    arguments.extend(["-d".to_owned(), frame.display().to_string()]);
    h2load(&arguments, url, server, folder)
}

fn h2load(arguments: &[String], url: &str, server: u32, folder: &Path) -> Load {
    let log = folder.join("h2load.log");
    let _none_yet = std::fs::remove_file(&log);
    let before = ticks(server);
    let out = run(on_the_second_core("h2load")
        .arg("-t1")
        .args(arguments)
        .arg(url)
        .arg(format!("--log-file={}", log.display())));
    let spent = ticks(server) - before;
    assert!(out.contains(" 0 failed, 0 errored, 0 timeout"), "{out}");
    let rate =
        out.lines().find_map(|line| line.strip_prefix("finished in ")?.split(", ").nth(1)?.strip_suffix(" req/s"));
    let log = std::fs::read_to_string(log).expect("a log");
    let mut times: Vec<f64> = log.lines().filter_map(|line| line.rsplit('\t').next()?.parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    Load {
        per_second: rate.unwrap_or_else(|| panic!("{out}")).parse().expect("a number"),
        p99: times[times.len() * 99 / 100],
        cpu: spent / times.len() as f64,
    }
}

/// Microseconds that a process has had a core, to a hundredth of a second.
pub fn ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let of = |at: usize| fields[at].parse::<f64>().expect("a number");
    (of(11) + of(12)) * 10_000.0
}

/// The service on its core.
pub fn start(deployment: &Deployment) -> Server {
    let bulla = bulla(deployment.path());
    let mut serve = on_the_first_core(bulla.get_program());
    serve.current_dir(deployment.path()).env_remove("BULLA_CONFIG").args(["serve", "--data-listen", "127.0.0.1:0"]);
    Server::start_as(serve, &deployment.admin_key, &[])
}

/// A server's core, which it has to itself.
pub fn on_the_first_core(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

fn on_the_second_core(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "1", program]);
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
