//! TLS with a certificate and key from PEM, and HTTP/2 by ALPN.

mod pem_mismatch;

use std::sync::Arc;

pub use pem_mismatch::{PemInput, PemMismatch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// A certificate with its key, for TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Error in a certificate or its key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// One of them is not PEM, or PEM of another kind.
    #[error("{}", _1.message(*_0))]
    PemMismatch(PemInput, PemMismatch),
    /// The PEM of one of them is damaged.
    #[error("the {part} is not PEM")]
    Damaged {
        /// The damaged part.
        part: PemInput,
        /// The parser's error.
        source: pem::Error,
    },
    /// The certificate's PEM has no end.
    #[error("the certificate is truncated: its end is missing")]
    TruncatedCertificate,
    /// The key is encrypted with a passphrase.
    #[error("the key is encrypted with a passphrase")]
    EncryptedKey,
    /// The key's PEM, or its data, has no end.
    #[error("the key is truncated: its end is missing")]
    TruncatedKey,
    /// The type of the key is not supported.
    #[error("the key is {0}, which is not supported")]
    UnsupportedKey(&'static str),
    /// The key belongs to another certificate.
    #[error("the key does not match the certificate")]
    KeyMismatch,
    /// The type of the certificate is not supported.
    #[error("the certificate cannot be used")]
    Unusable(#[source] rustls::Error),
}

impl TlsError {
    /// True if the key is at fault, rather than the certificate.
    #[must_use]
    pub fn is_of_key(&self) -> bool {
        !matches!(
            self,
            Self::PemMismatch(PemInput::Certificate, _)
                | Self::Damaged { part: PemInput::Certificate, .. }
                | Self::TruncatedCertificate
                | Self::Unusable(_)
        )
    }

    /// Advice on a fix.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::EncryptedKey => "decrypt it: `openssl pkey -in KEY -out PLAIN`",
            Self::UnsupportedKey(_) => {
                "use a key of RSA (2048 to 4096 bits), P-256, P-384 or Ed25519, and a certificate for it"
            }
            Self::KeyMismatch => "use the key that belongs to the certificate",
            Self::PemMismatch(part, mismatch) => mismatch.help(*part),
            Self::TruncatedKey | Self::TruncatedCertificate => "copy the complete file again",
            _ => "use the certificate chain and its key in PEM",
        }
    }
}

impl Tls {
    /// Parses a certificate chain, the server's own certificate first, and its private key, both in PEM.
    ///
    /// # Errors
    /// Fails if either is not PEM, is not supported, or if they do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let (part, certificates) = (PemInput::Certificate, text(certificates));
        let chain = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| match error {
                pem::Error::MissingSectionEnd { .. } => TlsError::TruncatedCertificate,
                error => unread(part, certificates, error),
            })?;
        if chain.is_empty() {
            return Err(TlsError::PemMismatch(part, PemMismatch::of(certificates)));
        }
        let key = private_key(key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch,
                error => TlsError::Unusable(error),
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(..)")
    }
}

/// Removes the byte order mark that some editors write.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

fn unread(part: PemInput, bytes: &[u8], error: pem::Error) -> TlsError {
    match PemMismatch::of(bytes) {
        PemMismatch::Other => TlsError::Damaged { part, source: error },
        mismatch => TlsError::PemMismatch(part, mismatch),
    }
}

/// Parses a private key that this server can sign with.
fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = text(pem);
    let has = |text: &str| pem.windows(text.len()).any(|part| part == text.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        // PKCS 8 has a section of its own for encrypted keys; older formats have a header in the section.
        _ if has("BEGIN ENCRYPTED PRIVATE KEY") || has("4,ENCRYPTED") => TlsError::EncryptedKey,
        pem::Error::MissingSectionEnd { .. } => TlsError::TruncatedKey,
        pem::Error::NoItemsFound => TlsError::PemMismatch(PemInput::Key, PemMismatch::of(pem)),
        error => unread(PemInput::Key, pem, error),
    })?;
    match ring::sign::any_supported_type(&key) {
        Ok(_) => Ok(key),
        Err(_) if !is_whole(key.secret_der()) => Err(TlsError::TruncatedKey),
        Err(_) => Err(TlsError::UnsupportedKey(kind_of(&key))),
    }
}

/// True if DER has all the bytes that its outermost header announces.
fn is_whole(der: &[u8]) -> bool {
    let Some((&[_, first], rest)) = der.split_first_chunk::<2>() else { return false };
    let (length, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        _ => {
            let Some((length, rest)) = rest.split_at_checked(usize::from(first & 0x7f)) else {
                return false;
            };
            let add =
                |sum: usize, byte: &u8| sum.saturating_mul(256).saturating_add((*byte).into());
            (length.iter().fold(0, add), rest)
        }
    };
    rest.len() >= length
}

/// Types of keys by their object identifier.
const KINDS: [(&[u8], &str); 10] = [
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "of the curve P-521"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x21], "of the curve P-224"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "of the curve secp256k1"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x01], "of the curve P-192"),
    (&[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01], "of a Brainpool curve"),
    (&[0x2b, 0x65, 0x71], "of the curve Ed448"),
    (&[0x2b, 0x65, 0x6e], "of X25519, which does not sign"),
    (&[0x2b, 0x65, 0x6f], "of X448, which does not sign"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01], "of DSA"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], "of RSA with another size"),
];

/// Type of a refused key, in words.
fn kind_of(key: &PrivateKeyDer<'_>) -> &'static str {
    if matches!(key, PrivateKeyDer::Pkcs1(_)) {
        return "of RSA with another size";
    }
    let der = key.secret_der();
    let has = |id: &[u8]| der.windows(id.len()).any(|part| part == id);
    KINDS.iter().find(|(id, _)| has(id)).map_or("of an unknown kind", |(_, name)| name)
}
