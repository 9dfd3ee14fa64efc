//! Imports of a component or core module that are reachable from each of its exports.
//!
//! Every possible call counts: direct calls, the functions of a matching type in the table of an indirect call (only
//! the one in the slot if table and slot are constant), and all referenced functions for a call by reference.

mod component;
mod core_module;
mod items;
mod module;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use module::{Module, Step, Type};
use wasmparser::Parser;

/// A function of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    /// A function of the host.
    Import(usize),
    /// A function of the component itself.
    Lifted(usize),
}

/// A core function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CoreFunction {
    /// A function of an instance: the instance, and the function's index there.
    Own(usize, u32),
    /// A lowered component function, as core code calls it.
    Lowered(usize),
    /// A built-in of the component model.
    Builtin,
}

/// Core functions that run when a component function is called.
struct Lifted {
    functions: Vec<CoreFunction>,
}

struct Lowered {
    target: Function,
    realloc: Option<CoreFunction>,
}

/// Imports of an instance, and its tables.
#[derive(Default)]
struct CoreInstance {
    functions: Vec<CoreFunction>,
    tables: Vec<usize>,
}

#[derive(Default)]
struct Table {
    /// Functions in known slots.
    slots: HashMap<u32, Vec<(CoreFunction, Type)>>,
    /// Functions in unknown slots.
    others: Vec<(CoreFunction, Type)>,
    /// True if any referenced function may be put into it.
    is_open: bool,
}

/// The calls that the functions of a component may make.
#[derive(Default)]
pub struct CallGraph {
    instances: Vec<(Arc<Module>, CoreInstance)>,
    tables: Vec<Table>,
    lifts: Vec<Lifted>,
    lowers: Vec<Lowered>,
    /// Interface, empty for none, and function.
    imports: Vec<(String, String)>,
    /// Functions that run regardless of the export that is called.
    starts: Vec<CoreFunction>,
    /// Functions with a reference to them.
    taken: Vec<(CoreFunction, Type)>,
    exports: HashMap<(Option<String>, String), Function>,
}

/// Imports of a component that one of its exports may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachableImports(Option<BTreeSet<(String, String)>>);

impl ReachableImports {
    /// All imports, for code that cannot be followed.
    pub const ALL: Self = Self(None);

    /// The given imports: interface, empty for none, and function.
    pub(crate) fn of(names: BTreeSet<(String, String)>) -> Self {
        Self(Some(names))
    }

    /// The imports, or `None` for all.
    pub(crate) fn into_names(self) -> Option<BTreeSet<(String, String)>> {
        self.0
    }

    /// Returns true if a function may be called; `interface` as imported, empty for a top-level function.
    #[must_use]
    pub fn has(&self, interface: &str, function: &str) -> bool {
        let pair = || (interface.to_owned(), function.to_owned());
        self.0.as_ref().is_none_or(|reachable| reachable.contains(&pair()))
    }

    /// Returns true if any function of an interface may be called.
    #[must_use]
    pub fn has_any(&self, interface: &str) -> bool {
        let is =
            |(of, name): &(String, String)| of == interface || (of.is_empty() && name == interface);
        self.0.as_ref().is_none_or(|reachable| reachable.iter().any(is))
    }
}

impl CallGraph {
    /// Builds the graph of a valid component or core module, or `None` if it cannot be followed.
    #[must_use]
    pub fn of(code: &[u8]) -> Option<Self> {
        if Parser::is_core_wasm(code) {
            return core_module::graph(code).ok();
        }
        component::graph(code).ok()
    }

    /// Interface and name of each exported function.
    pub(crate) fn exports(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.exports.keys().map(|(interface, name)| (interface.as_deref(), name.as_str()))
    }

    /// Imports that an exported function may call, top-level or in an interface.
    #[must_use]
    pub fn reachable(&self, interface: Option<&str>, name: &str) -> ReachableImports {
        let mut unbounded = usize::MAX;
        self.reachable_within(interface, name, &mut unbounded).unwrap_or(ReachableImports::ALL)
    }

    /// Like [`CallGraph::reachable`], within a number of functions that are followed; `None` beyond it.
    pub(crate) fn reachable_within(
        &self,
        interface: Option<&str>,
        name: &str,
        functions: &mut usize,
    ) -> Option<ReachableImports> {
        let place = (interface.map(str::to_owned), name.to_owned());
        let Some(export) = self.exports.get(&place) else { return Some(ReachableImports::ALL) };
        let mut walk = Walk { graph: self, next: self.starts.clone(), ..Walk::new(self) };
        walk.component_function(*export);
        let mut seen = HashSet::new();
        while let Some(function) = walk.next.pop() {
            if seen.insert(function) {
                *functions = functions.checked_sub(1)?;
                walk.core_function(function);
            }
        }
        let named = |import: &usize| self.imports.get(*import).cloned();
        Some(ReachableImports(Some(walk.found.iter().filter_map(named).collect())))
    }

