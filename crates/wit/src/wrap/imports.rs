//! Imports without a provider: their list, and the toolchain that they point to.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{FuncType, ValType};
use wit_parser::{Resolve, WorldId};

use super::WrapError;
use super::module::{Import, Outside, shown};
use super::unknown::{Group, UnknownImports};
use crate::error::shorten;

/// Most bytes of imports in a message: a module may import a million functions.
const MOST_LISTED: usize = 8 << 10;
/// Bytes around the two names of one import.
const MARKS: usize = " from ``; ``".len();

/// Origin of imports that no host provides.
#[derive(Debug)]
struct Origin {
    /// Returns true if an import, by module and name, points to this origin.
    tells: fn(&Import) -> bool,
    what: &'static str,
    fix: &'static str,
}

/// Origins; the first that matches an import applies.
static ORIGINS: &[Origin] = &[
    Origin {
        tells: |import| {
            let marks = ["__wbg_", "__wbindgen_"];
            import.module == "wbg"
                || import.module.ends_with("_bg.js")
                || marks
                    .iter()
                    .any(|mark| import.module.starts_with(mark) || import.name.starts_with(mark))
        },
        what: "it is built for JavaScript, by wasm-bindgen",
        fix: "build it for `wasm32-wasip2` or `wasm32-wasip1`, without wasm-bindgen and crates that use it",
    },
    Origin {
        tells: |import| {
            let marks =
                ["emscripten_", "_emscripten_", "_embind_", "invoke_", "__syscall_", "__asyncjs__"];
            let is_short = |name: &str| (1..=2).contains(&name.len());
            import.module == "a" && is_short(&import.name)
                || import.module == "env" && marks.iter().any(|mark| import.name.starts_with(mark))
        },
        what: "it is built for JavaScript, by Emscripten",
        fix: "build it with `-sSTANDALONE_WASM`, or with wasi-sdk",
    },
    Origin {
        // The C function of this name takes no parameters.
        tells: |import| {
            let params = import.ty.as_ref().map(|ty| ty.params().len());
            import.module == "env" && import.name == "abort" && params == Some(4)
        },
        what: "it is built for JavaScript, by AssemblyScript",
        fix: "compile it with `--use abort=`, or with the configuration of `@assemblyscript/wasi-shim`",
    },
    Origin {
        tells: |import| matches!(&*import.module, "go" | "gojs"),
        what: "it is built for JavaScript, by Go (`GOOS=js`)",
        fix: "build it with `GOOS=wasip1 GOARCH=wasm`, or with TinyGo for `wasip2`",
    },
    Origin {
        tells: |import| {
            import.is_shared || import.module == "wasi" && import.name == "thread-spawn"
        },
        what: "it is built for threads, which this engine does not run",
        fix: "build it without threads: for `wasm32-wasip1` or `wasm32-wasip2`, and without `-pthread`",
    },
    Origin {
        tells: |import| {
            let names = [
                "__linear_memory",
                "__indirect_function_table",
                "__stack_pointer",
                "__memory_base",
            ];
            import.module.starts_with("GOT.")
                || import.module == "env" && names.contains(&&*import.name)
        },
        what: "it is an object file or a dynamic library, which a linker completes",
        fix: "link it into a module of its own (`wasm-ld`, or the compiler without `-c` and `-shared`)",
    },
    Origin {
        tells: |import| import.module == "env" && import.name == "memory",
        what: "it has no memory of its own",
        fix: "link it without `--import-memory`",
    },
    Origin {
        tells: |import| import.module == "wasi_unstable",
        what: "that interface is older than WASI preview 1",
        fix: "build it with a newer toolchain",
    },
    Origin {
        tells: |import| import.module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
        what: "WASI preview 1 has no such function",
        fix: "build it with a toolchain for `wasm32-wasip1`",
    },
    Origin {
        tells: |import| import.module.contains(':'),
        what: "that is an interface of components, whose types a core module does not declare",
        fix: "make it a component (`wasm-tools component new`), or import the interface in a world in `wit`",
    },
    Origin {
        tells: |import| import.module == "env",
        what: "the linker left it unresolved in `env`",
        fix: "link the missing code, or declare it as an import of a world in `wit`",
    },
    Origin {
        tells: |_| true,
        what: "`wit` does not declare that",
        fix: "import it in a world in `wit`, or build without it",
    },
];

/// Functions of `env` that the runtime provides for modules called directly, with the core types of their parameters:
/// those that modules of AssemblyScript and Emscripten import when they need no other JavaScript.
static ENV: [(&str, &[ValType]); 4] = [
    ("abort", &[ValType::I32; 4]),
    ("emscripten_notify_memory_growth", &[ValType::I32]),
    ("seed", &[]),
    (
        "trace",
        &[
            ValType::I32,
            ValType::I32,
            ValType::F64,
            ValType::F64,
            ValType::F64,
            ValType::F64,
            ValType::F64,
        ],
    ),
];

/// Core types of the parameters of a function of `env` that the runtime provides.
#[must_use]
pub fn env_function(name: &str) -> Option<&'static [ValType]> {
    ENV.iter().find(|(known, _)| *known == name).map(|(_, takes)| *takes)
}

/// Names that the world imports.
pub(super) fn declared(resolve: &Resolve, world: WorldId) -> Vec<String> {
    let world = resolve.worlds.get(world);
    let keys = world.into_iter().flat_map(|world| world.imports.keys());
    keys.map(|key| resolve.name_world_key(key)).collect()
}

