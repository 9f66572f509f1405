//! Snapshots of the revocation feed. One is written when a follower asks for it, and kept for as long as somebody reads
//! it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use bulla::{Realm, feed::Message};

use crate::server::problem::Problem;

/// How long a snapshot is given out. Then a new one is written, without the keys that expired since.
const MAX_AGE: Duration = Duration::from_secs(3_600);
/// How long a snapshot is kept after it was last requested: a download that was cut off goes on.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// A snapshot as it is sent.
pub(in crate::server) struct Written {
    pub(in crate::server) realm: Option<Realm>,
    pub(in crate::server) log_id: String,
    pub(in crate::server) seq: u64,
    /// The name of the body.
    pub(in crate::server) name: String,
    pub(in crate::server) manifest: Bytes,
    pub(in crate::server) body: Bytes,
}

/// The snapshots that are kept.
#[derive(Default)]
pub(in crate::server) struct Snapshots {
    kept: Mutex<Vec<Kept>>,
    /// Held while one is written: those who ask meanwhile get the same.
    writing: tokio::sync::Mutex<()>,
}

struct Kept {
    written: Arc<Written>,
    written_at: Instant,
    asked_at: Instant,
}

impl Snapshots {
    /// The newest one of this realm or of all, unless it is too far behind the end of the log; then `write` makes one.
    pub(in crate::server) async fn newest<W>(
        &self,
        realm: Option<Realm>,
        (log_id, end): (&str, u64),
        write: impl FnOnce() -> W,
    ) -> Result<Arc<Written>, Problem>
    where
        W: Future<Output = Result<Written, Problem>>,
    {
        let is_near = |kept: &Kept| {
            let Written { realm: of, log_id: log, seq, .. } = &*kept.written;
            // The events after it fit into one message.
            let behind = end.saturating_sub(*seq);
            (*of, log.as_str()) == (realm, log_id)
                && behind <= Message::MAX_EVENTS as u64
                && kept.written_at.elapsed() < MAX_AGE
        };
        if let Some(near) = self.find(is_near) {
            return Ok(near);
        }
        let _one_at_a_time = self.writing.lock().await;
        if let Some(near) = self.find(is_near) {
            return Ok(near);
        }
        let (written, now) = (Arc::new(write().await?), Instant::now());
        self.forget();
        self.kept().push(Kept { written: Arc::clone(&written), written_at: now, asked_at: now });
        Ok(written)
    }

    /// The one whose body has this name.
    pub(in crate::server) fn named(&self, realm: Option<Realm>, name: &str) -> Option<Arc<Written>> {
        self.find(|kept| kept.written.realm == realm && kept.written.name == name)
    }

    /// Forgets those that nobody has asked for lately.
    pub(in crate::server) fn forget(&self) {
        self.kept().retain(|kept| kept.asked_at.elapsed() < KEPT_FOR);
    }

    /// The last that is so, and notes that it was asked for.
    fn find(&self, is_so: impl Fn(&Kept) -> bool) -> Option<Arc<Written>> {
        let mut all = self.kept();
        let kept = all.iter_mut().rev().find(|kept| is_so(kept))?;
        kept.asked_at = Instant::now();
        Some(Arc::clone(&kept.written))
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
