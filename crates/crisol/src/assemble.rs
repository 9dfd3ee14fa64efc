//! From a validated registry to functions that can be called. Nothing of this happens inside a call.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Weak};

use crisol_core::{EntryId, chain};
use crisol_engine::{Allocation, Engine, Limits, Linked, Profile};
use crisol_lua::Turns;
use crisol_pool::Pool;
#[cfg(feature = "http")]
use crisol_schema::KindName;
#[cfg(not(feature = "http"))]
use crisol_schema::Rule;
use crisol_schema::{Checked, Entry, Kind, Problems, Process, Registry, Report, Transport};
use crisol_wasi::{EnvSource, FsSource, Missing, Plan, PlanError};
use foldhash::fast::RandomState;

use crate::adapter::{self, Callee, Instances};
use crate::builder::Defaults;
use crate::callable::Callable;
use crate::code::{Fault, link_fault};
use crate::codes::{Codes, Ready, Wanted};
use crate::command::Command;
use crate::fix::ImportsFix;
use crate::function::Function;
use crate::generation::Generation;
use crate::guest::Guest;
#[cfg(feature = "http")]
use crate::http::Proxy;
use crate::imports::{self, Linkage};
use crate::interceptor::Interceptors;
use crate::lua::LuaFunction;
use crate::own::Own;
use crate::pooled::Pooled;
use crate::required;
use crate::unchanged::Before;
use crate::world::{self, BAD_FOLDER, World};

/// What is served over HTTP.
#[cfg(feature = "http")]
const HTTP: [KindName; 4] =
    [KindName::HttpService, KindName::HttpRouter, KindName::HttpEndpoint, KindName::HttpStatic];

/// What functions are assembled with.
pub(crate) struct Assembly<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) registry: &'a Registry,
    pub(crate) defaults: Defaults,
    pub(crate) strict_imports: bool,
    pub(crate) own: &'a Own,
    /// Bound on the scripts that compute at one moment.
    pub(crate) turns: &'a Turns,
    /// What becomes of folders and files with `auto_init` that are not there.
    pub(crate) missing: Missing,
    /// The generation whose functions are taken over where nothing has changed.
    pub(crate) before: Option<&'a Generation>,
    /// What of the registry says what the app says, when it has errors: then this is for the problems alone.
    pub(crate) checked: Option<&'a Checked>,
}

/// What a registry comes to.
#[derive(Default)]
pub(crate) struct Assembled {
    /// What can be called, by id.
    pub(crate) functions: HashMap<EntryId, Callable, RandomState>,
    /// What runs to its end, in the order of ids.
    pub(crate) commands: Vec<Command>,
    /// What stands around calls.
    pub(crate) interceptors: Interceptors,
    /// What guests see of the outside.
    pub(crate) world: World,
    /// How entries would declare what their methods may call, and no more.
    pub(crate) fixes: Vec<ImportsFix>,
    /// What is served over HTTP.
    #[cfg(feature = "http")]
    pub(crate) site: crate::http::Site,
    /// What answers HTTP by itself and cannot be called.
    #[cfg(feature = "http")]
    pub(crate) proxies: HashMap<EntryId, Arc<Proxy>>,
}

impl Assembled {
    /// What the method of an entry is linked to.
    fn linkage(&self, id: &EntryId) -> Option<Linkage<'_>> {
        #[cfg(feature = "http")]
        if let Some(proxy) = self.proxies.get(id) {
            return Some(proxy.0.linkage());
        }
        if let Some(Callable::Wasm(function)) = self.functions.get(id) {
            return Some(function.guest.linkage());
        }
        let command = self.commands.binary_search_by(|command| command.id.cmp(id)).ok();
        command.map(|at| self.commands[at].linkage())
    }
}

/// What an entry is assembled from beside itself.
struct Sources<'a> {
    world: &'a World,
    /// Folder entries that cannot be opened, which is told once.
    closed: HashSet<EntryId>,
    before: Option<Before<'a>>,
    codes: Codes<'a>,
}

impl<'a> Sources<'a> {
    fn folders(&self) -> &dyn FsSource {
        self.world.folders()
    }

    fn env(&self) -> Arc<dyn EnvSource> {
        self.world.env()
    }

