//! TLS certificates and keys of services, read from their entries' sources.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use crisol_core::{EntryId, chain};
use crisol_schema::{EntryField, Pem, Report, Rule};
use crisol_server::Tls;

use super::scope::Scope;

/// A certificate or key that cannot be used.
const BAD_TLS: Rule = Rule::new("bad-tls");

/// Maximum size of a file in bytes.
const MAX_PEM: u64 = 1 << 20;

/// Reads the certificate and the key of a service. Reports problems and then returns none.
pub(super) fn tls(id: &EntryId, tls: &crisol_schema::Tls, scope: &mut Scope<'_>) -> Option<Tls> {
    let cert = bytes(id, &EntryField::TlsCert, &tls.cert, scope);
    let key = bytes(id, &EntryField::TlsKey, &tls.key, scope);
    let read = Tls::from_pem(&cert?, &key?);
    read.map_err(|error| {
        let field = if error.is_of_key() { EntryField::TlsKey } else { EntryField::TlsCert };
        scope.report(id, &field, Report::error(BAD_TLS, chain(&error)).help(error.help()));
    })
    .ok()
}

fn bytes(id: &EntryId, field: &EntryField, pem: &Pem, scope: &mut Scope<'_>) -> Option<Vec<u8>> {
    let (message, help) = match pem {
        Pem::Text(source) => return Some(source.text().into()),
        Pem::File(path) => match read(path) {
            Ok(bytes) => return Some(bytes),
            Err(error) => {
                let message = format!("`{}` cannot be read: {error}", path.display());
                (message, "name a file that this user may read".to_owned())
            }
        },
        Pem::Variable(variable) => match scope.env.value(variable) {
            Ok(Some(text)) => return Some(text.into()),
            Ok(None) => {
                let message = format!("`{variable}` has no value");
                (message, format!("set {}", scope.env.place(variable)))
            }
            Err(error) => (chain(&error), "name a variable that can be read".to_owned()),
        },
    };
    scope.report(id, field, Report::error(BAD_TLS, message).help(help));
    None
}

/// Reads a file outside of the app. Follows symbolic links, since `certbot` and Kubernetes renew certificates by
/// changing one.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Check the file type first: opening a FIFO would block.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_PEM + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_PEM {
        return Err(io::Error::other(format!("it is larger than {MAX_PEM} bytes")));
    }
    Ok(bytes)
}
