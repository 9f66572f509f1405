//! The query of a URL: parameters that the endpoint knows, each once. Where one stands twice, proxies and programs differ in
//! which one they take.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::{DeserializeOwned, value::MapDeserializer};
use serde_path_to_error::{Segment, deserialize};

use crate::server::problem::Problem;

/// The parameters. The fields of `T` are read from texts, with the functions of `api::query`; `T` denies unknown fields.
pub(in crate::server) struct Query<T>(pub(in crate::server) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or_default()).map(Query).map_err(Problem::bad_request)
    }
}

/// The error names the parameter. It quotes neither values nor unknown names, which may be API keys.
fn read<T: DeserializeOwned>(query: &str) -> Result<T, String> {
    let pairs = MapDeserializer::<_, serde::de::value::Error>::new(form_urlencoded::parse(query.as_bytes()));
    deserialize(pairs).map_err(|error| {
        let told = error.inner().to_string();
        let known = || told.split_once("expected ").map_or("nothing", |(_, known)| known);
        match error.path().iter().next() {
            _ if told.starts_with("unknown field") => {
                format!("the query has an unknown parameter: expected {}", known())
            }
            _ if told.starts_with("duplicate field") => {
                format!("the query may hold {} once", told.replace("duplicate field ", ""))
            }
            Some(Segment::Map { key }) => format!("`{key}` {told}"),
            _ => told,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{audit::AuditQuery, ledger::LedgerQuery};

    #[test]
    fn each_parameter_stands_once_and_no_other_does() {
        let read = |query| read::<AuditQuery>(query).map(|query| (query.after, query.limit));
        assert_eq!(read(""), Ok((None, None)));
        assert_eq!(read("limit=%31&after=7"), Ok((Some(7), Some(1))));
        for (query, told) in [
            ("limit=1&limit=1", "the query may hold `limit` once"),
            ("limit=1&after=2&limit=", "the query may hold `limit` once"),
            ("limit=1&%6cimit=1", "the query may hold `limit` once"),
            ("Limit=1", "the query has an unknown parameter: expected `after` or `limit`"),
            ("=1", "the query has an unknown parameter: expected `after` or `limit`"),
            ("limit=1&live_hidden", "the query has an unknown parameter: expected `after` or `limit`"),
            ("after=", "`after` must be a number"),
            ("after=-1", "`after` must be a number"),
            ("limit=0", "`limit` must be a number from 1 to 1000"),
            ("limit", "`limit` must be a number from 1 to 1000"),
        ] {
            assert_eq!(read(query), Err(told.to_owned()), "{query}");
        }
    }

    #[test]
    fn in_the_ledger_an_empty_parameter_is_none() {
        let none = read::<LedgerQuery>("realm=&app_id=&cursor=&limit=").expect("none");
        assert!(none.realm.is_none() && none.app_id.is_none() && none.cursor.is_none() && none.limit.is_none());
        let all = "realm=live&app_id=3f2b8c1e-9a7d-4d52-8a55-0123456789ab&cursor=a+b&limit=9";
        let all = read::<LedgerQuery>(all).expect("all");
        assert_eq!((all.cursor.as_deref(), all.limit), (Some("a b"), Some(9)));
        for (query, told) in [("realm=Live", "`realm` must be a realm"), ("app_id=7", "`app_id` must be a UUID")] {
            assert_eq!(read::<LedgerQuery>(query).map(|_| ()), Err(told.to_owned()), "{query}");
        }
    }
}
