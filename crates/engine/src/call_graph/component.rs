//! Instances of a component, with the target of each core function even if its module was passed as an argument.
//!
//! Definitions are followed in order, like in instantiation. If one cannot be followed, there is no graph.

use std::collections::HashMap;
use std::sync::Arc;

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExport, ComponentExternalKind,
    ComponentInstance, ComponentOuterAliasKind, ExternalKind, Instance,
};

use super::items::{Item, Traced, Untraceable, read};
use super::module::Module;
use super::{CallGraph, CoreFunction, CoreInstance, Function, Lifted, Lowered, Table};

/// Maximum definitions to follow; those of a component count once per instantiation.
const MAX_STEPS: usize = 2_000_000;

/// A component and its enclosing scopes.
#[derive(Clone)]
struct Closure<'a> {
    items: Arc<Vec<Item<'a>>>,
    outer: Option<Arc<Outer<'a>>>,
}

/// Items of an enclosing component that an inner one may refer to.
struct Outer<'a> {
    modules: Vec<Arc<Module>>,
    components: Vec<Closure<'a>>,
    outer: Option<Arc<Self>>,
}

#[derive(Clone)]
enum Definition<'a> {
    Function(Function),
    Instance(Arc<Exports<'a>>),
    Module(Arc<Module>),
    Component(Closure<'a>),
    /// A type or a value.
    Other,
}

/// Exports of an instance.
enum Exports<'a> {
    /// An instance imported by the root component, which has every requested export.
    Imported(&'a str),
    Known(HashMap<&'a str, Definition<'a>>),
}

/// Exports of a core instance.
#[derive(Clone)]
enum CoreExports<'a> {
    Module(usize),
    Known(Arc<HashMap<&'a str, CoreItem>>),
}

#[derive(Clone, Copy)]
enum CoreItem {
    Function(CoreFunction),
    Table(usize),
    Other,
}

/// The index spaces of one component instance.
#[derive(Default)]
struct Scope<'a> {
    modules: Vec<Arc<Module>>,
    components: Vec<Closure<'a>>,
    core_functions: Vec<CoreFunction>,
    core_tables: Vec<usize>,
    core_instances: Vec<CoreExports<'a>>,
    functions: Vec<Function>,
    instances: Vec<Arc<Exports<'a>>>,
    outer: Option<Arc<Outer<'a>>>,
}

fn at<T: Clone>(space: &[T], index: u32) -> Traced<T> {
    space.get(index as usize).cloned().ok_or(Untraceable)
}

/// Builds the graph of a component.
pub(super) fn graph(bytes: &[u8]) -> Traced<CallGraph> {
    let items = read(bytes)?;
    let mut builder = Builder { graph: CallGraph::default(), steps: 0 };
    let root = Closure { items: Arc::new(items), outer: None };
    let exports = builder.component(&root, None)?;
    for (name, definition) in exports {
        match definition {
            Definition::Function(function) => {
                builder.graph.exports.insert((None, name.to_owned()), function);
            }
            Definition::Instance(instance) => {
                let Exports::Known(functions) = &*instance else { continue };
                for (function, definition) in functions {
                    if let Definition::Function(found) = definition {
                        let place = (Some(name.to_owned()), (*function).to_owned());
                        builder.graph.exports.insert(place, *found);
                    }
                }
            }
            _ => {}
        }
    }
    builder.graph.fill();
    Ok(builder.graph)
}

struct Builder {
    graph: CallGraph,
    steps: usize,
}

type Arguments<'a> = HashMap<&'a str, Definition<'a>>;

