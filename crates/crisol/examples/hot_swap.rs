//! Replaces a function under load: the old or the new code answers every call.

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::collections::BTreeMap;
use std::error::Error;

use crisol::change::{ChangeError, Changes};
use crisol::{CallError, Runtime};
use tokio::task::JoinSet;

fn app(version: i32) -> String {
    format!(
        "namespace: app
entries:
  - name: version
    kind: function.wat
    source: (module (func (export \"version\") (result i32) i32.const {version}))
    method: version
"
    )
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::builder().file("_index.yaml", app(1)).load()?;

    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let runtime = runtime.clone();
        callers.spawn(async move {
            let mut seen = BTreeMap::<i32, u32>::new();
            // Each caller ends once the last version has answered it.
            while !seen.contains_key(&3) {
                let version = runtime.call("app:version", ()).await?;
                *seen.entry(version).or_default() += 1;
            }
            Ok::<_, CallError>(seen)
        });
    }

    for version in [2, 3] {
        let applied = runtime.apply(Changes::new().put(app(version))).await?;
        println!("generation {}: replaced {:?}", applied.generation, applied.replaced);
    }
    // An app with errors changes nothing and reports every problem.
    if let Err(ChangeError::App(problems)) = runtime.apply(Changes::new().put("entries: 3")).await {
        println!("{problems}");
    }

    while let Some(caller) = callers.join_next().await {
        println!("calls by version: {:?}", caller??);
    }
    Ok(())
}
