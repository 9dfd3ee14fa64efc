//! `function.wat` and `function.wasm`: a guest as a function or as an HTTP handler.

use std::sync::Arc;

use crisol_core::EntryId;
use crisol_pool::Pool;
use crisol_schema::{Code, Entry, Mount, Wasi};

use super::slice::{Read, Slice};
use crate::call::{Callable, Export, Function, Instances, Pooled};
use crate::load::code_store::Ready;
use crate::load::field_error::FieldError;
use crate::load::guest_entry::GuestEntry;
use crate::load::loading::{Loaded, Loading};
use crate::load::pool;

impl Slice for crisol_schema::Function {
    fn load<'a>(
        &'a self,
        entry: &'a Entry,
        loading: &Loading<'a>,
        loaded: &mut Loaded,
    ) -> Result<(), FieldError> {
        #[cfg(feature = "http")]
        if handler::load(self, &entry.id, loading, loaded)? {
            return Ok(());
        }
        let id = &entry.id;
        let kept = loading.reused(id, |old| old.callable(id)).cloned();
        let kept = kept.filter(|_| loading.code.verify(&self.code).is_ok());
        let callable = match kept {
            Some(kept) => kept,
            None => {
                let guest = GuestEntry::of_function(id, self);
                let Some(ready) = loading.compile(&guest)? else { return Ok(()) };
                let linked = loading.link((&guest, &ready), &mut loaded.problems)?;
                let mapping = linked.mapping().clone();
                let guest = pooled(self, (&guest, &ready), Export::Function(linked), loading)?;
                Callable::Wasm(Arc::new(Function { guest, mapping }))
            }
        };
        loaded.assembled.functions.insert(id.clone(), callable);
        let limit = loading.inputs.defaults.max_execution(&self.limits);
        super::slice::retry(id, self.retry.as_ref(), limit, loaded);
        Ok(())
    }

    fn guest<'a>(&'a self, id: &'a EntryId) -> Option<GuestEntry<'a>> {
        Some(GuestEntry::of_function(id, self))
    }

    fn depends_on(&self) -> Vec<&EntryId> {
        crate::load::guest_entry::depends_on(&self.wasi)
    }

    fn reads<'a>(&'a self, _: &'a EntryId) -> Vec<Read<'a>> {
        reads(&self.code, &self.wasi)
    }
}

/// Creates the pool of a linked guest.
fn pooled(
    function: &crisol_schema::Function,
    code: (&GuestEntry<'_>, &Ready),
    export: Export,
    loading: &Loading<'_>,
) -> Result<Pooled<Instances>, FieldError> {
    let guest = loading.guest(code, export)?;
    Ok(Pooled {
        id: code.0.id.clone(),
        limit: Some(loading.inputs.defaults.max_execution(&function.limits)),
        pool: Pool::new(Instances(guest), pool::config(&function.pool)?),
    })
}

/// Returns the paths of a guest: its binary, and the folders that it may write to.
pub(super) fn reads<'a>(code: &'a Code, wasi: &'a Wasi) -> Vec<Read<'a>> {
    let file = match code {
        Code::Wasm { fs, path, .. } => Some(Read::FileIn { fs, path: path.as_path() }),
        Code::Wat { .. } => None,
    };
    let written = wasi.mounts.iter().filter(|mount: &&Mount| !mount.read_only);
    file.into_iter().chain(written.map(|mount| Read::Written(&mount.fs))).collect()
}

/// Functions that are HTTP handlers: they answer requests themselves.
#[cfg(feature = "http")]
mod handler {
    use std::sync::Arc;

    use crisol_core::EntryId;
    use crisol_schema::{EntryField, Function, Report, Rule, Transport};

    use super::pooled;
    use crate::call::Export;
    use crate::load::code::link_error;
    use crate::load::field_error::FieldError;
    use crate::load::guest_entry::GuestEntry;
    use crate::load::loading::{Loaded, Loading};
    use crate::web::HttpHandler;

    /// Loads a function if its method is an HTTP handler. Returns whether it is one.
    pub(super) fn load<'a>(
        function: &'a Function,
        id: &'a EntryId,
        loading: &Loading<'a>,
        loaded: &mut Loaded,
    ) -> Result<bool, FieldError> {
        let kept = loading.reused(id, |old| old.handler(id));
        let kept = kept.filter(|_| loading.code.verify(&function.code).is_ok());
        let handler = match kept {
            Some(kept) => Some(kept),
            None => make(function, id, loading)?.map(Arc::new),
        };
        let Some(handler) = handler else { return Ok(false) };
        loaded.assembled.handlers.insert(id.clone(), handler);
        if function.retry.is_some() {
            let message = "`meta.options.retry` has no effect on a function that answers HTTP itself: a request is \
                           streamed, and cannot be sent twice";
            let report = Report::warning(Rule::NO_EFFECT, message).help("remove it");
            loaded.problems.at(loading.inputs.registry, id, &EntryField::Retry, report);
        }
        Ok(true)
    }

    fn make<'a>(
        function: &'a Function,
        id: &'a EntryId,
        loading: &Loading<'a>,
    ) -> Result<Option<HttpHandler>, FieldError> {
        if function.transport != Transport::WasiHttp {
            return Ok(None);
        }
        let guest = GuestEntry::of_function(id, function);
        let Some(ready) = loading.compile(&guest)? else { return Ok(None) };
        let (engine, method) = (loading.inputs.engine, ready.method.as_str());
        let is_handler = engine.is_proxy(&ready.compiled, method);
        if !is_handler.map_err(|error| link_error(error.into()))? {
            return Ok(None);
        }
        let linked = engine.link_proxy(&ready.compiled, &loading.grants(&guest), method);
        let export = Export::Handler(linked.map_err(link_error)?);
        let guest = pooled(function, (&guest, &ready), export, loading)?;
        Ok(Some(HttpHandler { guest }))
    }
}
