//! `bulla quickstart`: issue, verify, forge and revoke on a throw-away deployment, then print curl commands to continue
//! with.

use std::{net::TcpListener, path::Path, process::ExitCode};

use bulla::forged::forge;
use clap::Args;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use tokio::{runtime::Runtime, sync::watch};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Failure, Outcome,
    backend::{Backend, Remote},
    client::Client,
    init,
    output::{self, DIM, ERROR, SUCCESS},
    serve::hangup,
};
use crate::{
    api::issue::NewApiKey,
    config::{DEFAULT, Level, Listen},
    deployment::{Deployment, write_new},
    server::{Addresses, ConfigFile, Server, shutdown},
    telemetry::log,
};

/// The app of the first key.
const APP: Uuid = Uuid::from_u128(0x3f2b_8c1e_9a7d_4d52_8a55_0123_4567_89ab);

/// Try it: a throw-away server; a key issued, verified, forged, revoked
#[derive(Args)]
pub(super) struct Quickstart {
    /// Exit after the checks instead of serving on
    #[arg(long)]
    once: bool,
}

impl Quickstart {
    pub(super) fn run(self) -> Outcome {
        let folder = tempfile::Builder::new().prefix("bulla-quickstart-").tempdir()?;
        let new = init::create(folder.path(), DEFAULT)?;
        let config_file = ConfigFile::look(&new.config);
        let mut deployment = Deployment::open(&new.config)?;
        deployment.config.log.level = Level::Warn;
        deployment.config.metrics.listen = Listen::None;
        for listen in [&mut deployment.config.data.listen, &mut deployment.config.admin.listen] {
            if self.once || !is_free(listen) {
                *listen = Listen::loopback(0);
            }
        }
        let _last_lines = log::start(&deployment.config.log)?;
        let grace = deployment.config.server.shutdown_grace.0;
        let runtime = Runtime::new()?;
        let hangup = hangup(&runtime)?;
        runtime.block_on(async {
            let server = Server::start(deployment, config_file, hangup, false).await?;
            let addresses = server.addresses();
            let (stop, stopped) = if self.once {
                let (stop, stopped) = watch::channel(false);
                (Some(stop), stopped)
            } else {
                (None, shutdown::on_signal(grace)?)
            };
            let serving = tokio::spawn(server.serve(stopped));
            let tour = {
                let (folder, key) = (folder.path().to_owned(), new.admin_api_key.clone());
                let once = self.once;
                tokio::task::spawn_blocking(move || tour(&folder, key.expose_secret(), &addresses, once))
            };
            let passed = tour.await.map_err(std::io::Error::other)??;
            if let Some(stop) = stop {
                let _stopped_already = stop.send(true);
            }
            serving.await.map_err(std::io::Error::other)?;
            Ok(ExitCode::from(u8::from(!passed)))
        })
    }
}

/// Returns whether the port is free. If another program takes it before the server does, the server reports that error.
fn is_free(listen: &Listen) -> bool {
    match listen {
        Listen::Tcp(address) => TcpListener::bind(address).is_ok(),
        _ => true,
    }
}

/// Issues a key, verifies it, verifies a forged one, and revokes the key. Returns whether the verdicts were right.
fn tour(folder: &Path, admin_key: &str, addresses: &Addresses, once: bool) -> Result<bool, Failure> {
    let data_url = format!("http://{}", addresses.data);
    let admin_url = format!("http://{}", addresses.admin);
    output::line(format_args!("{DIM}deployment{DIM:#}  {} (removed at the end)", folder.display()))?;
    output::line(format_args!("{DIM}data plane{DIM:#}  {data_url}"))?;
    output::line(format_args!("{DIM}admin plane{DIM:#} {admin_url}\n"))?;

    let live = "live".parse().map_err(std::io::Error::other)?;
    let new = NewApiKey {
        expires_in: Some("90d".to_owned()),
        scopes: vec!["orders.read".to_owned()],
        ..NewApiKey::plain(live, APP)
    };
    let administrator = Remote::new(Client::anonymous(&admin_url).sending(admin_key));
    let issued = administrator.issue(new.clone())?;
    let key = issued.api_key.expose();
    output::line(format_args!("1. issued over HTTP\n   {key}\n"))?;

    let verifier = Client::anonymous(&data_url);
    let accepted = is_active(&verifier, key)?;
    report("2. verified over HTTP, without a database", accepted, "active", "not active")?;
    // The last character of its sealed part.
    let forged = forge(key, key.len().saturating_sub(7));
    let rejected = !is_active(&verifier, &forged)?;
    report("3. forged: one character changed, checksum recomputed", rejected, "not active", "active")?;
    output::line(format_args!("   {DIM}{forged}{DIM:#}\n"))?;
    administrator.revoke(&[issued.api_key.id()], None, None)?;
    let revoked = !is_active(&verifier, key)?;
    report("4. revoked over HTTP, in force before the answer", revoked, "not active", "active")?;

    if !once {
        let issued = administrator.issue(new)?;
        let key = issued.api_key.expose();
        // curl reads the keys from files, because `ps` shows command lines.
        let file = |name: &str, content: String| {
            let path = folder.join(name);
            write_new(&path, Zeroizing::new(content).as_bytes(), 0o600).map(|()| path.display().to_string())
        };
        let body = file("verify.json", format!("{{\"api_key\":\"{key}\"}}"))?;
        let header = file("key.header", format!("Authorization: Bearer {key}\n"))?;
        let admin = file("admin.header", format!("Authorization: Bearer {admin_key}\n"))?;
        output::line("Continue with another key:\n")?;
        output::line(format_args!(
            "  curl -s {data_url}/v1/verify -H 'Content-Type: application/json' \\\n       -d @{body}\n"
        ))?;
        output::line(format_args!("  curl -si {data_url}/v1/authorize -H @{header}\n"))?;
        output::line(format_args!(
            "  curl -s {admin_url}/v1/api-keys -H @{admin} \\\n       -H 'Content-Type: application/json' -d '{{\"realm\":\"live\",\"app_id\":\"{APP}\",\"expires_in\":\"1h\"}}'\n"
        ))?;
        output::line("Serving until Ctrl-C.")?;
    }
    Ok(accepted && rejected && revoked)
}

/// The part of the answer to `/v1/verify` that tells the verdict.
#[derive(Deserialize)]
struct Verdict {
    active: bool,
}

fn is_active(client: &Client, key: &str) -> Result<bool, Failure> {
    let verdict: Verdict = client.send("POST", "/v1/verify", Some(&json!({"api_key": key})))?;
    Ok(verdict.active)
}

fn report(what: &str, good: bool, if_good: &str, if_bad: &str) -> std::io::Result<()> {
    let (style, verdict) = if good { (SUCCESS, if_good) } else { (ERROR, if_bad) };
    output::line(format_args!("{what}\n   {style}{verdict}{style:#}\n"))
}
