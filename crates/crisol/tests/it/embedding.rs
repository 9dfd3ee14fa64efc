//! Extensions of the embedding program: interceptors (retries too), binaries, variables and folders.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crisol::engine::Digest;
use crisol::error::ErrorDetails;
use crisol::host::{Directory, EnvError, EnvSource, FsError, FsSource};
use crisol::interceptor::{Interceptor, Next};
use crisol::{
    Args, Builder, CallContext, CallError, Caller, EntryId, ErrorKind, Invoke, LoadError, Reply,
    Runtime, Value,
};
use serde::{Deserialize, Serialize};

use crate::support::{AppBuilder, Problem, Tested};

fn builder(entries: &str) -> Builder {
    AppBuilder::new("n").entries(entries).builder()
}

/// Returns the entry of a guest in memory, named after its method, with the guest's bytes.
fn guest(guest: &str, method: &str, more: &str) -> (String, Vec<u8>) {
    let bytes = crisol_fixtures::bytes(guest);
    let hash = Digest::of(&bytes);
    let name = method.replace('-', "_");
    let entry = format!(
        "  - {{name: {name}, kind: function.wasm, fs: wasm, path: /{guest}.wasm, hash: 'sha256:{hash}', method: {method}{more}}}\n"
    );
    (entry, bytes)
}

const WASM: &str = "  - {name: wasm, kind: fs.directory, directory: ./wasm}\n";

fn add(more: &str) -> String {
    format!(
        "  - {{name: add, kind: function.wat, method: f, source: '(module (func (export \"f\") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'{more}}}\n"
    )
}

fn lua(name: &str, body: &str, more: &str) -> String {
    let source = format!(
        "local funcs, time = require('funcs'), require('time') return {{f = function(...) {body} end}}"
    );
    format!(
        "  - {{name: {name}, kind: function.lua, method: f, modules: [funcs, time], source: {source:?}{more}}}\n"
    )
}

/// Interceptor that notes the calls that it sees, under its own name.
#[derive(Clone)]
struct Noting(&'static str, Arc<Mutex<Vec<String>>>);

impl Noting {
    fn notes(&self) -> MutexGuard<'_, Vec<String>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.notes())
    }
}

#[async_trait]
impl Interceptor for Noting {
    async fn around(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Vec<Value>,
        next: Next<'_>,
    ) -> Result<Reply, CallError> {
        let caller = context.caller();
        let outcome = next.run(context, args.clone()).await;
        let end = match &outcome {
            Ok(reply) => reply.to_value().unwrap_or_default().to_string(),
            Err(error) => error.kind().name().to_owned(),
        };
        let args = Value::List(args);
        self.notes().push(format!("{} {caller:?} {id}{args} = {end}", self.0));
        outcome
    }
}

#[tokio::test]
async fn interceptors_see_calls_of_every_edge_in_order() -> Tested {
    let notes = Arc::default();
    let (outer, inner) = (Noting("outer", Arc::clone(&notes)), Noting("inner", notes));
    let entries = add("") + &lua("twice", "return funcs.call('n:add', ..., ...)", "");
    let runtime = builder(&entries).interceptor(outer.clone()).interceptor(inner).load()?;

    assert_eq!(runtime.call::<i32>("n:add", (1, 2)).await?, 3);
    assert_eq!(outer.taken(), ["inner Rust n:add[1,2] = 3", "outer Rust n:add[1,2] = 3"]);
    assert_eq!(runtime.call_wave("n:add", "(1, 2)").await?, "3");
    assert_eq!(outer.taken().len(), 2);
    let values = vec![Value::Int(1), Value::Int(2)];
    assert_eq!(runtime.call_values("n:add", values).await?, Value::Int(3));
    assert_eq!(outer.taken().len(), 2);
    let context = CallContext::new(Caller::Http);
    runtime.invoke(&"n:add".parse()?, context, Args::json(&b"[1, 2]"[..])).await?;
    assert_eq!(outer.taken(), ["inner Http n:add[1,2] = 3", "outer Http n:add[1,2] = 3"]);

    // Nested calls pass the interceptors too.
    assert_eq!(runtime.call::<i32>("n:twice", (4,)).await?, 8);
    assert_eq!(
        outer.taken(),
        [
            "inner Lua n:add[4,4] = 8",
            "outer Lua n:add[4,4] = 8",
            "inner Rust n:twice[4] = 8",
            "outer Rust n:twice[4] = 8"
        ]
    );
    // Arguments that do not fit are refused as without interceptors.
    let plain = builder(&entries).load()?;
    for runtime in [&runtime, &plain] {
        let error = runtime.call::<i32>("n:add", (1, "two")).await.err().ok_or("it was taken")?;
        let source = error.cause().ok_or("no cause")?.to_string();
        assert!(source.starts_with("argument 2"), "{source}");
        let error = runtime.call::<String>("n:add", (1, 2)).await.err().ok_or("it was taken")?;
        assert_eq!(error.kind(), ErrorKind::UnexpectedResult);
    }
    Ok(())
}

