//! Setting a runtime up: where the app is, what applies when an entry does not say.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crisol_core::Namespace;
use crisol_engine::{CodeCache, Engine, EngineConfig, EngineError, HostInterface, MaxMemory};
use crisol_wasi::{EnvSource, FsSource, Missing};

use super::handle::Runtime;
use super::settings::{Checked, LoadError, Settings};
use crate::call::Interceptor;
use crate::load::Defaults;

/// Sets a [`Runtime`] up.
#[derive(Default)]
#[must_use = "a builder does nothing until `load`"]
pub struct Builder {
    engine: EngineConfig,
    interfaces: Vec<HostInterface>,
    settings: Settings,
}

impl Runtime {
    /// Begins to set a runtime up.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// The folder of the app. Without one, only files given with [`Builder::file`] are read.
    pub fn app(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.app = Some(dir.into());
        self
    }

    /// The namespace of index files that name none.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.settings.loader = self.settings.loader.default_namespace(namespace);
        self
    }

    /// An index file, or a file that one names, without a folder on disk: `path` is relative to the
    /// app.
    pub fn file(mut self, path: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        self.settings.loader = self.settings.loader.file(path, text);
        self
    }

    /// A binary without a file on disk: `path` is relative to the app, where an `fs.directory` and the `path` of an
    /// entry lead to. The folder need not be there. Its `hash` is the text of its [`Digest`](crate::Digest):
    ///
    /// ```
    /// # let bytes = b"\0asm\x01\0\0\0".to_vec();
    /// let entries = format!(
    ///     "namespace: app
    /// entries:
    ///   - {{name: wasm, kind: fs.directory, directory: ./wasm}}
    ///   - {{name: add, kind: function.wasm, fs: wasm, path: /add.wasm, method: add, hash: 'sha256:{}'}}
    /// ",
    ///     crisol::Digest::of(&bytes)
    /// );
    /// let builder = crisol::Runtime::builder().file("_index.yaml", entries).binary("wasm/add.wasm", bytes);
    /// ```
    pub fn binary(mut self, path: impl AsRef<Path>, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.settings.extensions.binaries.insert(path.as_ref(), bytes.into());
        self
    }

    /// Overrides one field of one entry: `ns:entry:path=value`.
    pub fn set(mut self, text: impl Into<String>) -> Self {
        self.settings.loader = self.settings.loader.set(text);
        self
    }

    /// How the engine is set up.
    pub fn engine(mut self, config: EngineConfig) -> Self {
        self.engine = config;
        self
    }

    /// Bounds the memory of all instances and scripts together; see [`EngineConfig::memory`], which it sets (so it
    /// comes after [`Builder::engine`]).
    ///
    /// ```no_run
    /// use crisol::{MaxMemory, Runtime};
    ///
    /// let runtime = Runtime::builder().memory(MaxMemory::Bytes(512 << 20)).app("app").load()?;
    /// # Ok::<(), crisol::LoadError>(())
    /// ```
    pub fn memory(mut self, memory: MaxMemory) -> Self {
        self.engine.memory = memory;
        self
    }

    /// Keeps compiled code on disk from one run to the next; see [`EngineConfig::cache`], which it sets
    /// (so it comes after [`Builder::engine`]).
    pub fn code_cache(mut self, cache: CodeCache) -> Self {
        self.engine.cache = Some(cache);
        self
    }

    /// Limits of functions whose entries do not set them.
    pub fn defaults(mut self, defaults: Defaults) -> Self {
        self.settings.defaults = defaults;
        self
    }

    /// Refuses every function that has an import its entry does not declare, as `strict_imports` does
    /// for one.
    pub fn strict_imports(mut self, strict: bool) -> Self {
        self.settings.strict_imports = strict;
        self
    }

    /// Puts an interceptor around calls, inside those that were given before; see [`Interceptor`].
    pub fn interceptor(mut self, interceptor: impl Interceptor + 'static) -> Self {
        self.settings.extensions.interceptors.push(Arc::new(interceptor));
        self
    }

    /// A way to read requests and write responses of the program's own: what entries name as `transport: NAME`. The
    /// names of this crate, `payload` and `wasi-http`, keep their meaning.
    #[cfg(feature = "http")]
    pub fn transport(
        mut self,
        name: impl Into<Arc<str>>,
        transport: impl crisol_transport::Transport + 'static,
    ) -> Self {
        let name = name.into();
        self.settings.loader = self.settings.loader.transport(Arc::clone(&name));
        self.settings.extensions.transports.insert(name, Arc::new(transport));
        self
    }

    /// Whether loading makes the folders and files with `auto_init` that are not there: it does by default. Without
    /// them nothing is written for an app that is only looked at, and a call that needs one of its mounts fails.
    pub fn auto_init(mut self, make: bool) -> Self {
        self.settings.missing = if make { Missing::Make } else { Missing::Leave };
        self
    }

    /// Reads the app, verifies, compiles and links all of it. Takes CPU time by the size of the code:
    /// in an async program, call it through `spawn_blocking`.
    ///
    /// # Errors
    /// All that is wrong with the app: there is never a part of one.
    pub fn load(self) -> Result<Runtime, LoadError> {
        let app = self.settings.read()?;
        let engine = Engine::with_interfaces(self.engine, self.interfaces)?;
        let first = self.settings.generation(&engine, 1, app, None)?;
        Ok(Runtime::new(engine, self.settings, first))
    }

    /// Tells all that is wrong with the app, and makes no runtime of it. Where [`Builder::load`] gives up when
    /// the texts of an app have errors, this goes on with what can be read of it: a wrong hash or method is
    /// found in the same run as a misspelt field. Takes as much time as [`Builder::load`]. Folders and files with
    /// `auto_init` that are not there are no problem, and are not made.
    ///
    /// # Errors
    /// When the engine cannot be set up.
    pub fn check(self) -> Result<Checked, EngineError> {
        let engine = Engine::with_interfaces(self.engine, self.interfaces)?;
        Ok(self.settings.check(&engine))
    }

    /// An interface whose functions the program serves itself. A guest can call them when its entry names
    /// the interface in `imports`; the version may be left out.
    ///
    /// ```no_run
    /// use crisol::{HostCall, HostInterface, Runtime};
    ///
    /// let greeter = HostInterface::new("acme:app/greeter@1.0.0")?
    ///     // greet: func(name: string) -> string
    ///     .function("greet", |_: HostCall, (name,): (String,)| async move {
    ///         Ok(format!("Hello, {name}!"))
    ///     });
    /// let runtime = Runtime::builder().host_interface(greeter).app("app").load()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn host_interface(mut self, interface: HostInterface) -> Self {
        self.settings.loader = self.settings.loader.host_interface(interface.bare_name());
        self.interfaces.push(interface);
        self
    }

    /// Values of `env.variable` entries, from a source of the program's own: it is asked before the
    /// storages that the app declares. What it answers with [`EnvError::Unknown`](crate::EnvError) is
    /// looked up as declared.
    pub fn env_source(mut self, source: impl EnvSource) -> Self {
        self.settings.extensions.env = Some(Arc::new(source));
        self
    }

    /// Folders of `fs.directory` entries, from a source of the program's own: it is asked before what
    /// the app declares is opened. What it answers with [`FsError::Unknown`](crate::FsError) is opened
    /// as declared.
    pub fn fs_source(mut self, source: impl FsSource) -> Self {
        self.settings.extensions.fs = Some(Arc::new(source));
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("app", &self.settings.app)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
