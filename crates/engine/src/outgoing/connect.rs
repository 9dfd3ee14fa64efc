//! Connections to permitted addresses, with optional TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use wasmtime_wasi_http::Error as HttpError;

/// A plain or encrypted stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The trusted root certificates.
#[derive(Clone)]
pub(super) struct Tls {
    roots: Arc<RootCertStore>,
    /// `None` if the cryptography provider supports no TLS version, which is never the case in our builds.
    config: Option<Arc<ClientConfig>>,
}

static DEFAULT: LazyLock<Tls> =
    LazyLock::new(|| Tls::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }));

impl Default for Tls {
    fn default() -> Self {
        DEFAULT.clone()
    }
}

impl Tls {
    fn new(roots: RootCertStore) -> Self {
        let roots = Arc::new(roots);
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()
            .map(|it| {
                Arc::new(it.with_root_certificates(Arc::clone(&roots)).with_no_client_auth())
            });
        Self { roots, config }
    }

    pub(super) fn trusting(&self, root: &[u8]) -> Self {
        let mut roots = RootCertStore::clone(&self.roots);
        roots.add_parsable_certificates([CertificateDer::from(root)]);
        Self::new(roots)
    }

    /// Starts TLS. The peer's certificate must be valid for `host`, regardless of the address.
    async fn wrap(&self, stream: TcpStream, host: &str) -> Result<Box<dyn Stream>, HttpError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = match bare.parse::<IpAddr>() {
            Ok(ip) => ServerName::from(ip),
            Err(_) => ServerName::try_from(bare.trim_end_matches('.').to_owned())
                .map_err(|_| HttpError::HttpRequestUriInvalid)?,
        };
        let config = self.config.clone().ok_or(HttpError::ConfigurationError)?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        Ok(Box::new(stream.map_err(HttpError::Tls)?))
    }
}

/// Connects to the first address that accepts.
pub(super) async fn open(
    addresses: &[SocketAddr],
    tls: Option<(&Tls, &String)>,
) -> Result<Box<dyn Stream>, HttpError> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Nagle's algorithm would delay a request until its first part is acknowledged.
                let _as_it_was = stream.set_nodelay(true);
                return match tls {
                    Some((tls, host)) => tls.wrap(stream, host).await,
                    None => Ok(Box::new(stream)),
                };
            }
            Err(error) => last = error,
        }
    }
    Err(HttpError::Connect(last))
}
