//! A follower that reads from the relay: its credential counts again and again while a wait or a stream goes on.

use std::sync::Arc;

use axum::{extract::Extension, http::HeaderMap};
use bulla::{
    Realm,
    layer::{Credential, CredentialRules},
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    clock,
    scope::Scope,
    server::{
        auth::{Caller, Permission},
        core::{Core, Door},
        listener::Peer,
        problem::Problem,
    },
    tls::ClientCertificate,
};

/// The certificate of the client, where it showed one.
pub(super) type Client = Option<Extension<Arc<ClientCertificate>>>;

/// Who reads, and what it showed.
pub(super) struct Reader {
    core: Core,
    realm: Option<Realm>,
    peer: Peer,
    /// None where everybody may read.
    known: Option<AcceptedCaller>,
}

/// A caller that was accepted, by one of both.
struct AcceptedCaller {
    caller: Caller,
    token: Option<SecretString>,
    certificate: Option<Arc<ClientCertificate>>,
}

impl Reader {
    /// One that may read as everybody may.
    pub(super) fn anybody(core: Core, realm: Option<Realm>, peer: Peer) -> Self {
        Reader { core, realm, peer, known: None }
    }

    /// Identifies who asks for the feed of a realm, or of all, or reports.
    pub(super) async fn identify(
        core: Core,
        realm: Option<Realm>,
        headers: &HeaderMap,
        client: Client,
        peer: Peer,
    ) -> Result<Self, Problem> {
        let client = client.map(|Extension(client)| client);
        let snapshot = Door::of(&core).enter();
        let caller = core.callers.identify(&core, snapshot, headers, client.as_deref(), peer).await?;
        needs_one_of(&core, &caller, realm)?;
        // The certificate does not count beside a token.
        let token = match CredentialRules::usual().read(headers, |text| core.callers.knows(caller.snapshot(), text)) {
            Credential::One(token) => Some(SecretString::from(token.expose())),
            Credential::None | Credential::Several => None,
        };
        let certificate = client.filter(|_| token.is_none());
        Ok(Reader { core, realm, peer, known: Some(AcceptedCaller { caller, token, certificate }) })
    }

    /// Refuses a follower whose token is not in the configuration any more, or whose certificate has expired, lost its
    /// authority or its scope. An answer that takes longer than a moment asks this before it says anything.
    pub(super) async fn check(&mut self) -> Result<(), Problem> {
        let Some(known) = &mut self.known else { return Ok(()) };
        let (core, snapshot) = (&self.core, Door::of(&self.core).enter());
        let over = known.certificate.as_ref().is_some_and(|own| own.may_have_expired(clock::now_seconds()));
        if known.caller.was_accepted_in(&snapshot) && !over {
            return Ok(());
        }
        let caller = match &known.token {
            Some(token) => core.callers.identify_by(core, snapshot, token.expose_secret(), self.peer).await?,
            None => {
                // What else the request said was looked at when it came.
                let (headers, client) = (HeaderMap::new(), known.certificate.as_deref());
                core.callers.identify(core, snapshot, &headers, client, self.peer).await?
            }
        };
        needs_one_of(core, &caller, self.realm)?;
        known.caller = caller;
        Ok(())
    }
}

/// A listed token has the scope `read`; a certificate has those that it was given.
fn needs_one_of(core: &Core, caller: &Caller, realm: Option<Realm>) -> Result<(), Problem> {
    let permission = |scope| match realm {
        Some(realm) => Permission::in_realm(scope, realm),
        None => Permission::anywhere(scope),
    };
    caller.needs_one_of(core, &[Scope::Read, Scope::Feed].map(permission))
}
