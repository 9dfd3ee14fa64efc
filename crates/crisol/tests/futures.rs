//! Sizes of the futures of calls: every caller's task holds one.

mod common;

use crisol::{Args, CallContext, Caller, Invoke as _, Value};

use common::{Tested, load, wasm};

#[tokio::test]
async fn the_futures_of_calls_are_small() -> Tested {
    let runtime = load(&wasm("f", "compute", "compute", ""))?;
    let generation = runtime.generation();
    let typed = generation.call::<i32>("myns:f", (1, 2));
    let values = generation.call_values("myns:f", vec![Value::Int(1)]);
    let wave = generation.call_wave("myns:f", "(1, 2)");
    let sizes = [size_of_val(&typed), size_of_val(&values), size_of_val(&wave)];
    eprintln!("SIZES {sizes:?}");
    let id = "myns:f".parse()?;
    let boxed = generation.invoke(&id, CallContext::new(Caller::Rust), Args::none());
    eprintln!("BOXED {}", size_of_val(&*boxed));
    Ok(())
}
