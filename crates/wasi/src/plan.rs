//! WASI configuration of one function, prepared before its calls so that each call is cheap.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_schema::{EnvMapping, Mount, Wasi};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::sockets::WasiSocketsCtx;
use wasmtime_wasi::{WasiCtx, WasiView as _};

use crate::cwd::{self, RelativeFolder, perms};
use crate::error::{FsError, PlanError};
use crate::folders::FsSource;
use crate::guest_log::GuestLog;
use crate::network::{self, Peers, SystemResolver};
use crate::stdio::Streams;
use crate::variables::EnvSource;

/// Prepared WASI configuration, for each instance of a function.
pub struct Plan {
    function: EntryId,
    args: Vec<String>,
    cwd: String,
    variables: Vec<Variable>,
    source: Arc<dyn EnvSource>,
    /// Opened mounts; `None` without mounts.
    mounts: Option<WasiFilesystemCtx>,
    /// First mount whose folder a start creates, with that folder: no instance is made without it.
    uncreated: Option<(Mount, PathBuf)>,
    /// Reason that relative paths do not begin in the working directory.
    cwd_problem: Option<String>,
    /// Log of the function's output.
    log: Arc<GuestLog>,
    /// Reachable peers; none for an empty list.
    peers: Arc<Peers>,
    sockets: WasiSocketsCtx,
}

/// Variable of the guest; its name is shared by every [`Environment`].
struct Variable {
    mapping: EnvMapping,
    name: Arc<str>,
}

/// Variables of one call, in the order of the configuration, without those that have no value.
///
/// Compare it with the environment of a ready instance: when they differ, a variable has changed and the instance must
/// not be used. `Debug` shows names, never values.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Environment {
    pairs: Vec<(Arc<str>, String)>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.pairs.iter().map(|(name, _)| (name, format_args!("…")));
        f.debug_map().entries(names).finish()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.variables.iter().map(|variable| &variable.name);
        f.debug_struct("Plan")
            .field("function", &self.function)
            .field("args", &self.args)
            .field("cwd", &self.cwd)
            .field("variables", &names.collect::<Vec<_>>())
            .field("mounts", &self.mounts.is_some())
            .field("peers", &self.peers())
            .finish_non_exhaustive()
    }
}

/// Makes the plan of a function's configuration: opens mounts and compiles rules. Errors and the log name `label`;
/// `env` provides the values of variables at each call.
///
/// # Errors
/// Fails when a folder cannot be opened.
pub fn resolve(
    config: &Wasi,
    label: &EntryId,
    env: Arc<dyn EnvSource>,
    fs: &dyn FsSource,
) -> Result<Plan, PlanError> {
    let relative = cwd::relative(config, fs);
    let (mounts, uncreated) =
        mounts(&config.mounts, relative.as_deref().unwrap_or_default(), label, fs)?;
    // Refusals of an empty list are logged too.
    let peers = Arc::new(Peers::new(label, config.network.clone(), Arc::new(SystemResolver)));
    let variable = |mapping: &EnvMapping| Variable {
        mapping: mapping.clone(),
        name: mapping.name.as_str().into(),
    };
    Ok(Plan {
        function: label.clone(),
        args: config.args.clone(),
        cwd: config.cwd.as_str().to_owned(),
        variables: config.env.iter().map(variable).collect(),
        source: env,
        log: Arc::new(GuestLog::new(label.clone())),
        mounts,
        uncreated,
        cwd_problem: relative.err(),
        sockets: network::sockets(&peers),
        peers,
    })
}

/// Mount whose folder only a start creates, with the folder.
type Uncreated = (Mount, PathBuf);

/// Opens the mounts once, and returns the first one whose folder is not created yet. A context's folders are shared
/// handles without a position, so each instance gets a clone and no call opens a folder.
fn mounts(
    mounts: &[Mount],
    relative: &[RelativeFolder],
    label: &EntryId,
    fs: &dyn FsSource,
) -> Result<(Option<WasiFilesystemCtx>, Option<Uncreated>), PlanError> {
    if mounts.is_empty() {
        return Ok((None, None));
    }
    let mut builder = WasiCtx::builder();
    let mut uncreated = None;
    // Before the mounts: of two equally long names that match a path, libraries take the later one.
    for RelativeFolder { name, directory, perms } in relative {
        // A folder that disappears in between counts as missing.
        let _ = directory.reopenable().map(|path| builder.preopened_dir(path, name, *perms));
    }
    for mount in mounts {
        let failed = |source| PlanError::Mount {
            function: label.clone(),
            fs: mount.fs.clone(),
            guest: mount.guest.clone(),
            source,
        };
        let perms = perms(mount);
        let directory = match fs.directory(&mount.fs) {
            Err(FsError::NotCreated { path }) => {
                uncreated.get_or_insert_with(|| (mount.clone(), path));
                continue;
            }
            found => found.map_err(failed)?,
        };
        let path = directory.reopenable().map_err(failed)?;
        builder.preopened_dir(&path, mount.guest.as_str(), perms).map_err(|error| {
            let path = directory.path().to_owned();
            failed(FsError::Io {
                path,
                source: std::io::Error::other(error.into_boxed_dyn_error()),
            })
        })?;
    }
    Ok((Some(builder.build().filesystem().clone()), uncreated))
}

