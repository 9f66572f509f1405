//! What a changed configuration does not have any more. A file that was cut off between two tables is a good
//! configuration, of which realms and policies are gone.

use super::{Config, RealmConfig};

fn is_set<T: Default + PartialEq>(value: &T) -> bool {
    *value != T::default()
}

impl Config {
    /// Warns of realms and settings that this configuration has, and `newer`, which takes its place, does not.
    pub(crate) fn warn_of_lost(&self, newer: &Config) {
        let lost = self.lost_in(newer);
        if !lost.is_empty() {
            tracing::warn!(
                lost = lost.join(", "),
                "the changed configuration does not have these any more: if that was not meant, bulla.toml may be cut off"
            );
        }
    }

    fn lost_in(&self, newer: &Config) -> Vec<String> {
        let mut lost = Vec::new();
        for (name, before) in &self.realms {
            match newer.realms.get(name) {
                None => lost.push(format!("realms.{name}")),
                Some(after) => {
                    let fields = gone(before.settings(), after.settings());
                    lost.extend(fields.map(|field| format!("realms.{name}.{field}")));
                }
            }
        }
        lost.extend(gone(self.tables(), newer.tables()).map(str::to_owned));
        lost
    }

    /// Which tables say something.
    fn tables(&self) -> [(&'static str, bool); 20] {
        let follows = |is: fn(&super::FollowConfig) -> bool| self.follow.as_ref().is_some_and(is);
        [
            ("rotation", is_set(&self.rotation)),
            ("pepper", self.pepper.is_some()),
            ("secret", is_set(&self.secret)),
            ("feed", is_set(&self.feed)),
            ("fleet", is_set(&self.fleet)),
            ("assertion", is_set(&self.assertion)),
            ("introspection", is_set(&self.introspection)),
            ("last_used", is_set(&self.last_used)),
            ("imported", is_set(&self.imported)),
            ("verify", is_set(&self.verify)),
            ("follow.callers", follows(|follow| !follow.callers.is_empty())),
            ("follow.realms", follows(|follow| !follow.realms.is_empty())),
            ("data", is_set(&self.data)),
            ("data.tls", self.data.tls.is_some()),
            ("admin", is_set(&self.admin)),
            ("admin.tls", self.admin.tls.is_some()),
            ("metrics", is_set(&self.metrics)),
            ("metrics.tls", self.metrics.tls.is_some()),
            ("server", is_set(&self.server)),
            ("log", is_set(&self.log)),
        ]
    }
}

impl RealmConfig {
    /// Which settings say something.
    fn settings(&self) -> [(&'static str, bool); 12] {
        [
            ("default_ttl", self.default_ttl.is_some()),
            ("max_ttl", self.max_ttl.is_some()),
            ("allow_forever", self.allow_forever.is_some()),
            ("scopes", self.scopes.is_some()),
            ("app_ids", self.app_ids.is_some()),
            ("secret", is_set(&self.secret)),
            ("secret_scheme", self.secret_scheme.is_some()),
            ("accept_imported", self.accept_imported.is_some()),
            ("replace_imported", self.replace_imported),
            ("headers", self.headers.is_some()),
            ("old_system", self.old_system.is_some()),
            ("escrow", self.escrow.is_some()),
        ]
    }
}

/// The names that were set before and are not now.
fn gone<const N: usize>(
    before: [(&'static str, bool); N],
    now: [(&'static str, bool); N],
) -> impl Iterator<Item = &'static str> {
    before.into_iter().zip(now).filter(|((_, before), (_, now))| *before && !now).map(|((name, _), _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_that_was_cut_off_lacks_is_named() {
        let head =
            "[keyring]\nsource = \"file:k\"\nmac_source = \"file:a\"\n[store]\nurl = \"sqlite:a.db\"\n[realms.one]\n";
        let tail = "[realms.two]\nmax_ttl = \"90d\"\nscopes = [\"a\"]\n[realms.three]\n[feed]\nvalid_for = \"20s\"\n";
        let config = |text: &str| {
            let (_folder, path) = crate::config::tests::written(text);
            Config::load_file(&path).expect("a configuration")
        };
        let (whole, cut) = (config(&format!("{head}{tail}")), config(head));
        assert_eq!(whole.lost_in(&cut), ["realms.three", "realms.two", "feed"]);
        let policy = config(&format!("{head}{}", tail.replace("max_ttl = \"90d\"\nscopes = [\"a\"]\n", "")));
        assert_eq!(whole.lost_in(&policy), ["realms.two.max_ttl", "realms.two.scopes"]);
        assert_eq!((whole.lost_in(&whole), cut.lost_in(&whole)), (Vec::new(), Vec::new()), "nothing, and more");
    }
}