/// Interceptor that notes the remaining time of each call.
#[derive(Clone, Default)]
struct Timing(Arc<Mutex<Vec<Seen>>>);

type Seen = (String, Option<Duration>);

#[async_trait]
impl Interceptor for Timing {
    async fn around(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Vec<Value>,
        next: Next<'_>,
    ) -> Result<Reply, CallError> {
        let left = context.remaining(tokio::time::Instant::now().into_std());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((id.to_string(), left));
        next.run(context, args).await
    }
}

#[tokio::test(start_paused = true)]
async fn nested_calls_get_the_guests_remaining_time() -> Tested {
    let limit = Duration::from_secs(20);
    let (json, bytes) =
        guest("caller", "json", ", imports: [funcs], limits: {max_execution_ms: 20000}");
    let timing = Timing::default();
    let runtime = builder(&(WASM.to_owned() + &json + &add("")))
        .binary("wasm/caller.wasm", bytes)
        .interceptor(timing.clone())
        .load()?;
    assert_eq!(runtime.call::<String>("n:json", ("n:add", "[1, 2]")).await?, "3");
    let seen = timing.0.lock().unwrap_or_else(PoisonError::into_inner);
    let [(outer, None), (inner, Some(left))] = &seen[..] else {
        return Err(format!("{seen:?}").into());
    };
    assert_eq!((outer.as_str(), inner.as_str()), ("n:json", "n:add"));
    assert_eq!(*left, limit);
    Ok(())
}

/// Interceptor that advances a paused clock before each call of `n:add`, as computing would.
struct Computing(Duration);

#[async_trait]
impl Interceptor for Computing {
    async fn around(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Vec<Value>,
        next: Next<'_>,
    ) -> Result<Reply, CallError> {
        if id.as_str() == "n:add" {
            tokio::time::advance(self.0).await;
        }
        next.run(context, args).await
    }
}

#[tokio::test(start_paused = true)]
async fn other_work_during_a_guests_turns_is_host_time() -> Tested {
    let ms = Duration::from_millis(1);
    let (often, bytes) =
        guest("caller", "often", ", imports: [funcs], limits: {max_execution_ms: 100}");
    let runtime = builder(&(WASM.to_owned() + &often + &add("")))
        .binary("wasm/caller.wasm", bytes)
        .interceptor(Computing(70 * ms))
        .load()?;
    let ended = runtime.call::<String>("n:often", ("n:add", "[1, 2]", 3)).await;
    let Err(ErrorDetails::Deadline { spent, .. }) = ended.as_ref().map_err(CallError::details)
    else {
        return Err(format!("{ended:?}").into());
    };
    assert_eq!((spent.queue, spent.guest, spent.host), (Duration::ZERO, Duration::ZERO, 140 * ms));
    Ok(())
}

/// Interceptor whose name says what it does to calls.
enum Meddling {
    Doubling,
    Answering(Value),
    Refusing,
}

#[async_trait]
impl Interceptor for Meddling {
    async fn around(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Vec<Value>,
        next: Next<'_>,
    ) -> Result<Reply, CallError> {
        match self {
            Self::Doubling => {
                let args = [args.clone(), args].concat().into_iter().step_by(2).collect();
                next.run(context, args).await
            }
            Self::Answering(value) => Ok(Reply::new(value.clone())),
            Self::Refusing => Err(CallError::unavailable(id)),
        }
    }
}

#[tokio::test]
async fn an_interceptor_may_change_answer_and_refuse_calls() -> Tested {
    let call = async |meddling| {
        let runtime = builder(&add("")).interceptor(meddling).load()?;
        Ok::<_, Problem>(runtime.call::<i32>("n:add", (3, 5)).await)
    };
    assert_eq!(call(Meddling::Doubling).await??, 6);
    assert_eq!(call(Meddling::Answering(Value::Int(9))).await??, 9);
    let refused = call(Meddling::Refusing).await?.err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::Unavailable));
    // A reply that does not fit the function's result type is an error.
    let odd = call(Meddling::Answering(Value::from("nine"))).await?.err().ok_or("it was taken")?;
    assert_eq!(odd.kind(), ErrorKind::UnexpectedResult);
    Ok(())
}

