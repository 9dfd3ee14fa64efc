//! Host functions of the embedding program, called by guests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crisol::error::ErrorDetails;
use crisol::host::{HostCall, HostError, HostInterface};
use crisol::{Builder, CallError, ErrorKind, LoadError, Value};
use tokio::sync::Notify;

use crate::support::{AppBuilder, Tested};

/// Builds a guest whose functions call the host functions of the same names. They pass their arguments on and the
/// results back. With `asynchronous`, `later` is an async function in import and export.
fn guest(interface: &str, asynchronous: bool) -> String {
    let (import, lower, export) = if asynchronous {
        (
            r#"(export "later" (func async (param "n" u32) (result u32)))"#,
            r#"(core func $later (canon lower (func $app "later")))"#,
            r#"(func (export "later") async (param "n" u32) (result u32)
                (canon lift (core func $guest "later")))"#,
        )
    } else {
        (
            r#"(export "later" (func (param "n" u32) (result u32)))"#,
            r#"(core func $later (canon lower (func $app "later")))"#,
            r#"(func (export "later") (param "n" u32) (result u32)
                (canon lift (core func $guest "later")))"#,
        )
    };
    format!(
        r#"(component
          (import "{interface}" (instance $app
            (export "greet" (func (param "name" string) (result string)))
            (export "find" (func (param "id" u32) (result (result string (error string)))))
            (export "note" (func (param "bytes" (list u8)) (param "at" (tuple u8 bool))))
            {import}))
          (core module $memory
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (local $at i32)
              (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
              (global.set $next (i32.add (local.get $at) (local.get 3)))
              (local.get $at)))
          (core instance $memory (instantiate $memory))
          (core func $greet (canon lower (func $app "greet")
            (memory $memory "memory") (realloc (func $memory "realloc"))))
          (core func $find (canon lower (func $app "find")
            (memory $memory "memory") (realloc (func $memory "realloc"))))
          (core func $note (canon lower (func $app "note") (memory $memory "memory")))
          {lower}
          (core module $guest
            (import "app" "greet" (func $greet (param i32 i32 i32)))
            (import "app" "find" (func $find (param i32 i32)))
            (import "app" "note" (func $note (param i32 i32 i32 i32)))
            (import "app" "later" (func $later (param i32) (result i32)))
            (func (export "greet") (param i32 i32) (result i32)
              (call $greet (local.get 0) (local.get 1) (i32.const 8)) (i32.const 8))
            (func (export "find") (param i32) (result i32)
              (call $find (local.get 0) (i32.const 8)) (i32.const 8))
            (func (export "note") (param i32 i32 i32 i32)
              (call $note (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
            (func (export "later") (param i32) (result i32) (call $later (local.get 0)))
            (func (export "alone") (result i32) (i32.const 42)))
          (core instance $guest (instantiate $guest (with "app" (instance
            (export "greet" (func $greet)) (export "find" (func $find))
            (export "note" (func $note)) (export "later" (func $later))))))
          (func (export "greet") (param "name" string) (result string)
            (canon lift (core func $guest "greet")
              (memory $memory "memory") (realloc (func $memory "realloc"))))
          (func (export "find") (param "id" u32) (result (result string (error string)))
            (canon lift (core func $guest "find")
              (memory $memory "memory") (realloc (func $memory "realloc"))))
          (func (export "note") (param "bytes" (list u8)) (param "at" (tuple u8 bool))
            (canon lift (core func $guest "note")
              (memory $memory "memory") (realloc (func $memory "realloc"))))
          (func (export "alone") (result u32) (canon lift (core func $guest "alone")))
          {export})"#
    )
}

const NAMES: [&str; 5] = ["greet", "find", "note", "later", "alone"];

/// Builds an app of the guest's functions, each with `fields`.
fn app(fields: &str) -> AppBuilder {
    let entry = |name: &&str| {
        format!(
            "  - {{name: {name}, kind: function.wat, source: file://guest.wat, method: {name}{fields}}}\n"
        )
    };
    let entries: String = NAMES.iter().map(entry).collect();
    AppBuilder::new("n").entries(&entries)
}

const GRANTED: &str = ", imports: [acme:app/users]";

fn builder(fields: &str) -> Builder {
    app(fields).builder().file("guest.wat", guest("acme:app/users@1.0.0", false))
}

#[expect(clippy::panic, reason = "it is what is tested")]
fn mistake<T>() -> Result<T, HostError> {
    std::panic::panic_any("a mistake")
}

/// Builds the interface that the guest imports, with typed functions.
fn typed() -> Tested<HostInterface> {
    Ok(HostInterface::new("acme:app/users@1.0.0")?
        .function("greet", |call: HostCall, (name,): (String,)| async move {
            let entry = call.entry().map(ToString::to_string).unwrap_or_default();
            Ok(format!("Hello, {name}, by {entry}"))
        })
        .function("find", |_: HostCall, (id,): (u32,)| async move {
            match id {
                7 => Ok("Ann".to_owned()),
                8 => Err(std::io::Error::other("the table is locked"))?,
                9 => mistake(),
                _ => Err(HostError::answer(format!("no user {id}"))),
            }
        })
        .function("note", |_: HostCall, (bytes, at): (Vec<u8>, (u8, bool))| async move {
            assert_eq!((bytes, at), (vec![1, 2, 255], (3, true)));
            Ok(())
        })
        .function("later", |_: HostCall, (n,): (u32,)| async move {
            tokio::task::yield_now().await;
            Ok(n + 1)
        }))
}

/// Builds the same interface with untyped functions.
fn dynamic() -> Tested<HostInterface> {
    let one = |args: &[Value]| match args {
        [one] => Ok(one.clone()),
        _ => Err(HostError::failed("expected one argument")),
    };
    Ok(HostInterface::new("acme:app/users@1.0.0")?
        .function_values("greet", move |call: HostCall, args| async move {
            assert_eq!(call.signature().to_string(), "func(name: string) -> string");
            let Value::Text(name) = one(&args)? else { return Err(HostError::failed("no text")) };
            let entry = call.entry().map(ToString::to_string).unwrap_or_default();
            Ok(Value::from(format!("Hello, {name}, by {entry}")))
        })
        .function_values("find", move |_, args| async move {
            match one(&args)? {
                Value::Int(7) => Ok(Value::from("Ann")),
                Value::Int(8) => Err(std::io::Error::other("the table is locked"))?,
                Value::Int(9) => mistake(),
                other => Err(HostError::answer(format!("no user {other}"))),
            }
        })
        .function_values("note", |_, args| async move {
            let at = Value::List(vec![Value::Int(3), Value::Bool(true)]);
            assert_eq!(args, [Value::Bytes(vec![1, 2, 255]), at]);
            Ok(Value::Null)
        })
        .function_values("later", move |_, args| async move {
            match one(&args)? {
                Value::Int(n) => Ok(Value::Int(n + 1)),
                _ => Err(HostError::failed("no number")),
            }
        }))
}

fn source(error: &CallError) -> String {
    error.cause().map(ToString::to_string).unwrap_or_default()
}

#[tokio::test]
async fn guest_calls_typed_and_untyped_host_functions() -> Tested {
    for interface in [typed()?, dynamic()?] {
        let runtime = builder(GRANTED).host_interface(interface).load()?;
        let text: String = runtime.call("n:greet", ("Ann",)).await?;
        assert_eq!(text, "Hello, Ann, by n:greet");
        assert_eq!(runtime.call::<String>("n:find", (7,)).await?, "Ann");
        runtime.call::<()>("n:note", ([1_u8, 2, 255], (3, true))).await?;
        assert_eq!(runtime.call::<u32>("n:later", (41,)).await?, 42);

        // The guest receives the error side of a `result`, and passes it on here.
        let error = runtime.call::<String>("n:find", (1,)).await.unwrap_err();
        assert_eq!(error.function_error(), Some(&Value::from("no user 1")));
        // Any other error ends the call; the guest does not see it.
        let error = runtime.call::<String>("n:find", (8,)).await.unwrap_err();
        let said = "`n:find` called the host function `acme:app/users@1.0.0#find`, which failed: the table is locked";
        assert_eq!(error.to_string(), said);
        assert_eq!(source(&error), "the table is locked");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(error.public_message(), "the function failed");
        let error = runtime.call::<String>("n:find", (9,)).await.unwrap_err();
        assert!(source(&error).contains("a mistake"), "{error:?}");
        // Each failure affects only its own instance.
        assert_eq!(runtime.call::<String>("n:find", (7,)).await?, "Ann");
    }
    Ok(())
}

#[tokio::test]
async fn an_asynchronous_import_waits_in_the_program() -> Tested {
    let runtime = app(GRANTED)
        .builder()
        .file("guest.wat", guest("acme:app/users@1.0.0", true))
        .host_interface(typed()?)
        .load()?;
    assert_eq!(runtime.call::<u32>("n:later", (41,)).await?, 42);
    assert_eq!(runtime.call::<String>("n:greet", ("Ann",)).await?, "Hello, Ann, by n:greet");
    let error = runtime.call::<String>("n:find", (8,)).await.unwrap_err();
    assert_eq!(source(&error), "the table is locked");
    Ok(())
}

#[tokio::test]
async fn undeclared_imports_are_denied_and_the_fix_grants_them() -> Tested {
    let runtime = builder("").host_interface(typed()?).load()?;
    assert_eq!(runtime.call::<u32>("n:alone", ()).await?, 42);
    let error = runtime.call::<String>("n:greet", ("Ann",)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`n:greet` called `acme:app/users@1.0.0#greet`, which its entry does not import: add `acme:app/users` to its `imports`"
    );
    let warnings = runtime.generation().warnings().to_string();
    assert!(
        warnings.contains("add those that calls need to `imports`: `acme:app/users`"),
        "{warnings}"
    );

    // Case and version do not matter, as for every token of `imports`.
    for token in ["acme:app/users", "acme:app/users@1.0.0", "ACME:App/Users@7"] {
        let runtime =
            builder(&format!(", imports: ['{token}']")).host_interface(typed()?).load()?;
        assert_eq!(runtime.call::<String>("n:find", (7,)).await?, "Ann", "{token}");
        let warnings = runtime.generation().warnings().to_string();
        assert!(!warnings.contains("not declared"), "{token}: {warnings}");
        assert!(
            warnings.contains("is declared, but `alone` cannot reach it"),
            "{token}: {warnings}"
        );
    }
    // No other token grants it.
    let all = ", imports: [wasi:cli, wasi:io, wasi:http, funcs, wasi1]";
    let error = builder(all).host_interface(typed()?).load()?.call::<String>("n:find", (7,)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Denied);
    let runtime = builder(", imports: [acme:app/other]")
        .host_interface(typed()?)
        .host_interface(HostInterface::new("acme:app/other")?)
        .load()?;
    let error = runtime.call::<String>("n:find", (7,)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    Ok(())
}

fn refused(builder: Builder) -> Tested<String> {
    match builder.load() {
        Err(LoadError::App(problems)) => Ok(problems.to_string()),
        other => Err(format!("expected problems, found {other:?}").into()),
    }
}

#[tokio::test]
async fn only_served_interfaces_can_be_granted() -> Tested {
    let text = refused(builder(GRANTED))?;
    assert!(text.contains("unknown import `acme:app/users`"), "{text}");
    let text = refused(builder(", imports: [acme:app/user]").host_interface(typed()?))?;
    assert!(text.contains("did you mean `acme:app/users`?"), "{text}");
    let text = refused(builder("").host_interface(typed()?).strict_imports(true))?;
    assert!(
        text.contains("the code imports what is not declared: `acme:app/users@1.0.0`"),
        "{text}"
    );

    // `check` of the same builder knows the interface too.
    let checked = builder(GRANTED).host_interface(typed()?).check()?;
    assert_eq!((checked.problems.errors(), checked.functions), (0, NAMES.len()));
    assert!(builder(GRANTED).check()?.problems.errors() > 0);

    // A guest that imports another version finds no functions, independent of its entry.
    let other = app(GRANTED).builder().file("guest.wat", guest("acme:app/users@2.0.0", false));
    let runtime = other.host_interface(typed()?).load()?;
    let error = runtime.call::<String>("n:find", (7,)).await.unwrap_err();
    assert!(error.to_string().contains("#find`, which this host does not have: "), "{error}");
    let warnings = runtime.generation().warnings().to_string();
    assert!(
        warnings.contains("`acme:app/users` is declared, but the code does not import it"),
        "{warnings}"
    );
    Ok(())
}

#[tokio::test]
async fn host_function_type_mismatch_is_reported_at_load_or_call() -> Tested {
    let some = HostInterface::new("acme:app/users@1.0.0")?
        .function("greet", |_: HostCall, ()| async { Ok(()) })
        .function("find", |_: HostCall, ()| async { Ok(()) });
    let runtime = builder(GRANTED).host_interface(some).load()?;
    let lacking = runtime.call::<u32>("n:later", (1,)).await.unwrap_err();
    assert!(lacking.to_string().contains("#later`, which this host does not have: "), "{lacking}");
    let warnings = runtime.generation().warnings().to_string();
    assert!(warnings.contains("does not have: `acme:app/users@1.0.0#note`"), "{warnings}");

    let other = typed()?
        .function("greet", |_: HostCall, (n,): (u32,)| async move { Ok(n) })
        .function("find", |_: HostCall, (id,): (u32,)| async move { Ok((id, "Ann")) })
        .function("note", |_: HostCall, (_,): (Vec<u8>,)| async move { Ok(()) })
        .function("later", |_: HostCall, (_,): (u32,)| async move { Ok(()) });
    let runtime = builder(GRANTED).host_interface(other).load()?;
    let greet = runtime.call::<String>("n:greet", ("Ann",)).await.unwrap_err();
    assert_eq!(
        source(&greet),
        "the guest's arguments do not match its parameters: argument 1 (name): invalid type: string \"Ann\", expected u32"
    );
    let find = runtime.call::<String>("n:find", (1,)).await.unwrap_err();
    assert_eq!(
        source(&find),
        "its result does not match the type that the guest expects: result: expected string, found a list"
    );
    let note = runtime.call::<()>("n:note", ([1_u8], (1, true))).await.unwrap_err();
    assert_eq!(
        source(&note),
        "the guest's arguments do not match its parameters: expected 1 of them, found 2"
    );
    let later = runtime.call::<u32>("n:later", (1,)).await.unwrap_err();
    assert_eq!(
        source(&later),
        "its result does not match the type that the guest expects: result: expected u32, found null"
    );
    Ok(())
}

/// Counter of dropped values.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn host_function_ends_with_its_call() -> Tested {
    let (dropped, entered) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (count, enter) = (Arc::clone(&dropped), Arc::clone(&entered));
    let never = typed()?.function("later", move |call: HostCall, (_,): (u32,)| {
        let (guard, enter) = (Dropped(Arc::clone(&count)), Arc::clone(&enter));
        async move {
            assert!(call.deadline().is_some());
            enter.notify_one();
            std::future::pending::<()>().await;
            drop(guard);
            Ok(0_u32)
        }
    });
    let fields = format!("{GRANTED}, limits: {{max_execution_ms: 3600000}}");
    let runtime = builder(&fields).host_interface(never.clone()).load()?;
    let late = async {
        entered.notified().await;
        crate::support::skip(crate::support::HOUR).await;
    };
    let (ended, ()) = tokio::join!(runtime.call::<u32>("n:later", (1,)), late);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Deadline);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);

    // The caller cancels the call.
    let runtime = builder(GRANTED).host_interface(never).load()?;
    let in_task = runtime.clone();
    let call = tokio::spawn(async move { in_task.call::<u32>("n:later", (1,)).await.is_ok() });
    entered.notified().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    Ok(())
}

