//! The code of an app's entries: every distinct one is read, wrapped and compiled once, and several at a
//! time.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use crisol_core::{EntryId, chain};
use crisol_engine::{
    CallGraph, CompileError, Compiled, Digest, Engine, LinkError, Linked, Profile, Reached,
};
use crisol_schema::{Code, Registry, Report, SourceText};
use crisol_wasi::FsSource;
use crisol_wit::CoreModule;

use super::code::{self, BAD_CODE, BUILD_SMALLER, CompileRequest, Core};
use super::field_error::FieldError;
use crate::app::Binaries;

/// Where code comes from.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Origin<'a> {
    Text(&'a str, Option<&'a Path>),
    File(&'a EntryId, &'a str),
}

/// Bytes as they were found.
#[derive(Clone)]
struct Found {
    bytes: Arc<[u8]>,
    digest: Digest,
    /// Asked for after the hash was looked at: a wrong file is likelier than a wrong hash of a bad file.
    kind: Result<crisol_wit::Kind, FieldError>,
}

/// Inputs of compiled code, and whether it counts instructions. The way a core module runs depends on its entry's
/// WIT and method; a component is what it is.
type Key<'a> = (Digest, Option<(Option<&'a str>, &'a str)>, bool);

/// Compiled code, and what its functions may call.
#[derive(Clone)]
struct Made {
    compiled: Compiled,
    /// Of what was wrapped: of other code, each entry has its own.
    method: Option<String>,
    /// Of what runs as a core module.
    core: Option<Arc<CoreModule>>,
    calls: Option<Arc<CallGraph>>,
}

/// Compiled code, the method by which it has the function of its entry, and what its functions may call.
pub(crate) struct Ready {
    pub(crate) compiled: Compiled,
    pub(crate) method: String,
    core: Option<Arc<CoreModule>>,
    calls: Option<Arc<CallGraph>>,
}

impl Ready {
    /// Joins the code to what `profile` grants.
    pub(crate) fn link(&self, engine: &Engine, profile: &Profile) -> Result<Linked, LinkError> {
        match &self.core {
            Some(core) => engine.link_core(&self.compiled, core, profile, &self.method),
            None => engine.link(&self.compiled, profile, &self.method),
        }
    }

    /// Imports that an export may call.
    pub(crate) fn reached(&self, (interface, name): (Option<&str>, &str)) -> Reached {
        let Some(calls) = &self.calls else { return Reached::ALL };
        let function = self.core.as_ref().map(|core| {
            core.functions().iter().find(|function| {
                (function.interface.as_deref(), function.name.as_str()) == (interface, name)
            })
        });
        match function {
            // The graph of a core module knows its functions by their exports.
            Some(Some(function)) => calls.reached(None, &function.export),
            Some(None) => Reached::ALL,
            None => calls.reached(interface, name),
        }
    }
}

/// The code of one app while it is assembled.
pub(crate) struct CodeStore<'a> {
    engine: &'a Engine,
    folders: &'a dyn FsSource,
    /// Binaries that are no files, and the registry that says where they stand.
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

    /// Compiles all that is wanted, on every core. What is wrong with one is told when it is asked for, so
    /// that problems come in the order of the entries.
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

    /// The compiled code that an entry wants: made now, if nobody else wanted it before.
    pub(crate) fn compile(&self, wanted: &CompileRequest<'a>) -> Result<Ready, FieldError> {
        let (found, kind) = self.recognise(wanted)?;
        let is_core = matches!(kind, crisol_wit::Kind::Core);
        let by_entry = is_core.then(|| (wanted.wit.map(SourceText::text), wanted.method));
        let key = (found.digest, by_entry, wanted.fuel);
        let made = self.compiled.get(key, || self.make(&found.bytes, is_core, wanted))?;
        let Made { compiled, method, core, calls } = made;
        let method = method.unwrap_or_else(|| wanted.method.to_owned());
        Ok(Ready { compiled, method, core, calls })
    }

    /// Compiles code. Several methods of a core module come to one, which the engine compiles once.
    fn make(
        &self,
        bytes: &[u8],
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
            FieldError::at(field, Report::error(BAD_CODE, chain(&error)).help(help))
        };
        // Reading a module looks at all of it, and wrapping it copies it several times.
        self.engine.check_size(bytes).map_err(|error| refused(error.into()))?;
        let compile = |bytes: &[u8], method, core: Option<Arc<CoreModule>>| {
            let compiled = self.engine.compile(bytes, wanted.fuel).map_err(refused)?;
            let calls = CallGraph::of(bytes).map(Arc::new);
            Ok(Made { compiled, method, core, calls })
        };
        if !is_core {
            return compile(bytes, None, None);
        }
        match code::core(bytes, wanted)? {
            Core::Module(core) => compile(bytes, None, Some(core)),
            Core::Component(wrapped) => compile(&wrapped.component, Some(wrapped.method), None),
        }
    }

    /// Looks at the code that an entry wants, and compiles none.
    pub(crate) fn look(&self, wanted: &CompileRequest<'a>) -> Result<(), FieldError> {
        self.recognise(wanted).map(drop)
    }

    fn recognise(
        &self,
        wanted: &CompileRequest<'a>,
    ) -> Result<(Found, crisol_wit::Kind), FieldError> {
        let found = self.find(wanted.code)?;
        if let (true, Code::Wasm { path, hash, .. }) = (wanted.verified, wanted.code) {
            code::verify(found.digest, hash, path.as_str())?;
        }
        let kind = found.kind.clone()?;
        Ok((found, kind))
    }

    /// Checks that the file of an entry is, by its hash, the one that the entry means.
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

/// Values by key, each made by the first who asks; others who ask meanwhile wait for it.
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
    fn a_value_is_made_once_whoever_asks_and_so_is_a_fault() {
        let (made, once) = (AtomicUsize::new(0), Once::default());
        let ask = |key: u8| {
            once.get(key, || {
                made.fetch_add(1, Ordering::Relaxed);
                if key == 0 {
                    Err(FieldError::at("path", Report::error(BAD_CODE, "no")))
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
