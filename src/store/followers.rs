//! Records of the fleet: the nodes on this store, and the followers of the feed that report to one of them.

use std::collections::BTreeSet;

use bulla::feed::FollowerRole;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::clock;

/// Followers that are read at a time.
const CHUNK: u32 = 1_000;

/// What a member of the fleet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// A service on this store.
    Node,
    Edge,
    Relay,
    Library,
}

impl Role {
    pub(crate) const ALL: [Role; 4] = [Role::Node, Role::Edge, Role::Relay, Role::Library];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Role::Node => "node",
            Role::Edge => FollowerRole::Edge.name(),
            Role::Relay => FollowerRole::Relay.name(),
            Role::Library => FollowerRole::Library.name(),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == text)
    }
}

/// One member of the fleet, as it reported last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FollowerRow {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The app of the API key that registered the name; `node` for nodes. Nobody else reports under this name.
    pub(crate) owner: String,
    pub(crate) address: Option<String>,
    pub(crate) version: String,
    pub(crate) formats: Vec<String>,
    pub(crate) log_id: Option<String>,
    pub(crate) seq: u64,
    /// When the newest message that it applied was signed, in Unix seconds; of a node when it read the log last.
    pub(crate) this_update: u64,
    pub(crate) keyring_serial: u64,
    pub(crate) versions: Vec<u32>,
    pub(crate) realms: Vec<String>,
    pub(crate) refused: u64,
    pub(crate) last_error: Option<String>,
    /// When its process began, in Unix seconds: within one process the place in a log only goes on.
    pub(crate) started_at: u64,
    pub(crate) last_contact: Timestamp,
    /// Its process, by a text that it drew when it began.
    pub(crate) instance: Option<String>,
    /// When two processes were heard under this name last, in Unix seconds; 0 for never. A store notes it, whatever a
    /// report says.
    pub(crate) doubled_at: u64,
    /// The API key that it reported with last, by its id; none of a node.
    pub(crate) reported_by: Option<String>,
}

/// Seconds for which two processes under one name are two after each was heard; stores have the number in their SQL,
/// too.
const DOUBLED_FOR: u64 = 60;

impl FollowerRow {
    /// Returns whether two processes report under this name: what one reports says nothing about the other.
    pub(crate) fn is_doubled(&self) -> bool {
        clock::seconds(self.last_contact).saturating_sub(self.doubled_at) <= DOUBLED_FOR
    }

    /// Returns whether it has a place in this log that the log does not have.
    pub(crate) fn is_ahead_of(&self, end: &LogPlace) -> bool {
        self.log_id.as_ref() == Some(&end.log_id) && self.seq > end.seq
    }
}

#[cfg(test)]
impl FollowerRow {
    /// An edge that has reported nothing yet but its name.
    pub(crate) fn edge(name: &str, last_contact: Timestamp) -> Self {
        FollowerRow {
            name: name.to_owned(),
            role: Role::Edge,
            owner: "an app".to_owned(),
            address: None,
            version: "0.1.0".to_owned(),
            formats: Vec::new(),
            log_id: None,
            seq: 0,
            this_update: 0,
            keyring_serial: 2,
            versions: Vec::new(),
            realms: Vec::new(),
            refused: 0,
            last_error: None,
            started_at: 0,
            last_contact,
            instance: None,
            doubled_at: 0,
            reported_by: None,
        }
    }
}

/// A place in the revocation log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogPlace {
    pub(crate) log_id: String,
    pub(crate) seq: u64,
    /// When the newest entry was recorded, if the log has any.
    pub(crate) newest_at: Option<Timestamp>,
}

/// Which members of the fleet have not reached a place, or do not know a keyring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Short {
    /// How many are registered, nodes among them.
    pub(crate) registered: u64,
    /// The same without nodes.
    pub(crate) followers: u64,
    /// How many of those have not reached it.
    pub(crate) missing: u64,
    /// The first of them, by name.
    pub(crate) rows: Vec<FollowerRow>,
}

