//! The HTTP client of the AWS SDK, as the SDK makes it, except for the proxy.

use aws_smithy_http_client::{
    Builder, ConnectorBuilder,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::proxy;

/// A client that asks no proxy for `http://`, and for `https://` the chosen one alone. The SDK's own goes by
/// `HTTP_PROXY`, even for an endpoint on this machine.
pub(super) fn client() -> SharedHttpClient {
    let proxy = proxy::chosen().and_then(|address| ProxyConfig::https(address).ok());
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(proxy.clone().unwrap_or_else(ProxyConfig::disabled)));
        connector.build()
    })
}