impl Builder {
    /// Instantiates a component. The root has no arguments, and its imports are the host's.
    fn component<'a>(
        &mut self,
        component: &Closure<'a>,
        arguments: Option<&Arguments<'a>>,
    ) -> Traced<HashMap<&'a str, Definition<'a>>> {
        let mut scope = Scope { outer: component.outer.clone(), ..Scope::default() };
        let mut exports = HashMap::new();
        // A second handle to the items keeps the borrow of the closure short.
        let items = Arc::clone(&component.items);
        for item in items.iter() {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Untraceable);
            }
            match item {
                Item::Import(name, kind) => {
                    let given = match arguments {
                        Some(given) => given.get(name).cloned().unwrap_or(Definition::Other),
                        None => self.of_host(name, *kind)?,
                    };
                    scope.add(*kind, given)?;
                }
                Item::Module(module) => scope.modules.push(Arc::clone(module)),
                Item::Component(items) => {
                    let outer = Some(Arc::new(Outer {
                        modules: scope.modules.clone(),
                        components: scope.components.clone(),
                        outer: scope.outer.clone(),
                    }));
                    scope.components.push(Closure { items: Arc::clone(items), outer });
                }
                Item::CoreInstance(instance) => {
                    let exports = self.core_instance(&scope, instance)?;
                    scope.core_instances.push(exports);
                }
                Item::Instance(instance) => {
                    let exports = self.instance(&scope, instance)?;
                    scope.instances.push(Arc::new(Exports::Known(exports)));
                }
                Item::Alias(alias) => self.alias(&mut scope, alias)?,
                Item::Canonical(function) => self.canonical(&mut scope, function)?,
                Item::Export(export) => {
                    let definition = scope.find(export.kind, export.index)?;
                    exports.insert(export.name.name, definition.clone());
                    scope.add(export.kind, definition)?;
                }
                Item::Start(function) => {
                    let function = at(&scope.functions, *function)?;
                    let lowered = self.graph.lowered(function, None);
                    self.graph.starts.push(lowered);
                }
                Item::Destructor(function) => {
                    let function = at(&scope.core_functions, *function)?;
                    self.graph.starts.push(function);
                }
            }
        }
        Ok(exports)
    }

    fn of_host<'a>(
        &mut self,
        name: &'a str,
        kind: ComponentExternalKind,
    ) -> Traced<Definition<'a>> {
        Ok(match kind {
            ComponentExternalKind::Func => Definition::Function(self.graph.import("", name)),
            ComponentExternalKind::Instance => {
                Definition::Instance(Arc::new(Exports::Imported(name)))
            }
            ComponentExternalKind::Module | ComponentExternalKind::Component => {
                return Err(Untraceable);
            }
            ComponentExternalKind::Type | ComponentExternalKind::Value => Definition::Other,
        })
    }

    fn instance<'a>(
        &mut self,
        scope: &Scope<'a>,
        instance: &ComponentInstance<'a>,
    ) -> Traced<HashMap<&'a str, Definition<'a>>> {
        match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                let mut arguments = HashMap::new();
                for argument in args {
                    arguments.insert(argument.name, scope.find(argument.kind, argument.index)?);
                }
                let component = at(&scope.components, *component_index)?;
                self.component(&component, Some(&arguments))
            }
            ComponentInstance::FromExports(exports) => {
                let one = |export: &ComponentExport<'a>| {
                    Ok((export.name.name, scope.find(export.kind, export.index)?))
                };
                exports.iter().map(one).collect()
            }
        }
    }

    fn core_instance<'a>(
        &mut self,
        scope: &Scope<'a>,
        instance: &Instance<'a>,
    ) -> Traced<CoreExports<'a>> {
        match instance {
            Instance::FromExports(exports) => {
                let mut known = HashMap::new();
                for export in exports {
                    let item = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => {
                            CoreItem::Function(at(&scope.core_functions, export.index)?)
                        }
                        ExternalKind::Table => {
                            CoreItem::Table(at(&scope.core_tables, export.index)?)
                        }
                        _ => CoreItem::Other,
                    };
                    known.insert(export.name, item);
                }
                Ok(CoreExports::Known(Arc::new(known)))
            }
            Instance::Instantiate { module_index, args } => {
                let module = at(&scope.modules, *module_index)?;
                let mut made = CoreInstance::default();
                for (from, name, kind) in &module.imports {
                    if !matches!(kind, ExternalKind::Func | ExternalKind::Table) {
                        continue;
                    }
                    self.steps += 1;
                    let argument =
                        args.iter().find(|argument| argument.name == from).ok_or(Untraceable)?;
                    let exports = at(&scope.core_instances, argument.index)?;
                    match self.core_export(&exports, name)? {
                        CoreItem::Function(function) => made.functions.push(function),
                        CoreItem::Table(table) => made.tables.push(table),
                        CoreItem::Other => return Err(Untraceable),
                    }
                }
                Ok(CoreExports::Module(self.graph.add(module, made)))
            }
        }
    }

    fn core_export(&self, exports: &CoreExports<'_>, name: &str) -> Traced<CoreItem> {
        let instance = match exports {
            CoreExports::Known(known) => return known.get(name).copied().ok_or(Untraceable),
            CoreExports::Module(instance) => *instance,
        };
        let (module, made) = self.graph.instances.get(instance).ok_or(Untraceable)?;
        let (kind, index) = *module.exports.get(name).ok_or(Untraceable)?;
        Ok(match kind {
            ExternalKind::Func | ExternalKind::FuncExact => {
                CoreItem::Function(self.graph.function(instance, index).ok_or(Untraceable)?)
            }
            ExternalKind::Table => CoreItem::Table(at(&made.tables, index)?),
            _ => CoreItem::Other,
        })
    }

    fn alias<'a>(&mut self, scope: &mut Scope<'a>, alias: &ComponentAlias<'a>) -> Traced<()> {
        match alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                let definition = match &*at(&scope.instances, *instance_index)? {
                    Exports::Known(known) => known.get(name).cloned().unwrap_or(Definition::Other),
                    Exports::Imported(interface) => match kind {
                        ComponentExternalKind::Func => {
                            Definition::Function(self.graph.import(interface, name))
                        }
                        _ => self.of_host(name, *kind)?,
                    },
                };
                scope.add(*kind, definition)?;
            }
            ComponentAlias::CoreInstanceExport { instance_index, name, .. } => {
                let exports = at(&scope.core_instances, *instance_index)?;
                match self.core_export(&exports, name)? {
                    CoreItem::Function(function) => scope.core_functions.push(function),
                    CoreItem::Table(table) => scope.core_tables.push(table),
                    CoreItem::Other => {}
                }
            }
            ComponentAlias::Outer { kind, count, index } => {
                if matches!(kind, ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type)
                {
                    return Ok(());
                }
                let (module, component) = scope.outer(*count, *index);
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        scope.modules.push(module.ok_or(Untraceable)?)
                    }
                    _ => scope.components.push(component.ok_or(Untraceable)?),
                }
            }
        }
        Ok(())
    }

    fn canonical(&mut self, scope: &mut Scope<'_>, function: &CanonicalFunction) -> Traced<()> {
        let core = |index: u32| at(&scope.core_functions, index);
        match function {
            CanonicalFunction::Lift { core_func_index, options, .. } => {
                let mut functions = vec![core(*core_func_index)?];
                for option in options {
                    match option {
                        CanonicalOption::Realloc(index)
                        | CanonicalOption::PostReturn(index)
                        | CanonicalOption::Callback(index) => functions.push(core(*index)?),
                        _ => {}
                    }
                }
                self.graph.lifts.push(Lifted { functions });
                scope.functions.push(Function::Lifted(self.graph.lifts.len() - 1));
            }
            CanonicalFunction::Lower { func_index, options } => {
                let mut realloc = None;
                for option in options {
                    if let CanonicalOption::Realloc(index) = option {
                        realloc = Some(core(*index)?);
                    }
                }
                let target = at(&scope.functions, *func_index)?;
                let lowered = self.graph.lowered(target, realloc);
                scope.core_functions.push(lowered);
            }
            // The start functions of threads are not followed.
            CanonicalFunction::ThreadSpawnRef { .. }
            | CanonicalFunction::ThreadSpawnIndirect { .. } => return Err(Untraceable),
            _ => scope.core_functions.push(CoreFunction::Builtin),
        }
        Ok(())
    }
}

