//! Definitions of a component in order, including those of nested components and modules.

use std::sync::Arc;

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentExternalKind, ComponentInstance,
    ComponentType, Encoding, Instance, Parser, Payload,
};

use super::module::{Module, Types};

/// Error for code that cannot be followed.
pub(super) struct Untraceable;

pub(super) type Traced<T> = Result<T, Untraceable>;

impl From<wasmparser::BinaryReaderError> for Untraceable {
    fn from(_: wasmparser::BinaryReaderError) -> Self {
        Self
    }
}

/// One definition of a component.
pub(super) enum Item<'a> {
    Import(&'a str, ComponentExternalKind),
    Module(Arc<Module>),
    Component(Arc<Vec<Item<'a>>>),
    CoreInstance(Instance<'a>),
    Instance(ComponentInstance<'a>),
    Alias(ComponentAlias<'a>),
    Canonical(CanonicalFunction),
    Export(ComponentExport<'a>),
    Start(u32),
    Destructor(u32),
}

/// Reads the definitions of a component and of all nested ones.
pub(super) fn read(bytes: &[u8]) -> Traced<Vec<Item<'_>>> {
    enum Open<'a> {
        Component(Vec<Item<'a>>),
        Module(Box<Module>),
    }
    let mut types = Types::default();
    let mut open: Vec<Open<'_>> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if let Payload::Version { encoding, .. } = payload {
            open.push(match encoding {
                Encoding::Component => Open::Component(Vec::new()),
                Encoding::Module => Open::Module(Box::default()),
            });
            continue;
        }
        if let Payload::End(_) = payload {
            let ended = match open.pop().ok_or(Untraceable)? {
                Open::Component(items) if open.is_empty() => return Ok(items),
                Open::Component(items) => Item::Component(Arc::new(items)),
                Open::Module(module) => Item::Module(Arc::from(module)),
            };
            match open.last_mut() {
                Some(Open::Component(items)) => items.push(ended),
                _ => return Err(Untraceable),
            }
            continue;
        }
        match open.last_mut().ok_or(Untraceable)? {
            Open::Module(module) => module.see(payload, &mut types)?,
            Open::Component(items) => definitions(payload, items)?,
        }
    }
    Err(Untraceable)
}

/// Reads a bare core module.
pub(super) fn module(bytes: &[u8]) -> Traced<Module> {
    let (mut types, mut module) = (Types::default(), Module::default());
    for payload in Parser::new(0).parse_all(bytes) {
        module.see(payload?, &mut types)?;
    }
    Ok(module)
}

fn definitions<'a>(payload: Payload<'a>, items: &mut Vec<Item<'a>>) -> Traced<()> {
    match payload {
        Payload::ComponentImportSection(section) => {
            for import in section {
                let import = import?;
                items.push(Item::Import(import.name.name, import.ty.kind()));
            }
        }
        Payload::InstanceSection(section) => {
            for instance in section {
                items.push(Item::CoreInstance(instance?));
            }
        }
        Payload::ComponentInstanceSection(section) => {
            for instance in section {
                items.push(Item::Instance(instance?));
            }
        }
        Payload::ComponentAliasSection(section) => {
            for alias in section {
                items.push(Item::Alias(alias?));
            }
        }
        Payload::ComponentCanonicalSection(section) => {
            for function in section {
                items.push(Item::Canonical(function?));
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section {
                items.push(Item::Export(export?));
            }
        }
        Payload::ComponentTypeSection(section) => {
            for ty in section {
                if let ComponentType::Resource { dtor: Some(destructor), .. } = ty? {
                    items.push(Item::Destructor(destructor));
                }
            }
        }
        Payload::ComponentStartSection { start, .. } => items.push(Item::Start(start.func_index)),
        _ => {}
    }
    Ok(())
}
