//! Times of the keyring document: RFC 3339 there, because people read it, and Unix seconds everywhere else.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

pub(super) fn serialize<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    text::<S::Error>(*seconds)?.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    seconds(Timestamp::deserialize(deserializer)?)
}

fn text<E: ser::Error>(seconds: u64) -> Result<Timestamp, E> {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.ok_or_else(|| E::custom(format_args!("{seconds} seconds reach beyond the year 9999")))
}

fn seconds<E: de::Error>(time: Timestamp) -> Result<u64, E> {
    u64::try_from(time.as_second()).map_err(|_| E::custom("times begin in 1970"))
}

/// The same for a limit that may be absent.
pub(super) mod optional {
    use super::*;

    pub(in crate::keyring) fn serialize<S: Serializer>(limit: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        limit.map(text::<S::Error>).transpose()?.serialize(serializer)
    }

    pub(in crate::keyring) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        Option::<Timestamp>::deserialize(deserializer)?.map(seconds).transpose()
    }
}