    /// Looks up a function of an instance by its index.
    fn function(&self, instance: usize, index: u32) -> Option<CoreFunction> {
        let (module, made) = self.instances.get(instance)?;
        if (index as usize) < module.imported_functions {
            return made.functions.get(index as usize).copied();
        }
        Some(CoreFunction::Own(instance, index))
    }

    /// Fills the tables from the instances' segments.
    fn fill(&mut self) {
        for instance in 0..self.instances.len() {
            let (module, made) = &self.instances[instance];
            let (module, tables) = (Arc::clone(module), made.tables.clone());
            let typed = |index: u32| {
                let ty = module.functions.get(index as usize).copied().flatten();
                self.function(instance, index).map(|function| (function, ty))
            };
            let taken = module.taken.iter().filter_map(|index| typed(*index));
            let mut all_taken: Vec<_> = taken.collect();
            let mut into: Vec<(usize, Option<u32>, (CoreFunction, Type))> = Vec::new();
            for (at, segment) in module.segments.iter().enumerate() {
                let functions = segment.functions.iter().enumerate();
                let known = functions.filter_map(|(nth, index)| Some((nth, typed((*index)?)?)));
                for (nth, function) in known {
                    all_taken.push(function);
                    if let Some((table, first)) = segment.active {
                        let nth = u32::try_from(nth).ok();
                        let slot = first.zip(nth).and_then(|(first, nth)| first.checked_add(nth));
                        into.extend(
                            tables.get(table as usize).map(|table| (*table, slot, function)),
                        );
                    }
                    let filled =
                        module.filled.iter().filter(|(_, element)| *element as usize == at);
                    let filled = filled.filter_map(|(table, _)| tables.get(*table as usize));
                    into.extend(filled.map(|table| (*table, None, function)));
                }
            }
            for (table, slot, function) in into {
                let Some(table) = self.tables.get_mut(table) else { continue };
                match slot {
                    Some(slot) => table.slots.entry(slot).or_default().push(function),
                    None => table.others.push(function),
                }
            }
            for table in &module.changed {
                let changed =
                    tables.get(*table as usize).and_then(|table| self.tables.get_mut(*table));
                changed.into_iter().for_each(|table| table.is_open = true);
            }
            self.taken.append(&mut all_taken);
        }
    }
}

/// State of a walk through a graph.
struct Walk<'a> {
    graph: &'a CallGraph,
    next: Vec<CoreFunction>,
    found: HashSet<usize>,
    /// Tables searched so far, by type; `None` stands for all references.
    searched: HashSet<(Option<usize>, Type)>,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a CallGraph) -> Self {
        Self { graph, next: Vec::new(), found: HashSet::new(), searched: HashSet::new() }
    }

    fn component_function(&mut self, function: Function) {
        match function {
            Function::Import(import) => {
                self.found.insert(import);
            }
            Function::Lifted(lifted) => {
                let lifted = self.graph.lifts.get(lifted);
                self.next.extend(lifted.iter().flat_map(|lifted| &lifted.functions));
            }
        }
    }

    fn core_function(&mut self, function: CoreFunction) {
        let graph = self.graph;
        match function {
            CoreFunction::Builtin => {}
            CoreFunction::Lowered(lowered) => {
                let Some(lowered) = graph.lowers.get(lowered) else { return };
                self.next.extend(lowered.realloc);
                self.component_function(lowered.target);
            }
            CoreFunction::Own(instance, index) => {
                let Some((module, made)) = graph.instances.get(instance) else { return };
                let own = (index as usize).checked_sub(module.imported_functions);
                for step in own.and_then(|own| module.bodies.get(own)).into_iter().flatten() {
                    match *step {
                        Step::Call(index) => self.next.extend(graph.function(instance, index)),
                        Step::Table { table, ty, slot } => {
                            let table = made.tables.get(table as usize).copied();
                            self.search(table, ty, slot);
                        }
                        Step::Reference(ty) => self.search(None, ty, None),
                    }
                }
            }
        }
    }

    fn search(&mut self, table: Option<usize>, ty: Type, slot: Option<u32>) {
        let found = table.and_then(|table| self.graph.tables.get(table));
        if let (Some(Table { slots, others, is_open: false }), Some(slot)) = (found, slot)
            && others.is_empty()
        {
            let there = slots.get(&slot).into_iter().flatten();
            self.next.extend(there.map(|(function, _)| *function));
            return;
        }
        if !self.searched.insert((table, ty)) {
            return;
        }
        let is_fit =
            |(_, other): &&(CoreFunction, Type)| ty.is_none() || other.is_none() || *other == ty;
        match found {
            Some(Table { slots, others, is_open: false }) => {
                let there = slots.values().flatten().chain(others).filter(is_fit);
                self.next.extend(there.map(|(function, _)| *function));
            }
            _ => {
                let there = self.graph.taken.iter().filter(is_fit);
                self.next.extend(there.map(|(function, _)| *function));
            }
        }
    }
}

#[cfg(test)]
mod tests;
