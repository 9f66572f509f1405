//! What the HTTP interface looks like: the bodies of requests and answers, which the command prints and sends as well,
//! the problems, and their schemas. No other folder derives schemas; the endpoints themselves are described at their
//! handlers.

pub(crate) mod audit;
pub(crate) mod bounded_list;
pub(crate) mod condition;
pub(crate) mod export;
pub(crate) mod feed;
pub(crate) mod fleet;
pub(crate) mod followers;
pub(crate) mod health;
pub(crate) mod introspect;
pub(crate) mod issue;
pub(crate) mod jwks;
pub(crate) mod keyring;
pub(crate) mod ledger;
pub(crate) mod metadata;
pub(crate) mod problem;
pub(crate) mod propagation;
pub(crate) mod query;
pub(crate) mod rabbitmq;
pub(crate) mod reroll;
pub(crate) mod responses;
pub(crate) mod reveal;
pub(crate) mod revoke;
pub(crate) mod schema;
pub(crate) mod secret_halves;
pub(crate) mod verdict;
pub(crate) mod verify;
