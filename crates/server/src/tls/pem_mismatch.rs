//! Diagnosis of input that is not the expected PEM.

use std::fmt;

/// Input to parse: certificate or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemInput {
    /// The certificate chain.
    Certificate,
    /// The private key.
    Key,
}

impl PemInput {
    const fn section(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::Key => "PRIVATE KEY",
        }
    }
}

impl fmt::Display for PemInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
        })
    }
}

/// Kind of an input that is not the expected PEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PemMismatch {
    /// Empty input.
    Empty,
    /// The same data in binary form.
    Der,
    /// A key together with its certificates, in binary form.
    Pkcs12,
    /// Text in UTF-16.
    Utf16,
    /// The name of a file in place of its content.
    Path,
    /// The first line is missing or incomplete.
    NoBegin,
    /// A certificate in place of the key.
    Certificate,
    /// A certificate signing request.
    Request,
    /// A private key in place of the certificate.
    PrivateKey,
    /// A public key.
    PublicKey,
    /// A key in the format of OpenSSH.
    OpenSsh,
    /// PEM of another kind, or not PEM.
    Other,
}

/// First lines of PEM that is given by mistake.
const OTHERS: [(&str, PemMismatch); 6] = [
    ("BEGIN CERTIFICATE REQUEST-", PemMismatch::Request),
    ("BEGIN NEW CERTIFICATE REQUEST-", PemMismatch::Request),
    ("BEGIN OPENSSH PRIVATE KEY-", PemMismatch::OpenSsh),
    ("PRIVATE KEY-", PemMismatch::PrivateKey),
    ("PUBLIC KEY-", PemMismatch::PublicKey),
    ("CERTIFICATE-", PemMismatch::Certificate),
];

/// First words of public keys in OpenSSH's format.
const SSH: [&[u8]; 3] = [b"ssh-", b"ecdsa-sha2-", b"sk-"];

impl PemMismatch {
    /// Identifies input that has no section of the expected kind.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let text = bytes.trim_ascii();
        match text {
            [] => return Self::Empty,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Self::Utf16,
            // A sequence: that of PKCS 12 begins with its version 3.
            [0x30, 0x80..0x89, ..] => {
                let head = text.get(..9).unwrap_or(text);
                let is_pkcs12 = head.windows(3).any(|part| part == [2, 1, 3]);
                return if is_pkcs12 { Self::Pkcs12 } else { Self::Der };
            }
            [0x30, length, rest @ ..] if usize::from(*length) == rest.len() => return Self::Der,
            _ => {}
        }
        let Ok(text) = std::str::from_utf8(text) else { return Self::Other };
        if SSH.iter().any(|start| text.as_bytes().starts_with(start)) {
            return Self::PublicKey;
        }
        let mut lines = text.lines();
        let begins = lines.clone().find(|line| line.contains("-BEGIN ") && line.ends_with("-----"));
        if let Some(begins) = begins {
            let known = OTHERS.iter().find(|(label, _)| begins.contains(label));
            return known.map_or(Self::Other, |(_, mismatch)| *mismatch);
        }
        if lines.any(|line| line.contains("-----END ") || line.contains("BEGIN")) {
            return Self::NoBegin;
        }
        let is_name = |c: char| !c.is_whitespace() && !c.is_control();
        let names_file = text.len() < 256 && text.contains(['/', '.', '\\']);
        if names_file && text.chars().all(is_name) { Self::Path } else { Self::Other }
    }

    /// Advice on a fix.
    pub(crate) const fn help(self, part: PemInput) -> &'static str {
        match (self, part) {
            (Self::Empty, _) => "copy the file again or create it",
            (Self::Der, PemInput::Certificate) => {
                "convert it to PEM: `openssl x509 -inform DER -in CERTIFICATE -out PEM`"
            }
            (Self::Der, PemInput::Key) => {
                "convert it to PEM: `openssl pkey -inform DER -in KEY -out PEM`"
            }
            (Self::Pkcs12, PemInput::Certificate) => {
                "extract it as PEM: `openssl pkcs12 -in FILE -nokeys -out PEM`"
            }
            (Self::Pkcs12, PemInput::Key) => {
                "extract it as PEM: `openssl pkcs12 -in FILE -nocerts -noenc -out PEM`"
            }
            (Self::Utf16, _) => "save the file as UTF-8",
            (Self::Path, _) => "prefix it with `file://`",
            (Self::NoBegin, _) => "copy the complete file again",
            (Self::Certificate, _) | (Self::PublicKey | Self::PrivateKey, PemInput::Key) => {
                "use the private key that belongs to the certificate"
            }
            (Self::Request, PemInput::Certificate) => {
                "use the certificate that was issued for this request"
            }
            (Self::PrivateKey, PemInput::Certificate) => {
                "use the certificate that belongs to this key: `cert` and `key` may be swapped"
            }
            (Self::OpenSsh, PemInput::Key) => {
                "convert a copy to PEM: `ssh-keygen -p -m PKCS8 -f COPY`"
            }
            (Self::PublicKey | Self::Request | Self::OpenSsh | Self::Other, _) => {
                "use the certificate chain and its key in PEM"
            }
        }
    }

    /// Message about the part with this input.
    pub(crate) fn message(self, part: PemInput) -> String {
        let section = part.section();
        match self {
            Self::Empty => format!("the {part} is empty"),
            Self::Der => format!("the {part} is DER, not PEM"),
            Self::Pkcs12 => format!("the {part} is a PKCS 12 file, not PEM"),
            Self::Utf16 => format!("the {part} is UTF-16 text, not PEM"),
            Self::Path => format!("the {part} is a file name, not PEM"),
            Self::NoBegin => {
                format!(
                    "the {part} is truncated: the line `-----BEGIN …-----` is missing or incomplete"
                )
            }
            Self::Certificate if part == PemInput::Key => "the key is a certificate".to_owned(),
            Self::Request => format!("the {part} is a certificate request"),
            Self::PrivateKey if part == PemInput::Certificate => {
                "the certificate is a private key".to_owned()
            }
            Self::PublicKey => format!("the {part} is a public key"),
            Self::OpenSsh => format!("the {part} is in OpenSSH format"),
            Self::Certificate | Self::PrivateKey | Self::Other => {
                format!("the {part}'s PEM has no `{section}` section")
            }
        }
    }
}