impl<'a> Scope<'a> {
    fn add(&mut self, kind: ComponentExternalKind, definition: Definition<'a>) -> Traced<()> {
        match (kind, definition) {
            (ComponentExternalKind::Func, Definition::Function(function)) => {
                self.functions.push(function);
            }
            (ComponentExternalKind::Instance, Definition::Instance(instance)) => {
                self.instances.push(instance);
            }
            (ComponentExternalKind::Module, Definition::Module(module)) => {
                self.modules.push(module);
            }
            (ComponentExternalKind::Component, Definition::Component(component)) => {
                self.components.push(component);
            }
            (ComponentExternalKind::Type | ComponentExternalKind::Value, _) => {}
            _ => return Err(Untraceable),
        }
        Ok(())
    }

    fn find(&self, kind: ComponentExternalKind, index: u32) -> Traced<Definition<'a>> {
        Ok(match kind {
            ComponentExternalKind::Func => Definition::Function(at(&self.functions, index)?),
            ComponentExternalKind::Instance => Definition::Instance(at(&self.instances, index)?),
            ComponentExternalKind::Module => Definition::Module(at(&self.modules, index)?),
            ComponentExternalKind::Component => Definition::Component(at(&self.components, index)?),
            ComponentExternalKind::Type | ComponentExternalKind::Value => Definition::Other,
        })
    }

    /// The module and the component of an index, `count` components further out.
    fn outer(&self, count: u32, index: u32) -> (Option<Arc<Module>>, Option<Closure<'a>>) {
        let (modules, components) = match count.checked_sub(1) {
            None => (&self.modules, &self.components),
            Some(further) => {
                let mut outer = self.outer.as_ref();
                for _ in 0..further {
                    outer = outer.and_then(|outer| outer.outer.as_ref());
                }
                let Some(outer) = outer else { return (None, None) };
                (&outer.modules, &outer.components)
            }
        };
        let index = index as usize;
        (modules.get(index).cloned(), components.get(index).cloned())
    }
}

impl CallGraph {
    pub(super) fn import(&mut self, interface: &str, name: &str) -> Function {
        self.imports.push((interface.to_owned(), name.to_owned()));
        Function::Import(self.imports.len() - 1)
    }

    pub(super) fn lowered(
        &mut self,
        target: Function,
        realloc: Option<CoreFunction>,
    ) -> CoreFunction {
        self.lowers.push(Lowered { target, realloc });
        CoreFunction::Lowered(self.lowers.len() - 1)
    }

    /// Adds an instance of a module; `made` holds its imports.
    pub(super) fn add(&mut self, module: Arc<Module>, mut made: CoreInstance) -> usize {
        for _ in 0..module.own_tables {
            made.tables.push(self.tables.len());
            self.tables.push(Table::default());
        }
        let start = module.start;
        self.instances.push((module, made));
        let instance = self.instances.len() - 1;
        self.starts.extend(start.and_then(|start| self.function(instance, start)));
        instance
    }
}
