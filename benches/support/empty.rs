//! Servers that look at nothing: what axum and tonic are as they come, on tokio's default runtime. This benchmark
//! starts itself again as such a server.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Stdio},
};

use axum::{Router, routing::any};
use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use crate::loads::on_the_first_core;

/// The environment variable that says so.
const WHICH: &str = "BULLA_BENCH_EMPTY";

/// A server in a process of its own.
pub struct Empty {
    process: Child,
    pub address: String,
}

impl Empty {
    /// Starts `axum` or `tonic`.
    pub fn start(which: &str) -> Self {
        let this = std::env::current_exe().expect("this program");
        let mut process = on_the_first_core(this).env(WHICH, which).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut address = String::new();
        let out = process.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut address).expect("an address");
        Empty { process, address: address.trim().to_owned() }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _status = self.process.wait();
    }
}

struct Nothing;

#[tonic::async_trait]
impl Authorization for Nothing {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse::default()))
    }
}

/// Serves, if this process was started for it.
pub fn serve_if_asked() -> bool {
    let Ok(which) = std::env::var(WHICH) else { return false };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let say = || {
            println!("{address}");
            std::io::stdout().flush().expect("said");
        };
        if which == "axum" {
            say();
            let empty = || any(|| async {});
            let router = Router::new()
                .route("/v1/authorize", empty())
                .route("/v1/verify", empty())
                .route("/v1/verify/batch", empty());
            axum::serve(listener, router).await.expect("served");
        } else {
            drop(listener);
            say();
            let server = tonic::transport::Server::builder().add_service(AuthorizationServer::new(Nothing));
            server.serve(address).await.expect("served");
        }
    });
    true
}
