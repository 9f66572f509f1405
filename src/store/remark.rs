//! Remarks on how a store is set up.

/// What an administrator should know of how a store is set up.
#[derive(Debug)]
pub(crate) struct Remark {
    /// Whether it is as it should be.
    pub(crate) good: bool,
    pub(crate) text: String,
}

impl Remark {
    /// All is well.
    pub(crate) fn good(text: String) -> Self {
        Remark { good: true, text }
    }

    /// Something needs attention.
    pub(crate) fn warning(text: String) -> Self {
        Remark { good: false, text }
    }
}
