//! Imports and exports of a core module, and the module with renamed exports.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
use wasm_encoder::{ExportKind, ExportSection, Module as Encoder, RawSection};
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, Parser, Payload, TypeRef, ValType, Validator,
    WasmFeatures,
};

use super::WrapError;

/// Exported item.
pub(super) struct Export {
    pub(super) name: String,
    pub(super) kind: ExternalKind,
    index: u32,
    /// Type of a function; `None` for other items.
    pub(super) ty: Option<FuncType>,
}

/// Imported item, with its two names.
pub(super) struct Import {
    pub(super) module: String,
    pub(super) name: String,
    /// Type of a function; `None` for other items.
    pub(super) ty: Option<FuncType>,
    /// True for a memory shared by threads.
    pub(super) is_shared: bool,
}

/// Imports, exports and other visible facts of a module.
pub(super) struct Outside {
    pub(super) exports: Vec<Export>,
    pub(super) imports: Vec<Import>,
    /// True if it carries WIT of its own, from a bindings generator.
    pub(super) has_metadata: bool,
    /// True if a memory of its own has 64-bit addresses.
    pub(super) has_wide_memory: bool,
}

/// Core type in messages: `(i32, i64) -> i32`.
pub(super) struct CoreSignature<'a>(pub(super) &'a [ValType], pub(super) &'a [ValType]);

impl fmt::Display for CoreSignature<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValType]| {
            types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        write!(f, "({})", list(self.0))?;
        match self.1 {
            [] => Ok(()),
            [one] => write!(f, " -> {one}"),
            many => write!(f, " -> ({})", list(many)),
        }
    }
}

/// Type of a function in messages: `(i32, i64) -> i32`.
pub(super) fn shown(ty: &FuncType) -> String {
    CoreSignature(ty.params(), ty.results()).to_string()
}

impl Outside {
    /// Validates the module and reads its imports and exports.
    pub(super) fn read(module: &[u8]) -> Result<Self, WrapError> {
        Validator::new_with_features(WasmFeatures::all())
            .validate_all(module)
            .map_err(|error| invalid(&error))?;
        read(module).map_err(|error| invalid(&error))
    }

    pub(super) fn functions(&self) -> impl Iterator<Item = (&Export, &FuncType)> {
        self.exports.iter().filter_map(|export| Some((export, export.ty.as_ref()?)))
    }

    pub(super) fn function(&self, name: &str) -> Option<(&Export, &FuncType)> {
        self.functions().find(|(export, _)| export.name == name)
    }

    pub(super) fn has_memory(&self) -> bool {
        let names = ["memory", "cm32p2_memory"];
        let is = |export: &Export| {
            export.kind == ExternalKind::Memory && names.contains(&export.name.as_str())
        };
        self.exports.iter().any(is)
    }

    pub(super) fn has_realloc(&self) -> bool {
        self.realloc().is_some()
    }

    /// Export that allocates for arguments.
    pub(super) fn realloc(&self) -> Option<&'static str> {
        let names = ["cabi_realloc", "cm32p2_realloc", "canonical_abi_realloc"];
        names.into_iter().find(|name| self.function(name).is_some())
    }

    /// Returns true if the module imports WASI preview 1.
    pub(super) fn is_preview1(&self) -> bool {
        self.imports.iter().any(|import| import.module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME)
    }

    /// Returns true if the module is a command, with an entry point.
    pub(super) fn is_command(&self) -> bool {
        self.is_preview1() && self.function("_start").is_some()
    }
}

fn invalid(error: &wasmparser::BinaryReaderError) -> WrapError {
    WrapError::Invalid { message: error.message().to_owned(), offset: error.offset() as u64 }
}

fn read(module: &[u8]) -> wasmparser::Result<Outside> {
    let mut types: Vec<Option<FuncType>> = Vec::new();
    let mut functions: Vec<u32> = Vec::new();
    let mut outside = Outside {
        exports: Vec::new(),
        imports: Vec::new(),
        has_metadata: false,
        has_wide_memory: false,
    };
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    types.extend(group?.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Some(ty),
                        _ => None,
                    }));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let mut of = None;
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ty {
                        functions.push(ty);
                        of = types.get(ty as usize).cloned().flatten();
                    }
                    let (module, name) = (import.module.to_owned(), import.name.to_owned());
                    let is_shared = matches!(import.ty, TypeRef::Memory(ty) if ty.shared);
                    outside.imports.push(Import { module, name, ty: of, is_shared });
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    functions.push(ty?);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    outside.has_wide_memory |= memory?.memory64;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let wasmparser::Export { name, kind, index } = export?;
                    let function = if kind == ExternalKind::Func {
                        functions.get(index as usize)
                    } else {
                        None
                    };
                    let ty = function.and_then(|ty| types.get(*ty as usize).cloned().flatten());
                    outside.exports.push(Export { name: name.to_owned(), kind, index, ty });
                }
            }
            Payload::CustomSection(section) => {
                outside.has_metadata |= section.name().starts_with("component-type");
            }
            _ => {}
        }
    }
    Ok(outside)
}

/// Renames exported functions by `(old, new)` pairs. A function may get several new names; the old name is removed.
pub(super) fn renamed<'a>(
    module: &'a [u8],
    outside: &Outside,
    names: &[(String, String)],
) -> Result<Cow<'a, [u8]>, WrapError> {
    if names.iter().all(|(old, new)| old == new) {
        return Ok(Cow::Borrowed(module));
    }
    let mut section = ExportSection::new();
    let gone: HashSet<&str> = names.iter().flat_map(|(old, new)| [&**old, &**new]).collect();
    for export in &outside.exports {
        if !gone.contains(&*export.name) {
            section.export(&export.name, kind(export.kind), export.index);
        }
    }
    for (old, new) in names {
        if let Some((export, _)) = outside.function(old) {
            section.export(new, ExportKind::Func, export.index);
        }
    }
    let mut encoder = Encoder::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|error| invalid(&error))?;
        match payload.as_section() {
            Some((id, _)) if id == wasm_encoder::SectionId::Export as u8 => {
                encoder.section(&section);
            }
            Some((id, range)) => {
                let data = module.get(range).unwrap_or_default();
                encoder.section(&RawSection { id, data });
            }
            None => {}
        }
    }
    Ok(Cow::Owned(encoder.finish()))
}

fn kind(kind: ExternalKind) -> ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
    }
}
