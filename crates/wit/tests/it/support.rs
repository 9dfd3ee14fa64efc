//! Echo guests for any type, made without a guest toolchain.

use std::sync::OnceLock;

use crisol_core::{Field, Signature, Type};
use crisol_wit::{Lifted, Mapping, Outcome, Packed};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Func, Instance, Linker, Val};
use wasmtime::{Config, Engine, Store};

/// A list is two numbers for any item type, so this one function echoes every list.
const ECHO: &str = r#"(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 64))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $top) (i32.sub (local.get 2) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get 2))))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $top) (i32.shl (memory.size) (i32.const 16))))
      (drop (memory.grow (i32.add (i32.const 1)
        (i32.shr_u (i32.sub (global.get $top) (i32.shl (memory.size) (i32.const 16)))
                   (i32.const 16))))))
    (local.get $at))
  (func (export "echo") (param i32 i32) (result i32)
    (i32.store (i32.const 16) (local.get 0))
    (i32.store (i32.const 20) (local.get 1))
    (i32.const 16))
  (func (export "cabi_post_echo") (param i32) (global.set $top (i32.const 64))))"#;

/// Shared engine of these tests.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.concurrency_support(false);
        config.wasm_component_model_map(true);
        config.wasm_component_model_fixed_length_lists(true);
        config.cranelift_opt_level(wasmtime::OptLevel::None);
        Engine::new(&config).unwrap()
    })
}

/// Mapping of `func(x: T) -> T`.
pub(crate) fn mapping(ty: &Type) -> Mapping {
    let params = vec![Field { name: "x".to_owned(), ty: ty.clone() }];
    Mapping::from_signature(Signature { params, result: Some(ty.clone()) }).unwrap()
}

/// Single argument that was lowered.
pub(crate) fn only(mapping: &Mapping, args: &Packed) -> Val {
    let [only] = <[Val; 1]>::try_from(mapping.unpack_args(args)).unwrap();
    only
}

/// Result with this value. `ty` must not be a `result`.
pub(crate) fn lifted(mapping: &Mapping, value: Val) -> Lifted {
    match mapping.lift(mapping.pack_result(Some(value))) {
        Outcome::Value(lifted) => lifted,
        Outcome::Error(lifted) => panic!("an error: {lifted:?}"),
    }
}

/// Instance with the function `echo: func(x: list<T>) -> list<T>`.
pub(crate) struct Echo {
    pub(crate) store: Store<()>,
    pub(crate) instance: Instance,
    pub(crate) mapping: Mapping,
    func: Func,
}

impl Echo {
    pub(crate) fn of(item: &Type) -> Self {
        let list = Type::List(Box::new(item.clone()));
        let params = vec![Field { name: "x".to_owned(), ty: list.clone() }];
        Self::wit(&Signature { params, result: Some(list) }.to_wit("echo"))
    }

    pub(crate) fn wit(wit: &str) -> Self {
        let module = crisol_wit::parse_text(ECHO, None).unwrap();
        let wrapped =
            crisol_wit::wrap(&module, Some(wit), "echo").unwrap_or_else(|e| panic!("{e}\n{wit}"));
        let component = Component::new(engine(), wrapped.component).unwrap();
        #[expect(clippy::disallowed_methods, reason = "bare wasmtime, without the engine")]
        let mut store = Store::new(engine(), ());
        let instance = Linker::new(engine()).instantiate(&mut store, &component).unwrap();
        let func = instance.get_func(&mut store, "echo").unwrap();
        let mapping = function(&component, "echo").unwrap();
        Self { store, instance, mapping, func }
    }

    pub(crate) fn call(&mut self, args: &Packed) -> Val {
        self.call_vals(&self.mapping.unpack_args(args))
    }

    pub(crate) fn call_vals(&mut self, args: &[Val]) -> Val {
        let mut results = [Val::Bool(false)];
        self.func.call(&mut self.store, args, &mut results).unwrap();
        let [result] = results;
        result
    }
}

/// Mapping of an export, made without an instance.
pub(crate) fn function(
    component: &Component,
    name: &str,
) -> Result<Mapping, crisol_wit::UnsupportedType> {
    match component.get_export(None, name) {
        Some((ComponentItem::ComponentFunc(func), _)) => Mapping::new(&func),
        other => panic!("`{name}` is not a function: {:?}", other.is_some()),
    }
}
