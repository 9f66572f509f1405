//! The keys that a text is, as far as that can be told.

use bulla::ApiKeyId;

use crate::cli::Failure;

/// What was found out about a text.
#[derive(Debug, Default)]
pub(in crate::cli) struct Found {
    /// The ids, at least one. A key that was imported under several rules has several.
    pub(in crate::cli) ids: Vec<ApiKeyId>,
    /// What could not be checked, and why: the text may be these keys as well.
    pub(in crate::cli) unchecked: Vec<String>,
}

impl Found {
    /// A key that is nothing else.
    pub(super) fn one(id: ApiKeyId) -> Self {
        Found { ids: vec![id], unchecked: Vec::new() }
    }

    /// Fails where the text may be further keys, after those that were found were `ended`, that is revoked or suspended.
    pub(in crate::cli) fn check_complete(&self, ended: &str) -> Result<(), Failure> {
        match self.reasons() {
            None => Ok(()),
            Some(reasons) => Err(Failure::Undone(format!(
                "only {} is {ended}. It may be another key as well, which could not be checked and may still be accepted: \
                 {reasons}. Fix that, and run the command again",
                self.named()
            ))),
        }
    }

    /// The id, for a command that takes one key.
    pub(super) fn only(&self) -> Result<ApiKeyId, Failure> {
        match (&self.ids[..], self.reasons()) {
            ([], _) => Err(super::no_id()),
            ([id], None) => Ok(*id),
            ([id], Some(reasons)) => Err(Failure::Undone(format!(
                "nothing was done: this is the key {id}, and may be another one as well, which could not be checked: \
                 {reasons}. Fix that, or name the id"
            ))),
            _ => Err(Failure::Usage(format!(
                "this key was imported more than once: name one of its ids, {}",
                self.named()
            ))),
        }
    }

    /// The same, or an error where nothing was found.
    pub(super) fn any(self) -> Result<Self, Failure> {
        match self.reasons().filter(|_| self.ids.is_empty()) {
            Some(reasons) => Err(Failure::Undone(format!(
                "nothing was done: this may be a key that could not be checked: {reasons}. Fix that, and run the command again"
            ))),
            None if self.ids.is_empty() => Err(super::no_id()),
            None => Ok(self),
        }
    }

    fn reasons(&self) -> Option<String> {
        (!self.unchecked.is_empty()).then(|| self.unchecked.join("; "))
    }

    fn named(&self) -> String {
        self.ids.iter().map(ApiKeyId::to_string).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_checked_is_no_success() {
        let id: ApiKeyId = "live_00000XzbyFf5rOyRXQyt8V".parse().expect("an id");
        let unchecked = || vec!["live_000008TjPJsKU3Hu4SJ9qc: no memory".to_owned()];
        assert!(Found::one(id).check_complete("revoked").is_ok());
        let partly = Found { ids: vec![id], unchecked: unchecked() };
        let told = partly.check_complete("revoked").expect_err("it may be accepted");
        assert_eq!(told.exit_code(), 2);
        let told = told.to_string();
        assert!(told.starts_with(&format!("only {id} is revoked. ")) && told.contains("SJ9qc: no memory"), "{told}");
        assert_eq!(partly.only().expect_err("it may be another one").exit_code(), 2);
        assert!(partly.any().is_ok());
        let nothing = Found { ids: Vec::new(), unchecked: unchecked() };
        assert!(nothing.any().expect_err("nothing").to_string().starts_with("nothing was done"));
        assert!(matches!(Found::default().any(), Err(Failure::Usage(_))));
        assert!(matches!(Found { ids: vec![id, id], ..Found::default() }.only(), Err(Failure::Usage(_))));
        assert_eq!(Found::one(id).only().expect("the id"), id);
    }
}
