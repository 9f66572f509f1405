//! File descriptors: raises the soft limit as far as the system allows, and divides it among the listeners, so that
//! connections to one listener take none from another one or from the store.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Plane, ServerConfig};

/// Reserved for the store, key sources, files and threads.
const OWN: u64 = 128;

/// How many connections each listener may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shares {
    data: usize,
    admin: usize,
    metrics: usize,
}

impl Shares {
    /// Raises the soft limit as far as it is needed and allowed, and divides it.
    pub(super) fn take(config: &ServerConfig) -> Self {
        let most = config.max_connections;
        let wanted = (most as u64).saturating_mul(3).saturating_add(OWN);
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: Some(maximum.map_or(wanted, |maximum| maximum.min(wanted))), maximum };
        // Not further than needed: child processes inherit the limit, and some close every possible descriptor.
        let limit = match current {
            Some(soft) if soft < wanted => match setrlimit(Resource::Nofile, raised) {
                Ok(()) => raised.current,
                Err(_) => current,
            },
            enough => enough,
        };
        let shares = Self::of(limit.unwrap_or(wanted), most);
        if shares.of_plane(Plane::Data) < most {
            let Shares { data, admin, metrics } = shares;
            tracing::warn!(
                limit,
                data,
                admin,
                metrics,
                "the limit of open files allows fewer connections than server.max_connections: raise it \
                 (LimitNOFILE={wanted}, `ulimit -n {wanted}`)"
            );
        }
        shares
    }

    /// The admin plane has an eighth and the metrics a sixteenth, however busy the data plane is.
    fn of(limit: u64, most: usize) -> Self {
        let left = limit - OWN.min(limit / 2);
        let (admin, metrics) = (left / 8, left / 16);
        let bounded = |share: u64| usize::try_from(share).unwrap_or(usize::MAX).clamp(1, most);
        let [admin, metrics] = [admin, metrics].map(bounded);
        let data = left.saturating_sub(admin as u64).saturating_sub(metrics as u64);
        Shares { data: bounded(data), admin, metrics }
    }

    /// The connections of one listener.
    pub(super) fn of_plane(self, plane: Plane) -> usize {
        match plane {
            Plane::Data => self.data,
            Plane::Admin => self.admin,
            Plane::Metrics => self.metrics,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shares_and_what_is_our_own_fit_into_the_limit() {
        for limit in [16, 48, 100, 256, 1_024, 4_096, 20_000, 30_128, 1 << 20, 1 << 40] {
            for most in [1, 2, 100, 10_000] {
                let Shares { data, admin, metrics } = Shares::of(limit, most);
                assert!(data >= admin.min(most) && data <= most && admin >= metrics && metrics >= 1, "{limit} {most}");
                assert!((data + admin + metrics) as u64 + OWN.min(limit / 2) <= limit, "{limit} {most}");
            }
        }
        assert_eq!(Shares::of(1_024, 10_000), Shares { data: 728, admin: 112, metrics: 56 });
        assert_eq!(Shares::of(30_128, 100), Shares { data: 100, admin: 100, metrics: 100 });
    }
}