#[derive(Serialize)]
struct User {
    id: u32,
    name: &'static str,
    tags: Vec<&'static str>,
    active: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Transformed {
    id: u32,
    display: String,
    tag_count: u32,
}

/// Arguments as a struct, by name.
#[derive(Serialize)]
struct ByName {
    users: Vec<User>,
}

#[tokio::test]
async fn typed_calls_are_the_same_with_and_without_interceptors() -> Tested {
    let (entry, bytes) = guest("mapper", "transform-users", "");
    let load = || builder(&(WASM.to_owned() + &entry)).binary("wasm/mapper.wasm", bytes.clone());
    let notes = Noting("", Arc::default());
    let (plain, noting) = (load().load()?, load().interceptor(notes.clone()).load()?);
    let mut answers = Vec::new();
    for runtime in [plain, noting] {
        let user = User { id: 1, name: "Ann", tags: vec!["a", "b"], active: true };
        let args = ByName { users: vec![user] };
        answers.push(runtime.call::<Vec<Transformed>>("n:transform_users", args).await?);
    }
    assert_eq!(answers[0], [Transformed { id: 1, display: "Ann [a, b]".to_owned(), tag_count: 2 }]);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(notes.taken().len(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn only_failures_named_in_retry_are_retried() -> Tested {
    let trap = |name: &str, retry: &str| {
        format!(
            "  - {{name: {name}, kind: function.wat, method: f, source: '(module (func (export \"f\") unreachable))', limits: {{max_execution_ms: 10000}}{retry}}}\n"
        )
    };
    let retry = |fields: &str| format!(", meta: {{options: {{retry: {{{fields}}}}}}}");
    let soon = "initial_delay_ms: 1, max_delay_ms: 2";
    let entries = trap("never", "")
        + &trap("safe", &retry(&format!("max_attempts: 5, {soon}")))
        + &trap("trap", &retry(&format!("max_attempts: 5, {soon}, on: [trap]")))
        + &trap(
            "late",
            &retry("max_attempts: 5, initial_delay_ms: 3600000, max_delay_ms: 3600000, on: [trap]"),
        );
    let notes = Noting("", Arc::default());
    let runtime = builder(&entries).interceptor(notes.clone()).load()?;
    // A retry whose delay would end after the deadline is not attempted.
    for (id, attempts) in [("n:never", 1), ("n:safe", 1), ("n:trap", 5), ("n:late", 1)] {
        let error = runtime.call::<()>(id, ()).await.err().ok_or("it did not trap")?;
        assert_eq!(error.kind(), ErrorKind::Trap, "{id}");
        assert_eq!(runtime.stats(id).map(|stats| stats.admitted), Some(attempts), "{id}");
    }
    // Other interceptors see one call, independent of the number of attempts.
    assert_eq!(notes.taken().len(), 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn saturated_calls_get_through_in_the_end() -> Tested {
    let pool = ", pool: {type: static, workers: 1, size: 1, buffer: 1}";
    let retry =
        ", meta: {options: {retry: {max_attempts: 100, initial_delay_ms: 5, max_delay_ms: 20}}}";
    let body = "time.sleep(10) return 1";
    let entries = lua("once", body, pool) + &lua("again", body, &format!("{pool}{retry}"));
    let runtime = builder(&entries).load()?;
    for (id, refused) in [("n:once", true), ("n:again", false)] {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let runtime = runtime.clone();
            calls.spawn(async move { runtime.call::<i32>(id, ()).await });
        }
        let outcomes = calls.join_all().await;
        let saturated = |outcome: &Result<i32, CallError>| {
            outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Saturated)
        };
        assert_eq!(outcomes.iter().any(saturated), refused, "{id}: {outcomes:?}");
        assert!(
            outcomes.iter().all(|outcome| outcome.is_ok() || saturated(outcome)),
            "{outcomes:?}"
        );
    }
    assert!(runtime.stats("n:again").is_some_and(|stats| stats.saturated > 0));
    Ok(())
}

#[tokio::test]
async fn a_runtime_needs_no_files() -> Tested {
    let (entry, bytes) = guest("compute", "compute", "");
    let entries = WASM.to_owned() + &entry;
    let load = |path: &str, bytes: &[u8]| builder(&entries).binary(path, bytes.to_vec()).load();
    let runtime = load("./wasm/compute.wasm", &bytes)?;
    assert_eq!(runtime.call::<i32>("n:compute", (6, 7)).await?, 42);
    // A change finds the same bytes again.
    assert_eq!(runtime.reload().await?.rebuilt, []);
    let said = |loaded: Result<Runtime, LoadError>| match loaded {
        Ok(_) => Err("it loads"),
        Err(error) => Ok(error.to_string()),
    };
    let wrong = said(load("wasm/compute.wasm", &bytes[1..]))?;
    assert!(wrong.contains("error[wrong-hash]"), "{wrong}");
    let elsewhere = said(load("compute.wasm", &bytes))?;
    assert!(elsewhere.contains("error[bad-folder]"), "{elsewhere}");
    Ok(())
}

/// Variables by id.
struct Env(HashMap<&'static str, &'static str>);

impl EnvSource for Env {
    fn value(&self, variable: &EntryId) -> Result<Option<String>, EnvError> {
        match self.0.get(variable.as_str()) {
            Some(&"none") => Ok(None),
            Some(value) => Ok(Some((*value).to_owned())),
            None => Err(EnvError::Unknown { id: variable.clone() }),
        }
    }

    fn place(&self, variable: &EntryId) -> String {
        format!("`{variable}` in the vault")
    }
}

#[tokio::test]
async fn env_source_takes_precedence_over_declared_variables() -> Tested {
    let mapping = "{id: own, name: OWN}, {id: declared, name: DECLARED}, {id: gone, name: GONE}";
    let wasi = format!(", imports: ['wasi:cli'], wasi: {{env: [{mapping}]}}");
    let (entry, bytes) = guest("probe", "env-var", &wasi);
    let required = ", imports: ['wasi:cli'], wasi: {env: [{id: gone, name: GONE, required: true}]}";
    let (needy, _) = guest("probe", "all-env", required);
    let values = "  - {name: store, kind: env.storage.static, values: {A: declared, B: declared, C: declared}}\n";
    let variable = |name: &str, of: &str| {
        format!("  - {{name: {name}, kind: env.variable, storage: store, variable: {of}}}\n")
    };
    let variables = variable("own", "A") + &variable("declared", "B") + &variable("gone", "C");
    let entries = WASM.to_owned() + &entry + &needy + values + &variables;
    let env = Env(HashMap::from([("n:own", "from the program"), ("n:gone", "none")]));
    let load = || builder(&entries).binary("wasm/probe.wasm", bytes.clone());
    let runtime = load().env_source(env).load()?;
    let get = async |name: &str| runtime.call::<Option<String>>("n:env_var", (name,)).await;
    assert_eq!(get("OWN").await?.as_deref(), Some("from the program"));
    assert_eq!(get("DECLARED").await?.as_deref(), Some("declared"));
    assert_eq!(get("GONE").await?, None);
    let error = runtime.call::<Value>("n:all_env", ()).await.err().ok_or("it started")?;
    assert_eq!(error.kind(), ErrorKind::Environment);
    let source = error.cause().ok_or("no cause")?.to_string();
    assert!(source.contains("`n:gone` in the vault"), "{source}");
    Ok(())
}

/// The folder of `n:data`.
struct Folder(tempfile::TempDir);

impl FsSource for Folder {
    fn directory(&self, id: &EntryId) -> Result<Directory, FsError> {
        match id.as_str() {
            "n:data" => Directory::open(self.0.path(), false, None),
            _ => Err(FsError::Unknown { id: id.clone() }),
        }
    }
}

#[tokio::test]
async fn fs_source_takes_precedence_over_declared_folders() -> Tested {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("name"), "of the program")?;
    let mounts = ", imports: ['wasi:cli', 'wasi:filesystem', 'wasi:io'], wasi: {mounts: [{fs: data, guest: /data}]}";
    let (entry, bytes) = guest("probe", "read-file", mounts);
    // The declared folder does not exist.
    let data = "  - {name: data, kind: fs.directory, directory: ./nowhere}\n";
    let entries = WASM.to_owned() + &entry + data;
    let runtime =
        builder(&entries).binary("wasm/probe.wasm", bytes).fs_source(Folder(dir)).load()?;
    let text: String = runtime.call("n:read_file", ("/data/name",)).await?;
    assert_eq!(text, "of the program");
    Ok(())
}
