//! What an administrator can do, on the command line and over the admin plane alike.

pub(crate) mod issue;
pub(crate) mod keyring;