#[tokio::test]
async fn two_interfaces_of_one_name_are_one() -> Tested {
    let first = HostInterface::new("acme:app/users@1.0.0")?
        .function("greet", |_: HostCall, (_,): (String,)| async { Ok("first") });
    let second = typed()?.function("greet", |_: HostCall, (_,): (String,)| async { Ok("second") });
    let runtime = builder(GRANTED).host_interface(first).host_interface(second).load()?;
    assert_eq!(runtime.call::<String>("n:greet", ("Ann",)).await?, "second");
    assert_eq!(runtime.call::<String>("n:find", (7,)).await?, "Ann");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn computing_in_a_host_function_counts_as_host_time() -> Tested {
    for asynchronous in [false, true] {
        let busy = typed()?.function("later", |_: HostCall, (_,): (u32,)| async {
            // On a paused clock, an advance stands for computing that long.
            tokio::time::advance(Duration::from_millis(60)).await;
            std::future::pending::<()>().await;
            Ok(0_u32)
        });
        let fields = format!("{GRANTED}, limits: {{max_execution_ms: 50}}");
        let source = guest("acme:app/users@1.0.0", asynchronous);
        let app = builder(&fields).file("guest.wat", source);
        let runtime = app.host_interface(busy).load()?;
        let error = runtime.call::<u32>("n:later", (1,)).await.unwrap_err();
        let ErrorDetails::Deadline { spent, .. } = error.details() else {
            return Err(error.into());
        };
        let told = (spent.queue, spent.guest, spent.host);
        assert_eq!(told, (Duration::ZERO, Duration::ZERO, Duration::from_millis(60)));
    }
    Ok(())
}

#[tokio::test]
async fn host_function_panic_at_instantiation_costs_one_call() -> Tested {
    const STARTS: &str = include_str!("guests/starts.wat");
    for pool in ["inline", "lazy", "static", "adaptive"] {
        let broken = Arc::new(AtomicBool::new(true));
        let is_broken = Arc::clone(&broken);
        let panics = typed()?.function("later", move |_: HostCall, (n,): (u32,)| {
            let broken = is_broken.load(Ordering::SeqCst);
            async move { if broken { mistake() } else { Ok(n) } }
        });
        let entry = format!(
            "  - {{name: f, kind: function.wat, source: file://guest.wat, method: alone{GRANTED}, \
             pool: {{type: {pool}}}}}\n"
        );
        let app = AppBuilder::new("n").entries(&entry).builder().file("guest.wat", STARTS);
        let runtime = app.host_interface(panics).load()?;
        for _ in 0..2 {
            let error = runtime.call::<u32>("n:f", ()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{pool}: {error}");
        }
        broken.store(false, Ordering::SeqCst);
        assert_eq!(runtime.call::<u32>("n:f", ()).await?, 42, "{pool}");
        let stats = runtime.stats("n:f").ok_or("no such pool")?;
        assert!(stats.busy == 0 && stats.failed >= 2, "{pool}: {stats:?}");
    }
    Ok(())
}
