//! Core modules called directly: their functions, and the convention of each.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crisol_core::{Field, Signature, Type};
use wasmparser::{FuncType, ValType};
use wit_component::StringEncoding;
use wit_component::metadata::Bindgen;
use wit_parser::{Resolve, WorldId, WorldItem};

use super::derived;
use super::find::{find, missing};
use super::matching::{self, Match, matches};
use super::module::{Outside, shown};
use super::{WrapError, imports, plain, signature, wit};
use crate::describe::UnsupportedType;

/// Entry point of a command in its module.
const START: &str = "_start";
/// Export that must be called before any other.
const INITIALIZE: &str = "_initialize";
/// Interface and function of components in place of [`START`].
const RUN: (&str, &str) = ("wasi:cli/run", "run");

/// Core module that is called without a component: its functions and their conventions.
pub struct CoreModule {
    functions: Vec<CoreFunction>,
    is_declared: bool,
    /// WIT that declares the functions, if there is any.
    resolve: Resolve,
    initialize: Option<&'static str>,
    allocate: Option<&'static str>,
}

/// Function of a [`CoreModule`].
#[derive(Debug, Clone)]
pub struct CoreFunction {
    /// Full name of the interface that declares it; `None` for a function outside of interfaces.
    pub interface: Option<String>,
    /// Name as WIT declares it, or of the export.
    pub name: String,
    /// Export to call.
    pub export: String,
    /// Export that frees the result, called after the function.
    pub post_return: Option<String>,
    /// Convention for its arguments and its result.
    pub convention: Convention,
    types: Types,
}

/// Convention by which a core function takes and returns values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// Canonical ABI: flat values, and memory for those that do not fit.
    Canonical,
    /// Each parameter and each result is a core value; several results are a tuple.
    Numbers,
    /// Entry point of a command: it takes no arguments and succeeds if it returns.
    Start,
}

#[derive(Debug, Clone)]
enum Types {
    Declared(Box<wit_parser::Function>),
    Core(FuncType),
    Start,
}

impl CoreModule {
    /// Reads the functions of a core module that is called directly: those that `wit` declares, or those of the WIT in
    /// the module, or else the export for `method`, by its core type.
    ///
    /// `None` when it has imports that only a component may have (interfaces of WIT, by name): such a module needs
    /// [`wrap`](crate::wrap).
    ///
    /// # Errors
    /// Fails when the module and the WIT do not fit, or it imports something other than functions.
    pub fn read(module: &[u8], wit: Option<&str>, method: &str) -> Result<Option<Self>, WrapError> {
        let outside = Outside::read(module)?;
        // A module with names of the encoder's other scheme is meant for the encoder.
        if outside.functions().any(|(export, _)| export.name.starts_with(derived::STANDARD)) {
            return Ok(None);
        }
        let read = match (wit, outside.has_metadata) {
            (Some(text), false) => {
                let (resolve, world) = wit::parse(text)?;
                Self::declared(&outside, resolve, world, method)?
            }
            (None, true) => match carried(module) {
                Some((resolve, world)) => Self::declared(&outside, resolve, world, method)?,
                None => None,
            },
            // The encoder joins the WIT in a module with the WIT of its entry.
            (Some(_), true) => None,
            (None, false) if imports::are_of_wit(&outside, &[]) => None,
            (None, false) => Some(Self::derived(&outside, method)?),
        };
        if read.is_some() {
            imports::check_core(&outside)?;
            check_initialize(&outside, method)?;
        }
        Ok(read)
    }

    fn declared(
        outside: &Outside,
        resolve: Resolve,
        world: WorldId,
        method: &str,
    ) -> Result<Option<Self>, WrapError> {
        if imports::are_of_wit(outside, &imports::declared(&resolve, world)) {
            return Ok(None);
        }
        plain::check(outside, &resolve, world)?;
        let matches = matches(outside, &resolve, world, None)?;
        let mut functions: Vec<_> = matches.iter().map(CoreFunction::declared).collect();
        drop(matches);
        if functions.is_empty() && !has_start(outside) && !outside.has_metadata {
            let example = crisol_core::suggest::kebab(method);
            return Err(WrapError::NothingDeclared { example });
        }
        functions.extend(has_start(outside).then(CoreFunction::start));
        Ok(Some(Self::new(outside, functions, Some(resolve))))
    }

    fn derived(outside: &Outside, method: &str) -> Result<Self, WrapError> {
        let one = |function| Self::new(outside, vec![function], None);
        if has_start(outside) && is_run(method) && outside.function(method).is_none_or(is_start) {
            return Ok(one(CoreFunction::start()));
        }
        let found = find(outside, &[method.to_owned()])?;
        let Some((export, ty)) = found.and_then(|name| outside.function(name)) else {
            return Err(missing(outside, format!("a function `{method}`"), method));
        };
        let post = matching::post_of(outside, &export.name);
        matching::check_post_return(outside, &export.name, post)?;
        CoreFunction::derived(&export.name, ty, post).map(one)
    }

    fn new(outside: &Outside, functions: Vec<CoreFunction>, declared: Option<Resolve>) -> Self {
        let takes_nothing = |ty: &FuncType| ty.params().is_empty() && ty.results().is_empty();
        let reactor = !has_start(outside)
            && outside.function(INITIALIZE).is_some_and(|(_, ty)| takes_nothing(ty));
        let initialize = reactor.then_some(INITIALIZE);
        let (is_declared, resolve) = (declared.is_some(), declared.unwrap_or_default());
        Self { functions, is_declared, resolve, initialize, allocate: outside.realloc() }
    }

