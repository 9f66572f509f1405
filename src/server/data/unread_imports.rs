//! What was imported and is not read yet, for those who hear that a text is no key to revoke: it is read before they
//! do.

use std::sync::Arc;

use crate::server::{App, blocking, problem::Problem};

/// Why it cannot be told. /readyz and the log say which set cannot be read.
const UNREAD: &str = "the imported keys on record cannot all be read here just now, and the text may be one of them. \
    The keys that it was found to be are revoked: see the server's /readyz and log, and ask again or ask another server";

/// Reads on what was imported. An error says that the text may be a key that this server does not know: what is found
/// all the same is revoked, and the rest is not called revoked.
pub(super) async fn read_imported(app: &Arc<App>) -> Result<(), Problem> {
    let _turn = app.verification.reading_imported.lock().await;
    let reader = Arc::clone(app);
    // The task that reads twice a second logs what is wrong.
    match blocking::run(move || reader.follow_imported().is_ok()).await? {
        true => Ok(()),
        false => Err(Problem::not_told(UNREAD)),
    }
}
