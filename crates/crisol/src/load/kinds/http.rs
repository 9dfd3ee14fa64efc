//! `http.*`: services and routes, assembled after all functions are loaded.

use crisol_core::EntryId;
use crisol_schema::{Entry, HttpService, Pem};
#[cfg(feature = "http")]
use crisol_schema::{KindName, Problems};

use super::slice::{Read, Slice};
use crate::load::field_error::FieldError;
use crate::load::loading::{Loaded, Loading};

/// Kinds whose entries are checked together.
#[cfg(feature = "http")]
const KINDS: [KindName; 4] =
    [KindName::HttpService, KindName::HttpRouter, KindName::HttpEndpoint, KindName::HttpStatic];

/// Slice of `http.router`, `http.endpoint` and `http.static`.
pub(super) struct Routes;

impl Slice for HttpService {
    fn load<'a>(
        &'a self,
        entry: &'a Entry,
        loading: &Loading<'a>,
        loaded: &mut Loaded,
    ) -> Result<(), FieldError> {
        Routes.load(entry, loading, loaded)
    }

    fn depends_on(&self) -> Vec<&EntryId> {
        Vec::new()
    }

    fn reads<'a>(&'a self, _: &'a EntryId) -> Vec<Read<'a>> {
        let tls = self.tls.iter().flat_map(|tls| [&tls.cert, &tls.key]);
        tls.filter_map(|pem| match pem {
            Pem::File(path) => Some(Read::File(path)),
            Pem::Text(_) | Pem::Variable(_) => None,
        })
        .collect()
    }
}

impl Slice for Routes {
    /// Does nothing: [`serve`] assembles all entries together.
    #[cfg(feature = "http")]
    fn load<'a>(&'a self, _: &'a Entry, _: &Loading<'a>, _: &mut Loaded) -> Result<(), FieldError> {
        Ok(())
    }

    #[cfg(not(feature = "http"))]
    fn load<'a>(
        &'a self,
        entry: &'a Entry,
        loading: &Loading<'a>,
        loaded: &mut Loaded,
    ) -> Result<(), FieldError> {
        use crisol_schema::{EntryField, Report, Rule};

        let kind = entry.kind.name();
        let message = format!("this program was built without HTTP: a `{kind}` is not served");
        let report = Report::warning(Rule::NO_EFFECT, message).help(
            "build it with the feature `http`, or ignore this where only functions are called",
        );
        loaded.problems.at(loading.inputs.registry, &entry.id, &EntryField::Kind, report);
        Ok(())
    }

    fn depends_on(&self) -> Vec<&EntryId> {
        Vec::new()
    }

    fn reads<'a>(&'a self, _: &'a EntryId) -> Vec<Read<'a>> {
        Vec::new()
    }
}

/// Assembles the services and routes over the loaded functions and handlers.
#[cfg(feature = "http")]
pub(crate) fn serve(
    loading: &Loading<'_>,
    closed: &std::collections::HashSet<EntryId>,
    loaded: &mut Loaded,
) {
    let inputs = &loading.inputs;
    let is_whole = |kind| inputs.checked.is_none_or(|checked| checked.is_complete(kind));
    let scope = crate::web::Scope {
        registry: inputs.registry,
        folders: loading.folders(),
        env: loading.env(),
        closed,
        functions: &loaded.assembled.functions,
        handlers: &loaded.assembled.handlers,
        interceptors: &loaded.assembled.interceptors,
        transports: &inputs.extensions.transports,
        problems: Problems::new(),
    };
    let (site, found) = crate::web::assemble(scope, KINDS.into_iter().all(is_whole));
    loaded.assembled.site = site;
    loaded.problems.append(found);
}