impl Plan {
    /// Returns true if every call gets the same environment, because there are no variables.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.variables.is_empty()
    }

    /// Reason that relative paths of the guest do not begin in its `wasi.cwd`, if they do not.
    #[must_use]
    pub fn cwd_problem(&self) -> Option<&str> {
        self.cwd_problem.as_deref()
    }

    /// Peers that the guest may reach, for outgoing HTTP.
    #[must_use]
    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// Reads the current values of the variables.
    ///
    /// # Errors
    /// Fails when a required variable has no value, or a storage cannot be read.
    pub fn environment(&self) -> Result<Environment, PlanError> {
        let mut pairs = Vec::with_capacity(self.variables.len());
        for Variable { mapping, name } in &self.variables {
            let EnvMapping { id, name: guest, required } = mapping;
            let value = self.source.value(id).map_err(|source| PlanError::Variable {
                name: guest.clone(),
                id: id.clone(),
                source,
            })?;
            match value {
                Some(value) if value.contains('\0') => {
                    return Err(PlanError::Nul { name: guest.clone(), id: id.clone() });
                }
                Some(value) => pairs.push((Arc::clone(name), value)),
                None if *required => {
                    let place = self.source.place(id);
                    return Err(PlanError::Missing { name: guest.clone(), id: id.clone(), place });
                }
                None => {}
            }
        }
        Ok(Environment { pairs })
    }

    /// Makes the context of one instance, for guests of WASI preview 1 and of later versions.
    ///
    /// # Errors
    /// Fails when a mount's folder was not created, because the app was loaded for inspection.
    pub fn build(
        &self,
        environment: &Environment,
        streams: impl Into<Streams>,
    ) -> Result<WasiP1Ctx, PlanError> {
        self.check_mounts()?;
        Ok(self.context(environment, streams.into(), &self.args))
    }

    /// Makes the context of one run of a command. Its first argument is the command's name, as programs expect; `more`
    /// follow the arguments of the configuration.
    ///
    /// # Errors
    /// Fails when an argument contains a NUL, which would end it early, and as [`Plan::build`].
    pub fn build_command(
        &self,
        environment: &Environment,
        streams: impl Into<Streams>,
        name: &str,
        more: &[String],
    ) -> Result<WasiP1Ctx, PlanError> {
        self.check_mounts()?;
        let own = self.args.iter().map(String::as_str);
        let args: Vec<_> =
            std::iter::once(name).chain(own).chain(more.iter().map(String::as_str)).collect();
        if let Some(argument) = args.iter().position(|argument| argument.contains('\0')) {
            return Err(PlanError::ArgumentNul { argument });
        }
        Ok(self.context(environment, streams.into(), &args))
    }

    /// Checks that the folder of every mount exists.
    ///
    /// # Errors
    /// Fails when a mount's folder was not created, because the app was loaded for inspection.
    pub fn check_mounts(&self) -> Result<(), PlanError> {
        let Some((mount, path)) = &self.uncreated else { return Ok(()) };
        Err(PlanError::Mount {
            function: self.function.clone(),
            fs: mount.fs.clone(),
            guest: mount.guest.clone(),
            source: FsError::NotCreated { path: path.clone() },
        })
    }

    fn context(
        &self,
        environment: &Environment,
        streams: Streams,
        args: &[impl AsRef<str>],
    ) -> WasiP1Ctx {
        let mut builder = WasiCtx::builder();
        builder.args(args).envs(&environment.pairs).initial_cwd(&self.cwd);
        streams.apply(&mut builder, &self.log);
        let mut wasi = builder.build_p1();
        let context = wasi.ctx().ctx;
        if let Some(mounts) = &self.mounts {
            *context.filesystem() = mounts.clone();
        }
        *context.sockets() = self.sockets.clone();
        wasi
    }
}
