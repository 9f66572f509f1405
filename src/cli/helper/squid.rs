//! `bulla helper squid`: one line a question, one line an answer, as squid's helpers speak.

use std::{
    io::{BufRead, Write},
    net::IpAddr,
    process::ExitCode,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use clap::Args;
use percent_encoding::percent_decode_str;

use super::authorize::{AuthorizeArguments, Authorizer};
use crate::cli::{Outcome, standard_input};

/// The longest line: squid's own limit.
const MAX_LINE: usize = 32 << 10;

#[derive(Args)]
pub(in crate::cli) struct Squid {
    /// Answer for an external ACL, whose format is these headers and then the client's address:
    /// `%>ha{Authorization} %>ha{X-API-Key} %SRC`. Without it, for Basic, with the key as user name or as password
    #[arg(long, value_name = "NAME")]
    header: Vec<String>,
    #[command(flatten)]
    authorize: AuthorizeArguments,
}

impl Squid {
    pub(super) fn run(self) -> Outcome {
        let authorizer = self.authorize.authorizer()?;
        standard_input::tell_awaited("squid's questions, one a line");
        let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
        let (mut line, mut has_channels) = (Vec::new(), None);
        loop {
            line.clear();
            if input.read_until(b'\n', &mut line)? == 0 {
                return Ok(ExitCode::SUCCESS);
            }
            let (channel, answer) = match self.question(&line, &mut has_channels) {
                Some((channel, headers)) => (channel, decide(&authorizer, &headers)),
                None => (String::new(), "BH message=\"unexpected line format\"".to_owned()),
            };
            writeln!(output, "{channel}{answer}")?;
            output.flush()?;
        }
    }

    /// The channel, with a space behind it, and the headers of the question. Squid writes a channel with
    /// `concurrency=`, on all lines or on none; `has_channels` is what the lines before showed.
    fn question(&self, line: &[u8], has_channels: &mut Option<bool>) -> Option<(String, Vec<(String, String)>)> {
        if line.len() > MAX_LINE {
            return None;
        }
        let line = std::str::from_utf8(line).ok()?;
        let mut parts: Vec<&str> = line.trim_end_matches(['\r', '\n']).split(' ').collect();
        let expected = if self.header.is_empty() { 2 } else { self.header.len() + 1 };
        // Squid ends a line with the arguments of the ACL, a hyphen for none, where the format does not name them. An
        // unknown address is a hyphen, too.
        let may_have_arguments = !self.header.is_empty() && parts.last() == Some(&"-");
        let may_have_channel = !parts[0].is_empty() && parts[0].bytes().all(|byte| byte.is_ascii_digit());
        let has_channel = match (parts.len().checked_sub(expected)?, may_have_channel, may_have_arguments) {
            (0, ..) | (1, false, true) => *has_channels.insert(false),
            (1, true, false) | (2, true, true) => *has_channels.insert(true),
            // Either of them. Without a channel the address stands before the arguments.
            (1, true, true) => has_channels.unwrap_or_else(|| parts[expected - 1].parse::<IpAddr>().is_err()),
            _ => return None,
        };
        let channel = if has_channel { format!("{} ", parts.remove(0)) } else { String::new() };
        parts.truncate(expected);
        let plain: Vec<String> =
            parts.iter().map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect();
        if self.header.is_empty() {
            let pair = BASE64.encode(format!("{}:{}", plain[0], plain[1]));
            return Some((channel, vec![("authorization".to_owned(), format!("Basic {pair}"))]));
        }
        let (address, values) = plain.split_last()?;
        // A header that the request does not have is a hyphen.
        let there = self.header.iter().cloned().zip(values.iter().cloned()).filter(|(_, value)| value != "-");
        let told = Some(("x-forwarded-for".to_owned(), address.clone())).filter(|_| address != "-");
        Some((channel, there.chain(told).collect()))
    }
}

fn decide(authorizer: &Authorizer, headers: &[(String, String)]) -> String {
    match authorizer.ask(headers) {
        Ok(decision) => match decision.status {
            200 => format!("OK user={}", decision.app_id()),
            401 => "ERR message=\"no API key that is accepted\"".to_owned(),
            403 => "ERR message=\"the API key lacks a scope\"".to_owned(),
            431 => "ERR message=\"the headers of the request are too long\"".to_owned(),
            status => format!("BH message=\"bulla answers {status}: its log says why\""),
        },
        Err(error) => format!("BH message=\"{}\"", error.to_string().replace(['"', '\\', '\n'], " ")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        squid: Squid,
    }

    fn read(arguments: &[&str], line: &str) -> Option<(String, String)> {
        read_behind(arguments, &mut None, line)
    }

    /// Reads a line that comes behind others, which showed whether there are channels.
    fn read_behind(arguments: &[&str], has_channels: &mut Option<bool>, line: &str) -> Option<(String, String)> {
        let squid = Arguments::parse_from([&["squid"][..], arguments].concat()).squid;
        let (channel, headers) = squid.question(line.as_bytes(), has_channels)?;
        let shown: Vec<String> = headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some((channel, shown.join("; ")))
    }

    #[test]
    fn a_line_is_basic_or_what_the_format_of_the_acl_says() {
        let basic = |pair: &str| format!("authorization=Basic {}", BASE64.encode(pair));
        assert_eq!(read(&[], "me live_k\n"), Some((String::new(), basic("me:live_k"))));
        assert_eq!(read(&[], "7 me a%20b%3a\n"), Some(("7 ".to_owned(), basic("me:a b:"))));
        assert_eq!(read(&[], "me\n"), None);
        assert_eq!(read(&[], "x me pass\n"), None, "no channel");
        let acl = ["--header", "Authorization", "--header", "X-API-Key"];
        let shown = "X-API-Key=live_k; x-forwarded-for=192.0.2.1".to_owned();
        assert_eq!(read(&acl, "- live_k 192.0.2.1\n"), Some((String::new(), shown.clone())));
        assert_eq!(read(&acl, "3 - live_k 192.0.2.1\n"), Some(("3 ".to_owned(), shown)));
        let bearer = "Authorization=Bearer live_k; x-forwarded-for=::1".to_owned();
        assert_eq!(read(&acl, "Bearer%20live_k - ::1\n"), Some((String::new(), bearer)));
        let none = "x-forwarded-for=::1".to_owned();
        assert_eq!(read(&acl, "- - ::1 -\n"), Some((String::new(), none.clone())));
        assert_eq!(read(&acl, "12 - - ::1 -\n"), Some(("12 ".to_owned(), none)));
        assert_eq!(read(&acl, "live_k\n"), None);
        assert_eq!(read(&[], &format!("me {}\n", "k".repeat(MAX_LINE))), None);
    }

    #[test]
    fn no_channel_is_lost_where_the_address_is_unknown() {
        let acl = ["--header", "Authorization"];
        let bearer = "Authorization=Bearer live_k".to_owned();
        for line in ["0 Bearer%20live_k -\n", "0 Bearer%20live_k - -\n"] {
            assert_eq!(read(&acl, line), Some(("0 ".to_owned(), bearer.clone())), "{line}");
        }
        for line in ["Bearer%20live_k -\n", "Bearer%20live_k - -\n"] {
            assert_eq!(read(&acl, line), Some((String::new(), bearer.clone())), "{line}");
        }
        assert_eq!(read(&acl, "3 - -\n"), Some(("3 ".to_owned(), String::new())));
        // What a client writes into a header changes nothing about that: the lines before have shown it.
        for (first, channels) in [("0 Bearer%20live_k 192.0.2.1\n", true), ("Bearer%20live_k 192.0.2.1\n", false)] {
            let mut has_channels = None;
            read_behind(&acl, &mut has_channels, first).expect("a question");
            assert_eq!(has_channels, Some(channels));
            let (channel, headers) = match channels {
                true => ("7 ", "Authorization=192.0.2.1"),
                false => ("", "Authorization=7; x-forwarded-for=192.0.2.1"),
            };
            let next = read_behind(&acl, &mut has_channels, "7 192.0.2.1 -\n");
            assert_eq!(next, Some((channel.to_owned(), headers.to_owned())), "{first}");
        }
    }
}
