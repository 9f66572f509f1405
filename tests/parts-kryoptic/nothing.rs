//! The package is for its dependencies.
