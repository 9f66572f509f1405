//! A bucket as followers read it, with the credentials of this machine.

use std::{io::Read, time::Duration};

use bulla::feed::static_feed::{Objects, TaggedObject};
use ureq::http::StatusCode;

use super::{Answer, Bucket};

/// The longest time for what a snapshot has; then it goes on in another answer.
const LONGEST_DOWNLOAD: Duration = Duration::from_secs(600);
/// What a follower needs.
const PERMISSION: &str = "s3:GetObject";

impl Objects for Bucket {
    fn get(&self, name: &str, known: Option<&str>, _most: usize) -> Result<Option<TaggedObject>, String> {
        let key = self.uri.key(name);
        let headers: Vec<(&str, &str)> = known.map(|known| ("if-none-match", known)).into_iter().collect();
        let answer = self.send("GET", &key, "", &headers, b"").map_err(|error| error.to_string())?;
        match answer.status {
            StatusCode::OK => Ok(Some((answer.body, answer.tag.map(|tag| tag.0)))),
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(None),
            _ => Err(self.refused(&key, &answer, PERMISSION).to_string()),
        }
    }

    fn open(&self, name: &str, byte: usize) -> Result<(Box<dyn Read + '_>, bool), String> {
        let (key, range) = (self.uri.key(name), format!("bytes={byte}-"));
        let begun = self.begin("GET", (&key, ""), &[("range", &range)], b"", LONGEST_DOWNLOAD);
        let response = begun.map_err(|error| error.to_string())?;
        let is_part = match response.status() {
            StatusCode::OK => false,
            StatusCode::PARTIAL_CONTENT => true,
            _ => {
                let answer: Answer = self.read_answer(&key, response).map_err(|error| error.to_string())?;
                return Err(self.refused(&key, &answer, PERMISSION).to_string());
            }
        };
        Ok((Box::new(response.into_body().into_reader()), is_part))
    }
}