/// Returns true if a module has imports that only components may have: WIT names, or imports that a world declares.
pub(super) fn are_of_wit(outside: &Outside, declared: &[String]) -> bool {
    outside.imports.iter().any(|import| {
        let module = import.module.as_str();
        module == "$root"
            || module.starts_with('[')
            || module.starts_with("cm32p2")
            || is_interface(module)
            || declared.iter().any(|name| name == module)
    })
}

/// Returns true if a name has the form `package:name/interface`.
fn is_interface(module: &str) -> bool {
    module.split_once(':').is_some_and(|(_, rest)| rest.contains('/'))
}

/// Checks that the runtime can run a module with these imports directly. A function without a provider fails the call
/// that uses it; any other import without a provider is refused.
pub(super) fn check_core(outside: &Outside) -> Result<(), WrapError> {
    for import in
        outside.imports.iter().filter(|it| it.module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME)
    {
        let known = PREVIEW_1.iter().find(|(name, _)| *name == import.name);
        if let (Some((_, expected)), Some(found)) = (known, &import.ty)
            && found != expected
        {
            return Err(WrapError::ImportType {
                import: import.name.clone(),
                module: import.module.clone(),
                found: shown(found),
                expected: shown(expected),
            });
        }
    }
    if outside.imports.iter().all(|import| import.ty.is_some()) {
        return Ok(());
    }
    let is_provided = |import: &&Import| match &import.ty {
        Some(ty) => provides(&import.module, &import.name, ty.params()),
        None => false,
    };
    refuse_unknown(outside.imports.iter().filter(|import| !is_provided(import)).collect())
}

/// Returns true if the runtime provides a function for modules that are called directly.
fn provides(module: &str, name: &str, params: &[ValType]) -> bool {
    match module {
        WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME => PREVIEW_1.iter().any(|(known, _)| known == name),
        "env" => env_function(name) == Some(params),
        _ => false,
    }
}

/// Function that a core module imports and nothing provides: its origin, and advice. Of several, the smallest has the
/// most specific origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownFunction {
    /// Position of the origin in the list.
    rank: usize,
    /// Origin of the import.
    pub what: &'static str,
    /// Advice for building the module.
    pub fix: &'static str,
}

impl UnknownFunction {
    /// Function of WASI preview 1 in a module without memory.
    pub const WITHOUT_MEMORY: Self = Self {
        rank: 0,
        what: "WASI preview 1 passes values through memory, and the module exports none as `memory`",
        fix: "export its memory as `memory`",
    };

    /// Classifies an import by its two names and its core type.
    #[must_use]
    pub fn of(module: &str, name: &str, ty: &FuncType) -> Self {
        let (module, name) = (module.to_owned(), name.to_owned());
        let import = Import { module, name, ty: Some(ty.clone()), is_shared: false };
        let is_it = |origin: &&Origin| (origin.tells)(&import);
        // The last origin matches every import.
        let (what, fix) = ORIGINS.iter().find(is_it).map_or(("", ""), |it| (it.what, it.fix));
        let rank = ORIGINS.iter().position(|origin| origin.what == what).unwrap_or(ORIGINS.len());
        Self { rank, what, fix }
    }
}

/// Checks that every import has a provider.
pub(super) fn check(outside: &Outside, resolve: &Resolve, world: WorldId) -> Result<(), WrapError> {
    if outside.has_metadata {
        return Ok(());
    }
    let declared = declared(resolve, world);
    let is_provided = |import: &&Import| match import.module.as_str() {
        WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME => {
            PREVIEW_1.iter().any(|(known, _)| *known == import.name)
        }
        "$root" => true,
        module => {
            module.starts_with('[')
                || module.starts_with("cm32p2")
                || declared.iter().any(|name| name == module)
        }
    };
    refuse_unknown(outside.imports.iter().filter(|import| !is_provided(import)).collect())
}

/// Refuses imports without a provider, if there are any.
fn refuse_unknown(missing: Vec<&Import>) -> Result<(), WrapError> {
    if missing.is_empty() {
        return Ok(());
    }
    let all = missing.len();
    // The origin of one import applies to all imports of that module, and to no other.
    let mut modules = BTreeMap::<&str, Vec<&Import>>::new();
    for import in missing {
        modules.entry(&import.module).or_default().push(import);
    }
    let mut origins = BTreeMap::<usize, Vec<&Import>>::new();
    for imports in modules.into_values() {
        let tells = |origin: &Origin| imports.iter().any(|import| (origin.tells)(import));
        let rank = ORIGINS.iter().position(tells).unwrap_or(ORIGINS.len() - 1);
        origins.entry(rank).or_default().extend(imports);
    }
    let mut room = MOST_LISTED;
    let mut groups = Vec::new();
    for (rank, imports) in origins {
        let listed = imports.iter().map_while(|import| {
            let shown = (shorten(&import.module), shorten(&import.name));
            room = room.checked_sub(shown.0.len() + shown.1.len() + MARKS)?;
            Some(shown)
        });
        let imports: Vec<_> = listed.collect();
        if let (Some(Origin { what, fix, .. }), false) = (ORIGINS.get(rank), imports.is_empty()) {
            groups.push(Group { imports, what, fix });
        }
    }
    let listed: usize = groups.iter().map(|group| group.imports.len()).sum();
    Err(WrapError::UnknownImports(UnknownImports { groups, more: all - listed }))
}

/// Functions of WASI preview 1 with their core types, from the adapter.
static PREVIEW_1: LazyLock<Vec<(String, FuncType)>> = LazyLock::new(|| {
    let adapter = Outside::read(WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    let exports = adapter.map(|outside| outside.exports).unwrap_or_default();
    exports.into_iter().filter_map(|export| Some((export.name, export.ty?))).collect()
});
