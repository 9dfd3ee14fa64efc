//! Calls a function with Rust types: arguments in a tuple, records as structs.

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::error::Error;

use crisol::{CallError, Runtime};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct User {
    id: u32,
    name: &'static str,
    tags: Vec<&'static str>,
    active: bool,
}

/// The record `transformed-user` of the guest: `tag-count` in WIT is `tag_count` here.
#[derive(Debug, Deserialize)]
struct Transformed {
    id: u32,
    display: String,
    tag_count: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/tour");
    let runtime = Runtime::builder().app(app).load()?;

    let product: i32 = runtime.call("myns:compute", (6, 7)).await?;
    println!("6 × 7 = {product}");

    let users = [
        User { id: 1, name: "Alice", tags: vec!["admin", "dev"], active: true },
        User { id: 2, name: "Bob", tags: vec![], active: false },
    ];
    // A single argument needs a tuple of one.
    let transformed: Vec<Transformed> = runtime.call("myns:transform_users", (users,)).await?;
    for Transformed { id, display, tag_count } in &transformed {
        println!("{id}: {display}, {tag_count} tags");
    }

    // A type mismatch names its location, and the function does not run.
    let wrong: Result<i32, CallError> = runtime.call("myns:compute", (6, "seven")).await;
    if let Err(error) = wrong {
        println!("{error}");
    }
    Ok(())
}
