//! The proxy for what is asked over TLS.

/// The proxy that was chosen, by `BULLA_PROXY`, for servers that are asked with a secret over TLS. Proxies that the
/// environment names for other programs are not asked: they would see where keys come from, and what goes over plain
/// HTTP.
pub(crate) fn chosen() -> Option<String> {
    std::env::var("BULLA_PROXY").ok().filter(|address| !address.is_empty())
}
