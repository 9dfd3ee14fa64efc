//! Code store of a load: reads, wraps and compiles each distinct code once, several codes in parallel.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use crisol_core::{EntryId, chain};
use crisol_engine::{
    CallGraph, CompileError, Compiled, Digest, Engine, FunctionPre, Grants, LinkError,
    ReachableImports,
};
use crisol_schema::{Code, Registry, Report, SourceText};
use crisol_wasi::FsSource;
use crisol_wit::CoreModule;

use super::code::{self, BAD_CODE, BUILD_SMALLER, CompileRequest, Core};
use super::field_error::FieldError;
use crate::app::Binaries;

/// Source of code, as the key of read bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Origin<'a> {
    Text(&'a str, Option<&'a Path>),
    File(&'a EntryId, &'a str),
}

/// Bytes of code, with digest and kind.
#[derive(Clone)]
struct Found {
    bytes: Arc<[u8]>,
    digest: Digest,
    /// Core module or component. Reported after a hash mismatch, since a wrong file is likelier than bad code with a
    /// wrong hash.
    kind: Result<crisol_wit::BinaryKind, FieldError>,
}

/// Key of compiled code: digest, WIT and method, fuel. WIT and method are part of it for core modules only, whose form
/// depends on them.
type Key<'a> = (Digest, Option<(Option<&'a str>, &'a str)>, bool);

/// Compiled code as the store keeps it.
#[derive(Clone)]
struct Made {
    compiled: Compiled,
    /// Method of a wrapped core module; other code is called by the method of each entry.
    method: Option<String>,
    /// The core module, if the code runs as one.
    core: Option<Arc<CoreModule>>,
    calls: Arc<Calls>,
}

/// Calls of code, followed on first use if the engine has not done so ahead.
struct Calls {
    bytes: Arc<[u8]>,
    graph: OnceLock<Option<CallGraph>>,
}

/// Compiled code for one entry, with its method and its call graph.
pub(crate) struct Ready {
    pub(crate) compiled: Compiled,
    pub(crate) method: String,
    core: Option<Arc<CoreModule>>,
    calls: Arc<Calls>,
}

impl Ready {
    /// Links the code with the host functions that `grants` grants.
    pub(crate) fn link(&self, engine: &Engine, grants: &Grants) -> Result<FunctionPre, LinkError> {
        match &self.core {
            Some(core) => engine.link_core(&self.compiled, core, grants, &self.method),
            None => engine.link(&self.compiled, grants, &self.method),
        }
    }

    /// Returns the imports that an export may call; all of them if the call graph is unknown.
    pub(crate) fn reachable(&self, (interface, name): (Option<&str>, &str)) -> ReachableImports {
        let function = self.core.as_ref().map(|core| {
            core.functions().iter().find(|function| {
                (function.interface.as_deref(), function.name.as_str()) == (interface, name)
            })
        });
        match function {
            // The calls of a core module name functions by their exports.
            Some(Some(function)) => self.follow(None, &function.export),
            Some(None) => ReachableImports::ALL,
            None => self.follow(interface, name),
        }
    }

    fn follow(&self, interface: Option<&str>, name: &str) -> ReachableImports {
        self.compiled.reachable(interface, name).unwrap_or_else(|| {
            let graph = self.calls.graph.get_or_init(|| CallGraph::of(&self.calls.bytes));
            graph.as_ref().map_or(ReachableImports::ALL, |graph| graph.reachable(interface, name))
        })
    }
}

/// Cache of an app's code during one load.
pub(crate) struct CodeStore<'a> {
    engine: &'a Engine,
    folders: &'a dyn FsSource,
    /// Binaries in memory, and the registry that maps entries to them.
    binaries: (&'a Registry, &'a Binaries),
    found: Once<Origin<'a>, Found>,
    compiled: Once<Key<'a>, Made>,
}