    /// Functions that a method may name.
    #[must_use]
    pub fn functions(&self) -> &[CoreFunction] {
        &self.functions
    }

    /// Function for the method that the module was read for, where no WIT declares any.
    #[must_use]
    pub fn found(&self) -> Option<&CoreFunction> {
        if self.is_declared { None } else { self.functions.first() }
    }

    /// Export to call once before any other.
    #[must_use]
    pub fn initialize(&self) -> Option<&str> {
        self.initialize
    }

    /// Export that allocates memory for arguments.
    #[must_use]
    pub fn allocate(&self) -> Option<&str> {
        self.allocate
    }

    /// Reads the signature of a function.
    ///
    /// # Errors
    /// Fails when its types are too large.
    pub fn signature(&self, function: &CoreFunction) -> Result<Signature, UnsupportedType> {
        match &function.types {
            Types::Declared(func) => signature::of(&self.resolve, func),
            Types::Core(ty) => Ok(core_signature(ty)),
            Types::Start => Ok(Signature {
                params: Vec::new(),
                result: Some(Type::Result { ok: None, err: None }),
            }),
        }
    }
}

impl CoreFunction {
    fn declared(of: &Match<'_, '_>) -> Self {
        Self {
            interface: of.target.interface.clone(),
            name: of.target.func.name.clone(),
            export: of.export.to_owned(),
            post_return: of.post_return.map(str::to_owned),
            convention: Convention::Canonical,
            types: Types::Declared(Box::new(of.target.func.clone())),
        }
    }

    fn derived(export: &str, ty: &FuncType, post: Option<&str>) -> Result<Self, WrapError> {
        derived::check(export, ty)?;
        Ok(Self {
            interface: None,
            name: export.to_owned(),
            export: export.to_owned(),
            post_return: post.map(str::to_owned),
            convention: Convention::Numbers,
            types: Types::Core(ty.clone()),
        })
    }

    fn start() -> Self {
        Self {
            interface: Some(RUN.0.to_owned()),
            name: RUN.1.to_owned(),
            export: START.to_owned(),
            post_return: None,
            convention: Convention::Start,
            types: Types::Start,
        }
    }
}

/// Returns true if a module has the entry point of a command.
fn has_start(outside: &Outside) -> bool {
    outside.function(START).is_some_and(is_start)
}

fn is_start((export, ty): (&super::module::Export, &FuncType)) -> bool {
    export.name == START && ty.params().is_empty() && ty.results().is_empty()
}

/// Refuses a reactor with an initializer of the wrong type, unless the method names that function.
fn check_initialize(outside: &Outside, method: &str) -> Result<(), WrapError> {
    let Some((_, ty)) = outside.function(INITIALIZE) else { return Ok(()) };
    let takes_nothing = ty.params().is_empty() && ty.results().is_empty();
    if takes_nothing || has_start(outside) || method == INITIALIZE {
        return Ok(());
    }
    Err(WrapError::Initialize { found: shown(ty) })
}

/// Returns true if a method names the entry point of a command.
fn is_run(method: &str) -> bool {
    let (interface, function) = method.split_once('#').unwrap_or((RUN.0, method));
    let is_start = method == START || function == RUN.1;
    is_start && interface.split('@').next() == Some(RUN.0)
}

/// WIT in a module; none when its functions cannot be called directly by it: some are asynchronous or of a resource, or
/// use another string encoding.
fn carried(module: &[u8]) -> Option<(Resolve, WorldId)> {
    // The decoder can panic on malformed modules.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        let (_, Bindgen { resolve, world, metadata, .. }) =
            wit_component::metadata::decode(module).ok()?;
        let is_plain = |func: &wit_parser::Function| {
            matches!(func.kind, wit_parser::FunctionKind::Freestanding)
        };
        for (key, item) in &resolve.worlds.get(world)?.exports {
            let functions: Vec<_> = match item {
                WorldItem::Function(func) => vec![func],
                WorldItem::Interface { id, .. } => {
                    resolve.interfaces.get(*id)?.functions.values().collect()
                }
                WorldItem::Type { .. } => Vec::new(),
            };
            for func in functions {
                let encoding = metadata.export_encodings.get(&resolve, key, &func.name);
                if !is_plain(func) || encoding.is_some_and(|it| it != StringEncoding::UTF8) {
                    return None;
                }
            }
        }
        Some((resolve, world))
    }));
    decoded.ok().flatten()
}

/// Signature derived from a core type.
fn core_signature(ty: &FuncType) -> Signature {
    let types = |all: &[ValType]| all.iter().map(|ty| number(*ty)).collect::<Vec<_>>();
    let named = types(ty.params()).into_iter().enumerate();
    let params = named.map(|(at, ty)| Field { name: format!("p{at}"), ty }).collect();
    let mut results = types(ty.results());
    let result = if results.len() > 1 { Some(Type::Tuple(results)) } else { results.pop() };
    Signature { params, result }
}

fn number(ty: ValType) -> Type {
    match ty {
        ValType::I64 => Type::S64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        // The check of the export refuses every other type.
        _ => Type::S32,
    }
}
