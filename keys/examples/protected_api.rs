//! An API that wants API keys: `protected_api FOLDER FEED PUBLIC_KEY`, with the files of `bulla init` in FOLDER.

use axum::{Router, routing::get};
use bulla::feed::{Follower, WhenStale};
use bulla::keyring::{Keyring, KeyringDocument};
use bulla::layer::{RequireScopes, VerifyLayer};
use bulla::{SharedVerifier, Verified, Verifier, source::Sources};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [folder, feed, key] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "see the first line")?;
    let (sources, clock) =
        (Sources::new(&folder), || std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()));
    let text = std::fs::read_to_string(format!("{folder}/keyring.toml"))?;
    let document = KeyringDocument::parse(&text, &"file:keyring-mac.key".parse()?, &sources)?;
    let realms = ["live".parse()?];
    let verifier = SharedVerifier::new(Verifier::new(&Keyring::load(&document, &sources, &realms)?));

    let api_key = std::fs::read_to_string(format!("{folder}/feed-api-key.txt"))?.trim().parse()?;
    let follower = Follower::new(&feed, &api_key, document.id(), key.parse()?)?;
    let _following = follower.start(&verifier, WhenStale::CouldNotTell, clock)?;

    let orders = get(async |key: Verified| format!("the orders of {}\n", key.app_id()));
    let app = Router::new().route("/orders", orders.layer(RequireScopes::all(["orders.read"])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app.layer(VerifyLayer::new(verifier, realms, clock))).await?)
}