impl<'a> CodeStore<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        folders: &'a dyn FsSource,
        binaries: (&'a Registry, &'a Binaries),
    ) -> Self {
        Self { engine, folders, binaries, found: Once::default(), compiled: Once::default() }
    }

    /// Compiles all requests in parallel, on every core. The store keeps errors until `compile` asks for the code, so
    /// that problems appear in the order of entries.
    pub(crate) fn prepare(&self, wanted: &[CompileRequest<'a>]) {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(wanted) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                let _ = self.compile(wanted);
            }
        };
        thread::scope(|scope| {
            for _ in 1..cores.min(wanted.len()) {
                scope.spawn(work);
            }
            work();
        });
    }

    /// Returns the compiled code of a request. Compiles it on first use.
    pub(crate) fn compile(&self, wanted: &CompileRequest<'a>) -> Result<Ready, FieldError> {
        let (found, kind) = self.recognise(wanted)?;
        let is_core = matches!(kind, crisol_wit::BinaryKind::Core);
        let by_entry = is_core.then(|| (wanted.wit.map(SourceText::text), wanted.method));
        let key = (found.digest, by_entry, wanted.fuel);
        let made = self.compiled.get(key, || self.make(&found.bytes, is_core, wanted))?;
        let Made { compiled, method, core, calls } = made;
        let method = method.unwrap_or_else(|| wanted.method.to_owned());
        Ok(Ready { compiled, method, core, calls })
    }

    /// Compiles code. The engine deduplicates: a core module with several methods is compiled once.
    fn make(
        &self,
        bytes: &Arc<[u8]>,
        is_core: bool,
        wanted: &CompileRequest<'_>,
    ) -> Result<Made, FieldError> {
        let field = code::field_of(wanted.code);
        let refused = |error: CompileError| {
            let help = match &error {
                CompileError::TooLarge(_) => BUILD_SMALLER.to_owned(),
                CompileError::Unsupported(off) => match wanted.code {
                    Code::Wat { .. } => format!("write the text without {off}"),
                    Code::Wasm { .. } => off.fix(),
                },
                _ => code::correct(wanted.code).to_owned(),
            };
            FieldError::at(field.clone(), Report::error(BAD_CODE, chain(&error)).help(help))
        };
        // Check the size first: reading a module scans all of it, and wrapping copies it several times.
        self.engine.check_size(bytes).map_err(|error| refused(error.into()))?;
        let compile = |bytes: Arc<[u8]>, method, core: Option<Arc<CoreModule>>| {
            let compiled = self.engine.compile(&bytes, wanted.fuel).map_err(refused)?;
            let calls = Arc::new(Calls { bytes, graph: OnceLock::new() });
            Ok(Made { compiled, method, core, calls })
        };
        if !is_core {
            return compile(Arc::clone(bytes), None, None);
        }
        match code::core(bytes, wanted)? {
            Core::Module(core) => compile(Arc::clone(bytes), None, Some(core)),
            Core::Component(wrapped) => {
                compile(wrapped.component.into(), Some(wrapped.method), None)
            }
        }
    }

    /// Reads and verifies the code of a request without compiling it.
    pub(crate) fn look(&self, wanted: &CompileRequest<'a>) -> Result<(), FieldError> {
        self.recognise(wanted).map(drop)
    }

    fn recognise(
        &self,
        wanted: &CompileRequest<'a>,
    ) -> Result<(Found, crisol_wit::BinaryKind), FieldError> {
        let found = self.find(wanted.code)?;
        if let (true, Code::Wasm { path, hash, .. }) = (wanted.verified, wanted.code) {
            code::verify(found.digest, hash, path.as_str())?;
        }
        let kind = found.kind.clone()?;
        Ok((found, kind))
    }

    /// Checks the hash of an entry's file.
    pub(crate) fn verify(&self, code: &'a Code) -> Result<(), FieldError> {
        match code {
            Code::Wat { .. } => Ok(()),
            Code::Wasm { path, hash, .. } => {
                code::verify(self.find(code)?.digest, hash, path.as_str())
            }
        }
    }

    fn find(&self, code: &'a Code) -> Result<Found, FieldError> {
        let origin = match code {
            Code::Wat { source } => Origin::Text(source.text(), source.file()),
            Code::Wasm { fs, path, .. } => Origin::File(fs, path.as_str()),
        };
        self.found.get(origin, || {
            let (registry, binaries) = self.binaries;
            let bytes: Arc<[u8]> = match binaries.find(registry, code) {
                Some(bytes) => Arc::clone(bytes),
                None => code::read(code, self.folders)?.into(),
            };
            let kind = crisol_wit::parse_code(&bytes).map_err(|error| {
                let report = Report::error(BAD_CODE, chain(&error)).help(error.fix());
                FieldError::at(code::field_of(code), report)
            });
            Ok(Found { digest: Digest::of(&bytes), bytes, kind })
        })
    }
}

/// Map that computes each value once, on first use. Concurrent callers of the same key wait for it.
struct Once<K, V>(Mutex<HashMap<K, Arc<Slot<V>>>>);

type Slot<V> = OnceLock<Result<V, FieldError>>;

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Once<K, V> {
    fn get(&self, key: K, make: impl FnOnce() -> Result<V, FieldError>) -> Result<V, FieldError> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Arc::clone(slots.entry(key).or_default());
        drop(slots);
        slot.get_or_init(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_errors_are_computed_once() {
        let (made, once) = (AtomicUsize::new(0), Once::default());
        let ask = |key: u8| {
            once.get(key, || {
                made.fetch_add(1, Ordering::Relaxed);
                if key == 0 {
                    Err(FieldError::at(
                        crisol_schema::EntryField::Path,
                        Report::error(BAD_CODE, "no"),
                    ))
                } else {
                    Ok(key)
                }
            })
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    assert!(ask(0).is_err());
                    assert_eq!(ask(1).ok(), Some(1));
                    assert_eq!(ask(2).ok(), Some(2));
                });
            }
        });
        assert_eq!(made.into_inner(), 3);
    }
}
