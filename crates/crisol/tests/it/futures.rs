//! Sizes of call futures: every caller's task holds one, and the start of the call moves it.

use crisol::{Args, CallContext, Caller, Invoke as _, Value};

use crate::support::{Tested, load, wasm};

#[tokio::test]
async fn futures_of_calls_are_small() -> Tested {
    let runtime = load(&wasm("f", "compute", "compute", ""))?;
    let generation = runtime.generation();
    let (id, context) = ("myns:f".parse()?, CallContext::new(Caller::Rust));
    let sizes = [
        size_of_val(&generation.call::<i32>("myns:f", (6, 7))),
        size_of_val(&generation.call_values("myns:f", vec![Value::Int(6), Value::Int(7)])),
        size_of_val(&generation.call_wave("myns:f", "(6, 7)")),
        size_of_val(&*generation.invoke(&id, context, Args::none())),
    ];
    assert!(sizes.iter().all(|size| *size <= 5 * 1024), "{sizes:?} bytes");
    Ok(())
}