    /// What there was of an entry, when nothing about it has changed.
    fn kept<T>(&self, id: &EntryId, find: impl FnOnce(&'a Generation) -> Option<T>) -> Option<T> {
        let before = self.before.as_ref()?;
        let found = find(before.generation)?;
        before.is_unchanged(id).then_some(found)
    }
}

impl<'a> Assembly<'a> {
    /// Everything that the registry wants compiled, but for what is taken over from before.
    fn wanted(&self, before: Option<&Before<'_>>) -> Vec<Wanted<'a>> {
        let changed = |entry: &&Entry| !before.is_some_and(|old| old.is_unchanged(&entry.id));
        let entries = self.registry.into_iter().filter(changed);
        let linked = entries.filter_map(Guest::of).filter(|guest| self.is_linkable(guest.id));
        linked.map(|guest| self.wanted_of(&guest)).collect()
    }

    fn is_read(&self, id: &EntryId, field: &str) -> bool {
        self.checked.is_none_or(|checked| checked.is_read(id, field))
    }

    /// Whether all is known that linking the code of an entry takes.
    fn is_linkable(&self, id: &EntryId) -> bool {
        ["method", "wit", "transport"].iter().all(|field| self.is_read(id, field))
    }

    fn wanted_of(&self, guest: &Guest<'a>) -> Wanted<'a> {
        Wanted { verified: self.is_read(guest.id, "hash"), ..guest.wanted() }
    }

    /// Assembles every function, and checks every process, of the registry. When a problem among those
    /// that come back is an error, what comes with it is not whole and is not to be served.
    pub(crate) fn run(&self, app: Option<&Path>) -> (Assembled, Problems) {
        let mut problems = Problems::new();
        let before = self.before.map(Generation::world);
        let (world, failed) = World::open(self.registry, app, self.own, before, self.missing);
        world::report(&failed, self.registry, app, &mut problems);
        required::warn(self.registry, world.env().as_ref(), &mut problems);
        let closed = failed.into_iter().map(|(id, _)| id).collect();
        let before = self.before.map(|generation| Before {
            generation,
            registry: self.registry,
            world: &world,
        });
        let codes = Codes::new(self.engine, world.folders(), (self.registry, &self.own.binaries));
        codes.prepare(&self.wanted(before.as_ref()));
        let sources = Sources { world: &world, closed, before, codes };
        let mut assembled = Assembled::default();
        for entry in self.registry {
            let one = match &entry.kind {
                Kind::Function(function) => {
                    let guest = Guest::of_function(&entry.id, function);
                    #[cfg(feature = "http")]
                    if let Some(proxy) = sources.kept(&entry.id, |old| old.proxy(&entry.id))
                        && sources.codes.verify(guest.code).is_ok()
                    {
                        assembled.proxies.insert(entry.id.clone(), proxy);
                        continue;
                    }
                    if let Some(Callable::Wasm(kept)) =
                        sources.kept(&entry.id, |old| old.callable(&entry.id))
                        && sources.codes.verify(guest.code).is_ok()
                    {
                        assembled
                            .functions
                            .insert(entry.id.clone(), Callable::Wasm(Arc::clone(kept)));
                        continue;
                    }
                    self.compile(&guest, &sources).and_then(|ready| {
                        let Some(ready) = ready else { return Ok(None) };
                        let guest = (&guest, &ready);
                        #[cfg(feature = "http")]
                        if function.transport == Transport::WasiHttp
                            && let Some(proxy) = self.proxy(guest, &function.pool, &sources)?
                        {
                            assembled.proxies.insert(entry.id.clone(), Arc::new(proxy));
                            return Ok(None);
                        }
                        let function =
                            self.function(guest, &function.pool, &sources, &mut problems)?;
                        Ok(Some(Callable::Wasm(Arc::new(function))))
                    })
                }
                Kind::Process(process) => {
                    let guest = Guest::of_process(&entry.id, process);
                    self.compile(&guest, &sources).and_then(|ready| {
                        let Some(ready) = ready else { return Ok(None) };
                        let code = (&guest, &ready);
                        let command = self.command(code, process, &sources, &mut problems)?;
                        assembled.commands.push(command);
                        Ok(None)
                    })
                }
                Kind::LuaFunction(function) => {
                    let fields = ["source", "method", "modules"];
                    if !fields.iter().all(|field| self.is_read(&entry.id, field)) {
                        continue;
                    }
                    let kept = sources.kept(&entry.id, |old| old.callable(&entry.id));
                    kept.map_or_else(
                        || self.lua(&entry.id, function),
                        |kept| Ok(Some(kept.clone())),
                    )
                }
                #[cfg(not(feature = "http"))]
                Kind::HttpService(_)
                | Kind::HttpRouter(_)
                | Kind::HttpEndpoint(_)
                | Kind::HttpStatic(_) => {
                    self.not_served(entry, "kind", &mut problems);
                    continue;
                }
                _ => continue,
            };
            match one {
                Ok(Some(function)) => {
                    assembled.functions.insert(entry.id.clone(), function);
                }
                Ok(None) => {}
                // A folder that cannot be opened is told of at its own entry.
                Err(Fault { folder: Some(id), .. }) if sources.closed.contains(&id) => {}
                Err(fault) => fault.tell(self.registry, &entry.id, &mut problems),
            }
        }
        let linked = self.registry.into_iter().filter_map(|entry| {
            let guest = Guest::of(entry).filter(|guest| self.is_read(guest.id, "imports"))?;
            let (linkage, is_strict) = (assembled.linkage(guest.id)?, self.is_strict(&guest));
            Some((guest, linkage, is_strict))
        });
        let fixes = imports::compare(linked, (self.registry, &mut problems));
        let all = &self.own.interceptors;
        assembled.interceptors = Interceptors::new(all, self.registry, &assembled, self.defaults);
        #[cfg(feature = "http")]
        {
            let is_whole = |kind| self.checked.is_none_or(|checked| checked.is_whole(kind));
            let source = crate::http::Source {
                registry: self.registry,
                folders: sources.folders(),
                env: sources.env(),
                closed: &sources.closed,
                transports: &self.own.transports,
                is_whole: HTTP.iter().all(|kind| is_whole(*kind)),
            };
            let (site, found) = crate::http::assemble(source, &assembled);
            assembled.site = site;
            problems.append(found);
        }
        assembled.world = world;
        assembled.fixes = fixes;
        (assembled, problems)
    }

    /// The compiled code of an entry; none when it is not known what to link of it, and then the file alone was
    /// looked at.
    fn compile(&self, guest: &Guest<'a>, sources: &Sources<'a>) -> Result<Option<Ready>, Fault> {
        let wanted = self.wanted_of(guest);
        if self.is_linkable(guest.id) {
            return sources.codes.compile(&wanted).map(Some);
        }
        sources.codes.look(&wanted).map(|()| None)
    }

    fn lua(
        &self,
        id: &EntryId,
        function: &crisol_schema::LuaFunction,
    ) -> Result<Option<Callable>, Fault> {
        let pool = adapter::config(&function.pool)?;
        let limits = &function.limits;
        let max_execution = limits.max_execution.unwrap_or(self.defaults.max_execution);
        let limits = self.limits(limits);
        let shared = (self.engine.budget(), self.turns);
        LuaFunction::assemble(id, function, max_execution, limits, (pool, shared))
            .map(|function| Some(Callable::Lua(Arc::new(function))))
    }

    #[cfg(not(feature = "http"))]
    /// Warns of what is read and checked, and has no effect yet.
    fn not_served(&self, entry: &Entry, field: &str, problems: &mut Problems) {
        let message =
            format!("a `{}` is checked, and not served by this version", entry.kind.name());
        problems.at(self.registry, &entry.id, field, Report::warning(Rule::NO_EFFECT, message));
    }

    fn function(
        &self,
        (guest, ready): (&Guest<'_>, &Ready),
        pool: &crisol_schema::Pool,
        sources: &Sources<'_>,
        problems: &mut Problems,
    ) -> Result<Function, Fault> {
        let (linked, plan) = self.load((guest, ready), sources, problems)?;
        let mapping = linked.mapping().clone();
        let guest = self.pooled((guest, ready), Callee::Function(linked), plan, pool)?;
        Ok(Function { guest, mapping })
    }

    /// A linked guest behind its pool.
    fn pooled(
        &self,
        (guest, ready): (&Guest<'_>, &Ready),
        callee: Callee,
        plan: Plan,
        pool: &crisol_schema::Pool,
    ) -> Result<Pooled, Fault> {
        let (outgoing, plan) = (adapter::outgoing(&plan), Arc::new(plan));
        let limits = self.limits(guest.limits);
        let instances =
            Instances { callee: callee.clone(), plan: Arc::clone(&plan), limits, outgoing };
        let reached = ready.reached(callee.export());
        let linkage = Linkage::new(callee.code(), callee.imports(), &reached, &plan);
        Ok(Pooled {
            id: guest.id.clone(),
            undeclared: linkage.undeclared(),
            reached,
            calls_others: callee.calls_others(),
            callee,
            plan,
            max_execution: guest.limits.max_execution.unwrap_or(self.defaults.max_execution),
            instances: self.instances(),
            pool: Pool::new(instances, adapter::config(pool)?),
        })
    }

    fn command(
        &self,
        code: (&Guest<'_>, &Ready),
        process: &Process,
        sources: &Sources<'_>,
        problems: &mut Problems,
    ) -> Result<Command, Fault> {
        let (linked, plan) = self.load(code, sources, problems)?;
        let (guest, ready) = code;
        let export = linked.export();
        let reached = ready.reached((export.interface.as_deref(), &export.name));
        let linkage = Linkage::new(linked.code(), linked.imports(), &reached, &plan);
        Ok(Command {
            id: guest.id.clone(),
            name: process.command.as_ref().map(|name| name.as_str().to_owned()),
            undeclared: linkage.undeclared(),
            reached,
            outgoing: adapter::outgoing(&plan),
            within: Weak::new(),
            linked,
            plan,
            limits: self.limits(guest.limits),
            max_execution: guest.limits.max_execution,
            instances: self.instances(),
        })
    }

    /// The function as one that answers HTTP by itself, if its method is of that kind.
    #[cfg(feature = "http")]
    fn proxy(
        &self,
        (guest, ready): (&Guest<'_>, &Ready),
        pool: &crisol_schema::Pool,
        sources: &Sources<'_>,
    ) -> Result<Option<Proxy>, Fault> {
        let method = ready.method.as_str();
        let is_proxy = self.engine.is_proxy(&ready.compiled, method);
        if !is_proxy.map_err(|error| link_fault(error.into()))? {
            return Ok(None);
        }
        let profile = self.profile(guest);
        let linked =
            self.engine.link_proxy(&ready.compiled, &profile, method).map_err(link_fault)?;
        let plan = plan(guest, sources)?;
        let proxy = self.pooled((guest, ready), Callee::Proxy(linked), plan, pool)?;
        Ok(Some(Proxy(proxy)))
    }

    /// Instances that the engine may hold.
    fn instances(&self) -> u64 {
        match self.engine.config().allocation {
            Allocation::Pooling { instances } => u64::from(instances),
            _ => u64::MAX,
        }
    }

    fn load(
        &self,
        (guest, ready): (&Guest<'_>, &Ready),
        sources: &Sources<'_>,
        problems: &mut Problems,
    ) -> Result<(Linked, Plan), Fault> {
        let profile = self.profile(guest);
        let linked = match ready.link(self.engine, &profile) {
            Ok(linked) => linked,
            Err(error) => {
                // Who may answer HTTP by itself may import more, and it is not known which this is.
                if *guest.transport == Transport::Payload
                    && self.is_strict(guest)
                    && let Ok(imports) = self.engine.imports(&ready.compiled, &profile)
                {
                    imports::refuse(guest, &imports, self.registry, problems);
                }
                return Err(link_fault(error));
            }
        };
        Ok((linked, plan(guest, sources)?))
    }

    /// What an entry grants.
    fn profile(&self, guest: &Guest<'_>) -> Profile {
        self.engine.profile(guest.id, |interface| guest.imports.grants(interface))
    }

    /// Whether what an entry does not declare is an error. Nobody knows what one declares whose list cannot be read.
    fn is_strict(&self, guest: &Guest<'_>) -> bool {
        (self.strict_imports || guest.strict_imports) && self.is_read(guest.id, "imports")
    }

    fn limits(&self, own: &crisol_schema::Limits) -> Limits {
        Limits {
            max_memory_bytes: own.max_memory_bytes.unwrap_or(self.defaults.max_memory_bytes),
            max_fuel: own.max_fuel,
            max_output_bytes: own.max_output_bytes.unwrap_or(self.defaults.max_output_bytes),
            ..Limits::default()
        }
    }
}

/// What the guest sees of the outside.
fn plan(guest: &Guest<'_>, sources: &Sources<'_>) -> Result<Plan, Fault> {
    let (env, folders) = (sources.env(), sources.folders());
    crisol_wasi::resolve(guest.wasi, guest.id, env, folders).map_err(|error| {
        let help = "mount a folder that is there and can be read";
        let fault = Fault::at("wasi", Report::error(BAD_FOLDER, chain(&error)).help(help));
        match error {
            PlanError::Mount { fs, .. } => fault.in_folder(&fs),
            _ => fault,
        }
    })
}
