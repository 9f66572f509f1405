//! What is shown once and could not be: an API key that nobody has is revoked, and told by its id.

use std::io;

use super::{ConfigArgument, Failure, client::ServerArgument};
use crate::{
    action::{Actor, take_back::TakeBack},
    clock,
};

const REASON: &str = "it could not be shown to anybody";

/// Revokes the key of this id, which was issued just now; what to tell.
pub(super) fn revoke(config: &ConfigArgument, server: &ServerArgument, id: &str, error: &io::Error) -> Failure {
    let done = match revoked(config, server, id) {
        Ok(()) => "it is revoked".to_owned(),
        Err(failure) => format!("nobody has it, and it could not be revoked ({failure}): `bulla revoke {id}`"),
    };
    Failure::Usage(format!("the API key {id} was issued and could not be shown ({error}): {done}"))
}

fn revoked(config: &ConfigArgument, server: &ServerArgument, id: &str) -> Result<(), Failure> {
    if let Some(server) = server.admin()? {
        let reason = form_urlencoded::Serializer::new(String::new()).append_pair("reason", REASON).finish();
        server.delete(&format!("/v1/api-keys/{id}?{reason}"))?;
        return Ok(());
    }
    let parsed = id.parse().map_err(io::Error::other)?;
    let (store, actor) = (config.open()?.store()?, Actor::command_line());
    let take_back = TakeBack { store: &*store, actor: &actor, now: clock::now(), reason: Some(REASON.to_owned()) };
    take_back.revoke(parsed, "api_key.revoke")?;
    Ok(())
}