impl Short {
    fn add(&mut self, row: FollowerRow, serial: u64, limit: usize) {
        if row.role == Role::Relay {
            return;
        }
        self.registered += 1;
        self.followers += u64::from(row.role != Role::Node);
        if row.keyring_serial < serial || row.is_doubled() {
            self.missing += 1;
            if self.rows.len() < limit {
                self.rows.push(row);
            }
        }
    }
}

/// What all members of the fleet agree on, for those who change what they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Common {
    /// The formats of the feed that every one of them reads; `None` where nobody is registered.
    pub(crate) formats: Option<BTreeSet<String>>,
    /// The lowest place in this log of one that is registered.
    pub(crate) lowest: Option<u64>,
}

impl Common {
    fn add(&mut self, row: &FollowerRow, log_id: &str) {
        let reads = || row.formats.iter().cloned();
        self.formats = Some(match self.formats.take() {
            None => reads().collect(),
            Some(common) => reads().filter(|format| common.contains(format)).collect(),
        });
        if row.log_id.as_deref() == Some(log_id) {
            self.lowest = Some(self.lowest.map_or(row.seq, |lowest| lowest.min(row.seq)));
        }
    }
}

/// The fleet's part of a store. A member that was not heard of since `heard_after` is not registered any more.
pub(crate) trait FollowerStore {
    /// The end of the revocation log.
    fn log_end(&self) -> Result<LogPlace, StoreError>;

    /// At most `limit` members with names behind `after`, in the order of their names.
    fn followers(&self, after: &str, limit: u32, heard_after: Timestamp) -> Result<Vec<FollowerRow>, StoreError>;

    /// Those whose place is in another log, or before this one; at most `limit` of them as rows.
    fn followers_short_of(
        &self,
        log_id: &str,
        seq: u64,
        limit: u32,
        heard_after: Timestamp,
    ) -> Result<Short, StoreError>;

    /// Those that know an older keyring than this one; at most `limit` of them as rows. A relay does not count: it
    /// opens no API key.
    fn followers_short_of_keyring(&self, serial: u64, limit: u32, heard_after: Timestamp) -> Result<Short, StoreError> {
        let mut short = Short::default();
        self.each_follower(heard_after, &mut |row| short.add(row, serial, limit as usize))?;
        Ok(short)
    }

    /// The owners of those names that are registered.
    fn follower_owners(&self, names: &[String], heard_after: Timestamp) -> Result<Vec<(String, String)>, StoreError>;

    /// How many this owner has registered.
    fn followers_of(&self, owner: &str, heard_after: Timestamp) -> Result<u64, StoreError>;

    /// Notes what members reported. A row of another owner stays as it is, unless it was not heard of since
    /// `heard_after`, or a node takes its name. Within one process and log a place does not go back.
    fn note_followers(&self, rows: &[FollowerRow], heard_after: Timestamp) -> Result<(), StoreError>;

    /// Removes the row of this process, unless another one reports under its name.
    fn remove_follower(&self, name: &str, owner: &str, instance: &str) -> Result<(), StoreError>;

    /// At most `limit` names under which two processes report.
    fn doubled_followers(&self, limit: u32, heard_after: Timestamp) -> Result<Vec<String>, StoreError>;

    /// Removes those whose last report was made with an API key that is revoked by `now`. How many they were.
    fn drop_followers_of_revoked(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Removes those that were not heard of since `heard_after`.
    fn drop_followers(&self, heard_after: Timestamp) -> Result<(), StoreError>;

    /// Calls `each` for every member.
    fn each_follower(&self, heard_after: Timestamp, each: &mut dyn FnMut(FollowerRow)) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows = self.followers(&after, CHUNK, heard_after)?;
            let Some(last) = rows.last().filter(|_| rows.len() == CHUNK as usize) else {
                rows.into_iter().for_each(each);
                return Ok(());
            };
            after.clone_from(&last.name);
            rows.into_iter().for_each(&mut *each);
        }
    }

    /// What every member reads, and the lowest place that one is at.
    fn fleet_common(&self, heard_after: Timestamp) -> Result<Common, StoreError> {
        let log_id = self.log_end()?.log_id;
        let mut common = Common::default();
        self.each_follower(heard_after, &mut |row| common.add(&row, &log_id))?;
        Ok(common)
    }
}

#[cfg(test)]
pub(super) mod tests;
