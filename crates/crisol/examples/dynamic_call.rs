//! Calls a function that is known only at run time: `dynamic_call ID ARG…`, each argument JSON.

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::error::Error;

use crisol::{Runtime, Value};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/tour");
    let runtime = Runtime::builder().app(app).load()?;

    let mut words = std::env::args().skip(1);
    let (id, args) = match words.next() {
        Some(id) => {
            let args: Result<Vec<Value>, _> =
                words.map(|word| serde_json::from_str(&word)).collect();
            (id, args?)
        }
        None => ("myns:compute".to_owned(), vec![Value::Int(6), Value::Int(7)]),
    };

    if let Some(signature) = runtime.signature(&id) {
        println!("{id}: {signature}");
    }
    let result = runtime.call_values(&id, args).await?;
    println!("{}", serde_json::to_string(&result)?);
    Ok(())
}
