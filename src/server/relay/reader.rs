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

/// What a follower wants of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The feed of a realm; of all, or of the only one that it may read, where it names none.
    Read(Option<Realm>),
    /// To report, for some realm.
    Report,
}

/// Either lets a follower read and report. A listed token has the scope `read`; a certificate has those that it was
/// given.
const SCOPES: [Scope; 2] = [Scope::Read, Scope::Feed];

/// Who reads, and what it showed.
pub(super) struct Reader {
    core: Core,
    purpose: Purpose,
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
    pub(super) fn anybody(core: Core, purpose: Purpose, peer: Peer) -> Self {
        Reader { core, purpose, peer, known: None }
    }

    /// Identifies who asks for the feed of a realm, or of all, or reports.
    pub(super) async fn identify(
        core: Core,
        purpose: Purpose,
        headers: &HeaderMap,
        client: Client,
        peer: Peer,
    ) -> Result<Self, Problem> {
        let client = client.map(|Extension(client)| client);
        let snapshot = Door::of(&core).enter();
        let caller = core.callers.identify(&core, snapshot, headers, client.as_deref(), peer).await?;
        let purpose = match purpose {
            Purpose::Read(None) => Purpose::Read(only_realm(&caller)),
            purpose => purpose,
        };
        needs(&core, &caller, purpose)?;
        // The certificate does not count beside a token.
        let token = match CredentialRules::usual().read(headers, |text| core.callers.knows(caller.snapshot(), text)) {
            Credential::One(token) => Some(SecretString::from(token.expose())),
            Credential::None | Credential::Several => None,
        };
        let certificate = client.filter(|_| token.is_none());
        Ok(Reader { core, purpose, peer, known: Some(AcceptedCaller { caller, token, certificate }) })
    }

    /// The realm whose feed it reads; none where it reads that of all, or reports.
    pub(super) fn realm(&self) -> Option<Realm> {
        match self.purpose {
            Purpose::Read(realm) => realm,
            Purpose::Report => None,
        }
    }

    /// Refuses a follower that may not read the feed of a realm.
    pub(super) fn needs_realm(&self, realm: Realm) -> Result<(), Problem> {
        match &self.known {
            Some(known) => needs(&self.core, &known.caller, Purpose::Read(Some(realm))),
            None => Ok(()),
        }
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
        needs(core, &caller, self.purpose)?;
        known.caller = caller;
        Ok(())
    }
}

fn needs(core: &Core, caller: &Caller, purpose: Purpose) -> Result<(), Problem> {
    match purpose {
        Purpose::Read(Some(realm)) => {
            caller.needs_one_of(core, &SCOPES.map(|scope| Permission::in_realm(scope, realm)))
        }
        Purpose::Read(None) => caller.needs_one_of(core, &SCOPES.map(Permission::anywhere)),
        Purpose::Report => caller.needs_for_some_realm(core, &SCOPES),
    }
}

/// The only realm that the caller may read, as on a node.
fn only_realm(caller: &Caller) -> Option<Realm> {
    let reads_all = SCOPES.iter().any(|scope| !caller.lacks(Permission::anywhere(*scope)));
    caller.only_realm(Scope::Feed).filter(|_| !reads_all)
}
