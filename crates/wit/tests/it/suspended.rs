//! Calls that are suspended inside their guests and resume in any order.

use std::task::{Context, Poll, Waker};

use crisol_wit::DirectFunc;
use wasmtime::component::{Component, Linker};
use wasmtime::{Store, StoreContextMut};

use super::direct::WITHIN;
use super::support::function;

/// A hundred thousand calls of three functions, suspended inside the guest and resumed in another order, on one thread:
/// each finds its own plan when it is lifted.
#[test]
fn suspended_calls_do_not_mix_their_results_up() {
    const AT_ONCE: usize = 400;
    const ROUNDS: usize = 250;
    let text = r#"(component
      (import "wait" (func $wait))
      (core func $wait' (canon lower (func $wait)))
      (core module $m
        (import "" "wait" (func $wait))
        (memory (export "memory") 1)
        (data (i32.const 64) "text")
        (global $top (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
          (global.set $top (i32.add (local.get $at) (local.get 3)))
          (local.get $at))
        (func (export "number") (param i32) (result i32) (call $wait) (local.get 0))
        (func (export "text") (param i32 i32) (result i32)
          (call $wait)
          (i32.store (i32.const 16) (local.get 0))
          (i32.store (i32.const 20) (local.get 1))
          (i32.const 16))
        (func (export "both") (param i32) (result i32)
          (call $wait)
          (i64.store (i32.const 16) (i64.extend_i32_u (local.get 0)))
          (i32.store (i32.const 24) (i32.const 64))
          (i32.store (i32.const 28) (i32.const 4))
          (i32.const 16)))
      (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait'))))))
      (func (export "number") (param "x" u32) (result u32) (canon lift (core func $i "number")))
      (func (export "text") (param "x" string) (result string)
        (canon lift (core func $i "text") (memory $i "memory") (realloc (func $i "realloc"))))
      (type $both (tuple u64 string))
      (func (export "both") (param "x" u32) (result $both)
        (canon lift (core func $i "both") (memory $i "memory") (realloc (func $i "realloc")))))"#;
    let mut config = wasmtime::Config::new();
    config.concurrency_support(false);
    config.memory_reservation(0).memory_guard_size(0).async_stack_size(256 << 10);
    config.max_wasm_stack(64 << 10);
    let engine = wasmtime::Engine::new(&config).unwrap();
    let component = Component::new(&engine, crisol_wit::parse_text(text, None).unwrap()).unwrap();
    let mut linker = Linker::<u32>::new(&engine);
    linker
        .root()
        .func_wrap_async("wait", |mut store: StoreContextMut<'_, u32>, (): ()| {
            // Calls wait for one to three polls, so they overtake one another.
            let mut left = *store.data();
            *store.data_mut() = (left + 1) % 3;
            Box::new(std::future::poll_fn(move |_| match left.checked_sub(1) {
                Some(fewer) => {
                    left = fewer;
                    Poll::Pending
                }
                None => Poll::Ready(Ok(())),
            }))
        })
        .unwrap();
    let pre = linker.instantiate_pre(&component).unwrap();
    let names = ["number", "text", "both"];
    let mappings = names.map(|name| function(&component, name).unwrap());
    let mut calls: Vec<_> = (0..AT_ONCE)
        .map(|at| {
            let which = at % names.len();
            let (mapping, pre, engine) = (&mappings[which], &pre, &engine);
            Box::pin(async move {
                #[expect(clippy::disallowed_methods, reason = "bare wasmtime, without the engine")]
                let mut store = Store::new(engine, at as u32 % 3);
                let instance = pre.instantiate_async(&mut store).await.unwrap();
                let func = instance.get_func(&mut store, names[which]).unwrap();
                let func = DirectFunc::new(mapping, func, &store).unwrap();
                for round in 0..ROUNDS {
                    let x = at * ROUNDS + round;
                    let (args, expected) = match which {
                        0 => (format!("[{x}]"), format!("{x}")),
                        1 => (format!("[\"t{x}\"]"), format!("\"t{x}\"")),
                        _ => (format!("[{x}]"), format!("[{x},\"text\"]")),
                    };
                    let args = mapping.lower_json(args.as_bytes()).unwrap();
                    let result = func.call_async(&mut store, mapping, args, WITHIN).await.unwrap();
                    let lifted = mapping.lift(result).into_result().unwrap();
                    assert_eq!(serde_json::to_string(&lifted).unwrap(), expected);
                }
            })
        })
        .collect();
    let mut cx = Context::from_waker(Waker::noop());
    let mut turn = 0_usize;
    while !calls.is_empty() {
        turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (turn >> 33) % calls.len();
        if calls[at].as_mut().poll(&mut cx).is_ready() {
            drop(calls.swap_remove(at));
        }
    }
}
