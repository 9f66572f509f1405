//! `bulla feed publish`.

use std::{process::ExitCode, time::Duration};

use bulla::{Realm, feed::VerifyingKey, keyring::KeyringId};
use clap::Args;
use serde_json::json;
use tokio::{runtime::Builder, sync::watch};

use crate::{
    cli::{ConfigArgument, Outcome, client::ServerArgument, failure::Failure, output},
    clock,
    config::{Listen, LogConfig, ServerConfig, Span, parse_span},
    publication::{self, LocalLog, Origin, Publisher, PublisherMetrics, Settings, Trusted},
    server,
    telemetry::log,
};

/// Write the feed as files that any file server, bucket or CDN can serve
#[derive(Args)]
#[command(after_help = "Examples:
  bulla feed publish /srv/feed                         the deployment's own log, signed with its key
  bulla feed publish s3://feeds/prod --server https://bulla.example:8181 \\
      --keyring-id HEX --public-key BASE64             from a node; needs no key that signs, only one of the scope `feed`

Credentials for s3:// come from where AWS programs look for them. The bucket's region and another service's address are
parameters: s3://BUCKET/PREFIX?region=R&endpoint=URL")]
pub(in crate::cli) struct Publish {
    /// Where to: a folder, or s3://BUCKET/PREFIX
    #[arg(value_name = "DIR | s3://BUCKET/PREFIX")]
    place: String,
    /// The longest time between two head objects; a revocation is published at once
    #[arg(long, value_name = "DURATION", value_parser = parse_span, default_value = "5s", conflicts_with = "once")]
    interval: Span,
    /// Publish once and exit
    #[arg(long)]
    once: bool,
    /// Only the messages about this realm
    #[arg(long, value_name = "REALM")]
    realm: Option<Realm>,
    /// How long files stay that are not needed any more: longer than any cache keeps an old head
    #[arg(long, value_name = "DURATION", value_parser = parse_span, default_value = "24h")]
    keep: Span,
    /// How often all files are made anew, without revocations that no longer count
    #[arg(long, value_name = "DURATION", value_parser = parse_span, default_value = "24h")]
    renew: Span,
    /// Serve /metrics here: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR", conflicts_with = "once")]
    metrics_listen: Option<Listen>,
    /// With --server, the keyring's id: `bulla keyring show` prints it
    #[arg(long, value_name = "HEX", requires = "server", help_heading = "Server options")]
    keyring_id: Option<KeyringId>,
    /// With --server, the feed's public key: `bulla keyring show` prints it
    #[arg(long, value_name = "BASE64", requires = "server", help_heading = "Server options")]
    public_key: Option<VerifyingKey>,
    /// Print one JSON object
    #[arg(long, requires = "once")]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl Publish {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        if self.interval.0 < Duration::from_secs(1) {
            return Err(Failure::Usage(
                "--interval is at least 1s: what is revoked is published at once anyhow".to_owned(),
            ));
        }
        let (source, trusted, log_config) = self.source(config)?;
        let _last_lines = if self.once { None } else { Some(log::start(&log_config)?) };
        let place = publication::open(&self.place)?;
        let metrics = PublisherMetrics::default();
        let settings = Settings { interval: self.interval.0, keep: self.keep.0, renew: self.renew.0 };
        let mut publisher = Publisher::new(source, place, trusted, settings, metrics.clone());
        if self.once {
            return self.publish_once(&mut publisher);
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (_never, stop) = watch::channel(false);
        if let Some(listen) = &self.metrics_listen {
            let router = metrics.router();
            let (address, serving) = runtime
                .block_on(server::serve_alone(router, listen, &ServerConfig::default(), stop))
                .map_err(|error| Failure::Undone(format!("cannot listen on {listen}: {error}")))?;
            runtime.spawn(serving);
            tracing::info!(place = publisher.shown(), metrics = %address, "publishing the feed");
        } else {
            tracing::info!(place = publisher.shown(), "publishing the feed");
        }
        publisher.run()
    }

    fn publish_once(&self, publisher: &mut Publisher) -> Outcome {
        let mut published = publisher.publish(Duration::ZERO)?;
        if !publisher.tidy()? {
            published = publisher.publish(Duration::ZERO)?;
        }
        let place = publisher.shown();
        let shown = json!({
            "place": place,
            "log_id": published.log_id.to_string(),
            "seq": published.seq,
            "this_update": clock::timestamp(published.this_update),
            "next_update": clock::timestamp(published.next_update),
            "files": published.files,
            "bytes": published.bytes,
            "snapshot": published.snapshot,
        });
        if self.json {
            output::json(&shown)?
        } else {
            output::object(&shown)?
        };
        Ok(ExitCode::SUCCESS)
    }

    /// Where messages come from, and whose they are.
    fn source(&self, config: &ConfigArgument) -> Result<(Box<dyn Origin>, Trusted, LogConfig), Failure> {
        if let Some(source) = self.server.feed(self.realm)? {
            let (Some(keyring_id), Some(key)) = (self.keyring_id, self.public_key) else {
                let what = "--server needs --keyring-id and --public-key, so that nothing else is published: \
                            `bulla keyring show` beside the store prints both";
                return Err(Failure::Usage(what.to_owned()));
            };
            return Ok((Box::new(source), Trusted { keyring_id, key, realm: self.realm }, LogConfig::default()));
        }
        let deployment = config.open()?;
        if let Some(realm) = self.realm {
            crate::cli::known_realm(&deployment.config, realm, "so a follower of it would never hear of a revocation")?;
        }
        let log_config = deployment.config.log.clone();
        let Some(log) = LocalLog::open(deployment, self.realm)? else {
            let what = "this deployment signs no feed: set feed.signing_key, or name a node with --server";
            return Err(Failure::Undone(what.to_owned()));
        };
        let trusted = Trusted { keyring_id: log.keyring_id()?, key: log.public_key(), realm: self.realm };
        Ok((Box::new(log), trusted, log_config))
    }
}
