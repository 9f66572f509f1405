//! Queries of a URL: names that an endpoint knows, each once. Where one stands twice proxies and programs differ in which they
//! take.

use std::borrow::Cow;

use super::problem::Problem;

/// The values of these names, each where it stands.
pub(super) fn read<'q, const N: usize>(
    query: Option<&'q str>,
    names: [&'static str; N],
) -> Result<[Option<Cow<'q, str>>; N], Problem> {
    let mut values = [const { None }; N];
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let place = names.iter().position(|known| *known == name).and_then(|at| values.get_mut(at));
        let place = place.ok_or_else(|| Problem::bad_request(format!("the query may hold {}", listed(&names))))?;
        if place.replace(value).is_some() {
            return Err(Problem::bad_request(format!("the query may hold `{name}` once")));
        }
    }
    Ok(values)
}

fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{}, each once, and nothing else", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once_and_no_other_does() {
        let read = |query| read(query, ["after", "limit"]).map(|values| values.map(|value| value.map(Cow::into_owned)));
        let value = |text: &str| Some(text.to_owned());
        assert_eq!(read(None).expect("none"), [None, None]);
        assert_eq!(read(Some("")).expect("none"), [None, None]);
        assert_eq!(read(Some("limit=1%2C&after=a+b")).expect("both"), [value("a b"), value("1,")]);
        assert_eq!(read(Some("limit")).expect("an empty one"), [None, value("")]);
        for query in ["limit=1&limit=1", "limit=1&after=2&limit=", "limit=1&%6cimit=1", "Limit=1", "=1", "limit=1&x"] {
            assert!(read(Some(query)).is_err(), "{query}");
        }
    }
}
