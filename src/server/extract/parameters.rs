//! Parameters in the syntax of forms, as queries and bodies hold them: those that an endpoint knows, each once. Where
//! one stands twice, proxies and programs differ in which one they take.

use serde::de::{DeserializeOwned, value::MapDeserializer};
use serde_path_to_error::{Segment, deserialize};

/// Reads the parameters of `whole`, the query or the form. The error names the parameter. It quotes neither values nor
/// unknown names, which may be API keys.
pub(super) fn read<T: DeserializeOwned>(whole: &str, text: &[u8]) -> Result<T, String> {
    let pairs = MapDeserializer::<_, serde::de::value::Error>::new(form_urlencoded::parse(text));
    deserialize(pairs).map_err(|error| {
        let told = error.inner().to_string();
        let known = || told.split_once("expected ").map_or("nothing", |(_, known)| known);
        match error.path().iter().next() {
            _ if told.starts_with("unknown field") => {
                format!("{whole} has an unknown parameter: expected {}", known())
            }
            _ if told.starts_with("duplicate field") => {
                format!("{whole} may hold {} once", told.replace("duplicate field ", ""))
            }
            _ if told.starts_with("missing field") => {
                format!("{whole} has to hold {}", told.replace("missing field ", ""))
            }
            Some(Segment::Map { key }) => format!("`{key}` {told}"),
            _ => told,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        audit::AuditQuery, introspect::IntrospectionRequest, ledger::LedgerQuery, propagation::WaitQuery,
    };

    #[test]
    fn each_parameter_of_a_query_stands_once_and_no_other_does() {
        let read =
            |query: &str| read::<AuditQuery>("the query", query.as_bytes()).map(|query| (query.after, query.limit));
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
    fn an_error_of_a_length_of_time_goes_on_from_its_name() {
        let read = |query: &str| read::<WaitQuery>("the query", query.as_bytes()).map(|query| query.wait.is_some());
        assert_eq!(read("wait=30s"), Ok(true));
        for (query, told) in [
            ("wait=-1s", "`wait` must be a length of time: write `90d`, `12h`, `15m` or `30s`"),
            ("wait=", "`wait` must be a length of time: write `90d`, `12h`, `15m` or `30s`"),
            ("wait=61s", "`wait` must be at most 60s: to wait longer, ask again"),
        ] {
            assert_eq!(read(query), Err(told.to_owned()), "{query}");
        }
        let told = read("wait=60000d").expect_err("too long");
        assert!(told.starts_with("`wait` is too long: "), "{told}");
    }

    #[test]
    fn in_the_ledger_an_empty_parameter_is_none() {
        let read = |query: &str| read::<LedgerQuery>("the query", query.as_bytes());
        let none = read("realm=&app_id=&cursor=&limit=").expect("none");
        assert!(none.realm.is_none() && none.app_id.is_none() && none.cursor.is_none() && none.limit.is_none());
        let all = "realm=live&app_id=3f2b8c1e-9a7d-4d52-8a55-0123456789ab&cursor=a+b&limit=9";
        let all = read(all).expect("all");
        assert_eq!((all.cursor.as_deref(), all.limit), (Some("a b"), Some(9)));
        for (query, told) in [("realm=Live", "`realm` must be a realm"), ("app_id=7", "`app_id` must be a UUID")] {
            assert_eq!(read(query).map(|_| ()), Err(told.to_owned()), "{query}");
        }
    }

    #[test]
    fn a_form_of_oauth_holds_what_counts_once_and_others_are_ignored() {
        let read = |form: &str| {
            let asked = read::<IntrospectionRequest>("the form", form.as_bytes());
            asked.map(|asked| (asked.token, asked.audience))
        };
        let of = |token: &str, audience: Option<&str>| Ok((token.to_owned(), audience.map(str::to_owned)));
        assert_eq!(read("token=a%2Bb+c&token_type_hint=access_token"), of("a+b c", None));
        assert_eq!(read("token=&audience=&resource=1&resource=2"), of("", Some("")));
        for (form, told) in [
            ("token=a&token=a", "the form may hold `token` once"),
            ("token=a&audience=x&audience=", "the form may hold `audience` once"),
            ("Token=a", "the form has to hold `token`"),
            ("", "the form has to hold `token`"),
        ] {
            assert_eq!(read(form), Err(told.to_owned()), "{form}");
        }
    }
}
