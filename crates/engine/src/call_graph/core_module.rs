//! A bare core module: its imports are the host's, and callers can reach every exported function.

use std::sync::Arc;

use wasmparser::ExternalKind;

use super::items::{Traced, Untraceable, module};
use super::{CallGraph, CoreInstance, Function, Lifted};

/// Exports that run before or beside each called function of a core module.
const ALWAYS_CALLED: [&str; 2] = ["_initialize", "cabi_realloc"];

/// Builds the graph of a core module.
pub(super) fn graph(bytes: &[u8]) -> Traced<CallGraph> {
    let module = Arc::new(module(bytes)?);
    let mut graph = CallGraph::default();
    let mut made = CoreInstance::default();
    for (from, name, kind) in &module.imports {
        match kind {
            ExternalKind::Func => {
                let import = graph.import(from, name);
                made.functions.push(graph.lowered(import, None));
            }
            // An imported or exported table may hold any function.
            ExternalKind::Table => return Err(Untraceable),
            _ => {}
        }
    }
    let instance = graph.add(Arc::clone(&module), made);
    let exported = |name: &str| match module.exports.get(name) {
        Some((ExternalKind::Func | ExternalKind::FuncExact, index)) => Some(*index),
        _ => None,
    };
    let beside: Vec<_> = ALWAYS_CALLED.iter().filter_map(|name| exported(name)).collect();
    for name in module.exports.keys() {
        let Some(index) = exported(name) else { continue };
        let post = exported(&format!("cabi_post_{name}"));
        let called = [index].into_iter().chain(post).chain(beside.iter().copied());
        let functions = called.filter_map(|index| graph.function(instance, index)).collect();
        graph.lifts.push(Lifted { functions });
        let lifted = Function::Lifted(graph.lifts.len() - 1);
        graph.exports.insert((None, name.clone()), lifted);
    }
    graph.fill();
    Ok(graph)
}
