//! Host functions of the embedding program, imported by guests: `cargo run -p crisol --example host_function`.

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use crisol::host::{HostCall, HostError, HostInterface};
use crisol::{Runtime, Value};

const APP: &str = "
namespace: demo
entries:
  - name: hello
    kind: function.wat
    source: file://guest.wat
    method: hello
    imports: [acme:app/greeter]   # without this line a call of `greet` is denied
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Typed: a tuple takes the arguments, the returned value is the result.
    let typed = HostInterface::new("acme:app/greeter@1.0.0")?
        .function("greet", |_: HostCall, (name,): (String,)| async move {
            Ok(format!("Hello, {name}!"))
        });
    let runtime = with(typed)?;
    let text: String = runtime.call("demo:hello", ("Ann",)).await?;
    println!("{text}");
    assert_eq!(text, "Hello, Ann!");

    // Untyped: values, for functions whose types are not known at build time.
    let dynamic = HostInterface::new("acme:app/greeter@1.0.0")?.function_values(
        "greet",
        |call: HostCall, args: Vec<Value>| async move {
            let [name] = args.as_slice() else { return Err(HostError::failed("one argument")) };
            let entry = call.entry().map(ToString::to_string).unwrap_or_default();
            Ok(Value::from(format!("{name} was here, by {entry}: {}", call.signature())))
        },
    );
    let text: String = with(dynamic)?.call("demo:hello", ("Ann",)).await?;
    println!("{text}");
    assert_eq!(text, r#""Ann" was here, by demo:hello: func(name: string) -> string"#);
    Ok(())
}

fn with(greeter: HostInterface) -> Result<Runtime, crisol::LoadError> {
    Runtime::builder()
        .host_interface(greeter)
        .file("_index.yaml", APP)
        .file("guest.wat", include_str!("host_function.wat"))
        .load()
}
