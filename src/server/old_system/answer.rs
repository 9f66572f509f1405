//! What an old system answers about a key: the members of RFC 7662.

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::imported::app_of;

/// The last second of the year 9999, which some systems write for "never". What is later is in other units.
const LATEST: i64 = 253_402_300_799;

/// A key that the old system accepts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OldKey {
    pub(super) app_id: Uuid,
    pub(super) scopes: Vec<String>,
    pub(super) issued_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) name: Option<String>,
}

/// Reads an answer; `app` is the member that says whose the key is, `audience` what this realm is called as one. `None`
/// where the old system does not accept the key, or not for this audience.
pub(super) fn read(answer: &[u8], app: &str, audience: Option<&str>) -> Result<Option<OldKey>, &'static str> {
    let members: Map<String, Value> =
        serde_json::from_slice(answer).map_err(|_| "the answer is not a JSON object; see RFC 7662")?;
    match members.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(None),
        _ => return Err("the answer has no member `active`"),
    }
    if members.get("cnf").is_some_and(|bound| !bound.is_null()) {
        return Err("the key is bound to its client (`cnf`), which is not checked here");
    }
    let audiences = audiences(members.get("aud"))?;
    match audience {
        None if !audiences.is_empty() => {
            return Err(
                "the key is for an audience (`aud`), and the setting `audience` does not say whether that is this realm",
            );
        }
        Some(own) if !audiences.is_empty() && !audiences.contains(&own) => return Ok(None),
        _ => {}
    }
    let text = |name: &str| match members.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    // Times that no key can hold become the nearest that it can. That the key ended before 1970 contradicts the rest.
    let time = |name: &str, earliest: i64| -> Result<Option<Timestamp>, &'static str> {
        let Some(at) = members.get(name).filter(|at| !at.is_null()) else { return Ok(None) };
        let at = at.as_i64().filter(|at| (earliest..=LATEST).contains(at));
        let at = at.and_then(|at| Timestamp::from_second(at.clamp(0, u32::MAX.into())).ok());
        at.map(Some).ok_or("`exp` or `iat` is not a Unix time in seconds")
    };
    let whose =
        text(app).ok_or("the answer lacks the member named by the setting `app`, which says whose the key is")?;
    Ok(Some(OldKey {
        app_id: whose.parse().unwrap_or_else(|_| app_of(app, &whose)),
        scopes: text("scope").map(|scopes| scopes.split_whitespace().map(str::to_owned).collect()).unwrap_or_default(),
        issued_at: time("iat", i64::MIN)?,
        expires_at: time("exp", 0)?,
        name: text("username"),
    }))
}

/// The audiences that the key is for: a text, or several.
fn audiences(aud: Option<&Value>) -> Result<Vec<&str>, &'static str> {
    let wrong = "`aud` is neither a text nor an array of texts";
    let named = match aud {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(all)) => all.iter().map(|one| one.as_str().ok_or(wrong)).collect::<Result<_, _>>()?,
        Some(_) => return Err(wrong),
    };
    Ok(named.into_iter().filter(|one| !one.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_for_an_audience_is_taken_where_it_is_this_realm_and_nowhere_else() {
        let read = |aud: &str, audience: Option<&str>| {
            let answer = format!(r#"{{"active":true,"app_id":"1","aud":{aud}}}"#);
            read(answer.as_bytes(), "app_id", audience).map(|key| key.is_some())
        };
        for none in ["null", "[]", "\"\"", "[\"\"]"] {
            assert_eq!((read(none, None), read(none, Some("shop"))), (Ok(true), Ok(true)), "{none}");
        }
        for own in ["\"shop\"", "[\"shop\"]", "[\"bank\",\"shop\"]"] {
            assert_eq!(read(own, Some("shop")), Ok(true), "{own}");
            assert!(read(own, None).is_err(), "{own}");
        }
        for other in ["\"bank\"", "[\"bank\"]", "\"Shop\"", "\"shop bank\""] {
            assert_eq!(read(other, Some("shop")), Ok(false), "{other}");
        }
        for wrong in ["7", "{}", "[7]", "[\"shop\",null]", "true"] {
            assert!(read(wrong, Some("shop")).is_err() && read(wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_that_no_key_can_hold_becomes_the_nearest_and_one_in_other_units_is_refused() {
        let read = |name: &str, at: i64| {
            let key = read(format!(r#"{{"active":true,"app_id":"1","{name}":{at}}}"#).as_bytes(), "app_id", None);
            key.map(|key| key.and_then(|key| key.issued_at.or(key.expires_at)).map(Timestamp::as_second)).ok().flatten()
        };
        let last = i64::from(u32::MAX);
        for (at, issued, expires) in [
            (0, Some(0), Some(0)),
            (1_795_000_000, Some(1_795_000_000), Some(1_795_000_000)),
            (last, Some(last), Some(last)),
            (last + 1, Some(last), Some(last)),
            (253_402_300_799, Some(last), Some(last)),
            (253_402_300_800, None, None),
            (1_795_000_000_000, None, None),
            (-1, Some(0), None),
            (-62_135_596_800, Some(0), None),
            (i64::MIN, Some(0), None),
            (i64::MAX, None, None),
        ] {
            assert_eq!((read("iat", at), read("exp", at)), (issued, expires), "{at}");
        }
    }

    #[test]
    fn answers_are_read_as_the_rfc_has_them() {
        let read = |text: &str| read(text.as_bytes(), "client_id", None);
        let key = read(r#"{"active":true,"client_id":"42","scope":"a b","exp":4102444800,"username":"u","x":1}"#);
        let key = key.expect("read").expect("active");
        assert_eq!((key.app_id, key.scopes.join(" ")), (app_of("client_id", "42"), "a b".to_owned()));
        assert_eq!((key.expires_at.map(Timestamp::as_second), key.name.as_deref()), (Some(4_102_444_800), Some("u")));
        assert_eq!(read(r#"{"active":false}"#), Ok(None));
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"active":"true"}"#,
            r#"{"active":true}"#,
            r#"{"active":true,"client_id":"1","exp":"x"}"#,
            r#"{"active":true,"client_id":"1","cnf":{"jkt":"x"}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
