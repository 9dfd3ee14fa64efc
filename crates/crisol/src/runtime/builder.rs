//! Builder of a runtime: the app's sources, defaults for its entries, extensions of the embedding program.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crisol_core::Namespace;
use crisol_engine::{CodeCache, Engine, EngineConfig, EngineError, HostInterface, MaxMemory};
use crisol_wasi::{EnvSource, FsSource, MissingFiles};

use super::handle::Runtime;
use super::settings::{Checked, LoadError, Settings};
use crate::call::Interceptor;
use crate::load::Defaults;

/// Configures and loads a [`Runtime`].
///
/// ```
/// use std::time::Duration;
///
/// use crisol::Runtime;
/// use crisol::registry::Defaults;
///
/// let index = "
/// namespace: app
/// entries:
///   - name: answer
///     kind: function.wat
///     method: answer
///     source: (module (func (export \"answer\") (result i32) i32.const 42))
/// ";
/// let runtime = Runtime::builder()
///     .file("_index.yaml", index)
///     .override_field("app:answer:limits.max_execution_ms=500")
///     .defaults(Defaults { max_execution: Duration::from_secs(5), ..Defaults::default() })
///     .load()?;
/// assert_eq!(runtime.functions().len(), 1);
/// # Ok::<(), crisol::LoadError>(())
/// ```
#[derive(Default)]
#[must_use = "a builder does nothing until `load`"]
pub struct Builder {
    engine: EngineConfig,
    interfaces: Vec<HostInterface>,
    settings: Settings,
}

impl Runtime {
    /// Returns a builder with default settings.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// Sets the folder of the app. Without one, only files given with [`Builder::file`] are read.
    pub fn app(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.app = Some(dir.into());
        self
    }

    /// Sets the namespace of index files that name none.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.settings.loader = self.settings.loader.default_namespace(namespace);
        self
    }

    /// Adds an index file, or a file that an index file names, from memory. `path` is relative to the app's folder.
    pub fn file(mut self, path: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        self.settings.loader = self.settings.loader.file(path, text);
        self
    }

    /// Adds a binary from memory. `path` is relative to the app's folder and is the one that an `fs.directory` and the
    /// `path` of an entry give together. That folder need not exist. The entry's `hash` is `sha256:` and the
    /// [`Digest`](crate::engine::Digest) of the binary:
    ///
    /// ```
    /// # let bytes = b"\0asm\x01\0\0\0".to_vec();
    /// let entries = format!(
    ///     "namespace: app
    /// entries:
    ///   - {{name: wasm, kind: fs.directory, directory: ./wasm}}
    ///   - {{name: add, kind: function.wasm, fs: wasm, path: /add.wasm, method: add, hash: 'sha256:{}'}}
    /// ",
    ///     crisol::engine::Digest::of(&bytes)
    /// );
    /// let builder = crisol::Runtime::builder().file("_index.yaml", entries).binary("wasm/add.wasm", bytes);
    /// ```
    pub fn binary(mut self, path: impl AsRef<Path>, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.settings.extensions.binaries.insert(path.as_ref(), bytes.into());
        self
    }

    /// Overrides one field of one entry, whatever its index file declares: `ns:entry:path=value`. The value is YAML;
    /// `path[]=item` adds an item to a list. Loading fails if the entry or the field does not exist.
    pub fn override_field(mut self, text: impl Into<String>) -> Self {
        self.settings.loader = self.settings.loader.set(text);
        self
    }

    /// Sets the configuration of the engine.
    pub fn engine(mut self, config: EngineConfig) -> Self {
        self.engine = config;
        self
    }

    /// Bounds the memory of all instances and scripts together. Sets [`EngineConfig::memory`], so call it after
    /// [`Builder::engine`].
    ///
    /// ```no_run
    /// use crisol::engine::MaxMemory;
    /// use crisol::Runtime;
    ///
    /// let runtime = Runtime::builder().memory(MaxMemory::Bytes(512 << 20)).app("app").load()?;
    /// # Ok::<(), crisol::LoadError>(())
    /// ```
    pub fn memory(mut self, memory: MaxMemory) -> Self {
        self.engine.memory = memory;
        self
    }

    /// Keeps compiled code on disk between runs of the program. Sets [`EngineConfig::cache`], so call it after
    /// [`Builder::engine`].
    pub fn code_cache(mut self, cache: CodeCache) -> Self {
        self.engine.cache = Some(cache);
        self
    }

    /// Sets the limits of functions whose entries set none.
    pub fn defaults(mut self, defaults: Defaults) -> Self {
        self.settings.defaults = defaults;
        self
    }

    /// Treats undeclared imports of every entry as errors, like `strict_imports` of a single entry.
    pub fn strict_imports(mut self, strict: bool) -> Self {
        self.settings.strict_imports = strict;
        self
    }

    /// Adds an interceptor around calls, inside those that were added before; see [`Interceptor`].
    pub fn interceptor(mut self, interceptor: impl Interceptor + 'static) -> Self {
        self.settings.extensions.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Adds a transport of the embedding program, which reads requests and writes responses. Entries name it as
    /// `transport: NAME`; the built-in names `payload` and `wasi-http` keep their meaning.
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

    /// Sets whether loading creates missing folders and files with `auto_init`; the default is true. With false,
    /// loading writes nothing for them, and a call that needs a missing mount fails.
    pub fn auto_init(mut self, make: bool) -> Self {
        self.settings.missing = if make { MissingFiles::Create } else { MissingFiles::Skip };
        self
    }

    /// Reads, verifies, compiles and links the whole app. CPU time grows with the size of the code: in an async
    /// program, call it through `spawn_blocking`.
    ///
    /// # Errors
    /// [`LoadError::App`] with every problem that was found; an app with an error is never loaded in part.
    /// [`LoadError::Engine`] if the engine cannot be created.
    pub fn load(self) -> Result<Runtime, LoadError> {
        let app = self.settings.read()?;
        let engine = Engine::with_interfaces(self.engine, self.interfaces)?;
        let first = self.settings.generation(&engine, 1, app, None)?;
        Ok(Runtime::new(engine, self.settings, first))
    }

    /// Reports every problem of the app without creating a runtime. [`Builder::load`] stops at errors in the app's
    /// texts; this method continues with the entries that it can read, so one run finds a wrong hash as well as a
    /// misspelt field. Takes as long as [`Builder::load`]. Missing folders and files with `auto_init` are not a
    /// problem and are not created.
    ///
    /// # Errors
    /// Fails if the engine cannot be created.
    pub fn check(self) -> Result<Checked, EngineError> {
        let engine = Engine::with_interfaces(self.engine, self.interfaces)?;
        Ok(self.settings.check(&engine))
    }

    /// Adds an interface whose functions the embedding program implements. A guest can call them if its entry names the
    /// interface in `imports`; the version may be left out there.
    ///
    /// ```no_run
    /// use crisol::host::{HostCall, HostInterface};
    /// use crisol::Runtime;
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

    /// Sets a source of values for `env.variable` entries. It takes precedence over the storages that the app declares;
    /// a variable for which it returns [`EnvError::Unknown`](crate::host::EnvError) is read from its declared storage.
    pub fn env_source(mut self, source: impl EnvSource) -> Self {
        self.settings.extensions.env = Some(Arc::new(source));
        self
    }

    /// Sets a source of folders for `fs.directory` entries. It takes precedence over the folders that the app declares;
    /// an entry for which it returns [`FsError::Unknown`](crate::host::FsError) uses its declared folder.
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
