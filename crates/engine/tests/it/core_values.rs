//! Values of core modules by their WIT, through memory that may be hostile.

use std::time::Duration;

use crate::support::core::{link_in, made};
use crate::support::{Tested, engine, soon, stopped};
use crisol_core::ResourceLimit;
use crisol_engine::{Allocation, Engine, EngineConfig, Failure, FunctionPre, Instance, Limits};
use crisol_wit::Outcome;

/// Calls a module by its WIT with JSON arguments, and returns a JSON result.
async fn json(linked: &FunctionPre, args: &str) -> Tested<Result<String, Failure>> {
    let mut instance = made(linked, Limits::default()).await?;
    json_of(&mut instance, linked, args, soon(5_000)).await
}

async fn json_of(
    instance: &mut Instance,
    linked: &FunctionPre,
    args: &str,
    deadline: Option<std::time::Instant>,
) -> Tested<Result<String, Failure>> {
    let mapping = linked.mapping();
    let lowered = mapping.lower_json(args.as_bytes())?;
    let began = tokio::time::Instant::now().into_std();
    Ok(match instance.call_since(began, lowered, deadline).await {
        Ok(result) => Ok(match mapping.lift(result) {
            Outcome::Value(value) => serde_json::to_string(&value)?,
            Outcome::Error(error) => format!("err: {}", serde_json::to_string(&error)?),
        }),
        Err(failure) => Err(failure),
    })
}

/// A module with a bump allocator from 1024 on, which counts freed results.
const VALUES: &str = include_str!("guests/values.wat");

const WIT: &str = "
    variant shape { none, number(u64), named(string) }
    record user { id: u32, tags: list<string> }
    text: func(text: string) -> string;
    users: func(users: list<user>) -> list<user>;
    freed: func() -> u32;
    many: func(a0: u32, a1: u32, a2: u32, a3: u32, a4: u32, a5: u32, a6: u32, a7: u32, a8: u32, a9: u32,
        a10: u32, a11: u32, a12: u32, a13: u32, a14: u32, a15: u32, a16: u32) -> u64;
    pick: func(shape: shape) -> shape;";

fn valued(text: &str, wit: &str, method: &str) -> Tested<FunctionPre> {
    link_in(&engine(Allocation::OnDemand)?, text, (Some(wit), method), |_| true, false)
}

#[tokio::test]
async fn wit_values_pass_through_module_memory() -> Tested {
    for (method, args) in [
        ("text", r#""grüße""#),
        ("text", r#""""#),
        ("users", r#"[{"id":1,"tags":["a","bc"]},{"id":2,"tags":[]}]"#),
        ("users", "[]"),
        ("pick", r#""none""#),
        ("pick", r#"{"number":18446744073709551615}"#),
        ("pick", r#"{"named":"x"}"#),
    ] {
        let linked = valued(VALUES, WIT, method)?;
        assert_eq!(json(&linked, &format!("[{args}]")).await??, args, "{method}");
    }
    let seventeen: Vec<String> = (3..20).map(|at| at.to_string()).collect();
    let args = format!("[{}]", seventeen.join(","));
    assert_eq!(json(&valued(VALUES, WIT, "many")?, &args).await??, "22");
    // Thousands of allocations, among which the memory grows.
    let tags: Vec<String> = (0..20_000).map(|at| format!("\"tag number {at}\"")).collect();
    let users = format!(r#"[{{"id":7,"tags":[{}]}}]"#, tags.join(","));
    let linked = valued(VALUES, WIT, "users")?;
    assert_eq!(json(&linked, &format!("[{users}]")).await??, users);
    Ok(())
}

#[tokio::test]
async fn post_return_runs_once_per_call() -> Tested {
    let text = VALUES.replace("\"freed\"", "\"number\"").replace(
        "(func (export \"number\")",
        "(func (export \"cabi_post_number\") (param i32) (global.set $freed (i32.add (global.get $freed) (i32.const 1)))) (func (export \"number\")",
    );
    let numbers = valued(&text, "number: func() -> u32;", "number")?;
    let mut instance = made(&numbers, Limits::default()).await?;
    for expected in ["0", "1", "2"] {
        assert_eq!(json_of(&mut instance, &numbers, "[]", None).await??, expected);
    }
    let other = VALUES.replace(
        "(export \"cabi_post_text\") (param i32)",
        "(export \"cabi_post_text\") (param i64)",
    );
    let other = other.replace(
        "(local.get 0))))\n  (func (export \"users\")",
        "(i32.wrap_i64 (local.get 0)))))\n  (func (export \"users\")",
    );
    let refused = valued(&other, WIT, "text").err().map(|error| error.to_string());
    assert_eq!(
        refused.as_deref(),
        Some("the export `cabi_post_text` is (i64), but `text` needs (i32)")
    );
    Ok(())
}

/// Answers of a module that lies about its memory.
#[tokio::test]
async fn false_memory_claims_fail_only_their_call() -> Tested {
    let allocates = |at: &str| {
        format!(
            "(module (memory (export \"memory\") 1)
                (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) {at})
                (func (export \"f\") (param i32 i32) (result i32) (local.get 0)))"
        )
    };
    let wit = "f: func(items: list<u32>) -> u32;";
    for (what, at, told) in [
        ("beyond its memory", "(i32.const 65532)", "beyond end of memory"),
        ("where there is none", "(i32.const -4)", "beyond end of memory"),
        ("at an odd place", "(i32.const 3)", "not aligned"),
        ("never", "unreachable", "unreachable"),
    ] {
        let failed = json(&valued(&allocates(at), wit, "f")?, "[[1, 2]]").await?;
        let Err(Failure::Trap(trapped)) = failed else { panic!("{what}: {failed:?}") };
        assert!(trapped.reason().contains(told), "{what}: {trapped}");
    }
    let gives = |body: &str, data: &str| {
        format!(
            "(module (memory (export \"memory\") 1) {data} (func (export \"f\") (result i32) {body}))"
        )
    };
    let (text, shape) = ("f: func() -> string;", "variant s { a, b(u32) } f: func() -> s;");
    for (what, body, data, wit, told) in [
        ("outside", "(i32.const 65532)", "", text, "out of bounds"),
        ("at an odd place", "(i32.const 2)", "", text, "not aligned"),
        (
            "text outside",
            "(i32.const 0)",
            "(data (i32.const 0) \"\\fe\\ff\\00\\00\\03\\00\\00\\00\")",
            text,
            "out of bounds",
        ),
        (
            "text that wraps around",
            "(i32.const 0)",
            "(data (i32.const 0) \"\\fe\\ff\\ff\\ff\\ff\\ff\\ff\\ff\")",
            text,
            "out of bounds",
        ),
        (
            "text that is none",
            "(i32.const 0)",
            "(data (i32.const 0) \"\\08\\00\\00\\00\\02\\00\\00\\00\\ff\\fe\")",
            text,
            "utf-8",
        ),
        ("a case that there is not", "(i32.const 0)", "(data (i32.const 0) \"\\02\")", shape, ""),
    ] {
        let failed = json(&valued(&gives(body, data), wit, "f")?, "[]").await?;
        let Err(Failure::Trap(trapped)) = failed else { panic!("{what}: {failed:?}") };
        assert!(trapped.reason().contains(told), "{what}: {trapped}");
    }
    Ok(())
}

#[tokio::test]
async fn a_guest_that_allocates_without_end_is_stopped() -> Tested {
    let text =
        VALUES.replace("(local $at i32)\n", "(local $at i32) (loop $forever (br $forever))\n");
    let linked = valued(&text, WIT, "text")?;
    let mut instance = made(&linked, Limits::default()).await?;
    let ended = json_of(&mut instance, &linked, r#"["x"]"#, soon(50)).await?;
    let [running, _] = stopped(ended)?;
    assert!(!running.is_zero());
    // A module that exceeds its limit.
    let linked = valued(VALUES, WIT, "text")?;
    let tight = Limits { max_memory_bytes: 1 << 18, ..Limits::default() };
    let mut instance = made(&linked, tight).await?;
    let long = format!("[\"{}\"]", "x".repeat(1 << 18));
    let refused = json_of(&mut instance, &linked, &long, None).await?;
    assert!(matches!(refused, Err(Failure::Limit(ResourceLimit::Memory { .. }))), "{refused:?}");
    let small = Limits { max_output_bytes: 10, ..Limits::default() };
    let mut instance = made(&linked, small).await?;
    let refused = json_of(&mut instance, &linked, r#"["eleven bytes"]"#, None).await?;
    assert!(
        matches!(refused, Err(Failure::Limit(ResourceLimit::Output { allowed: 10 }))),
        "{refused:?}"
    );
    Ok(())
}

/// Each allocation takes longer than a turn, so that every call is suspended in many of them, on any thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_suspended_in_allocations_keep_their_values() -> Tested {
    let slow = VALUES.replace(
        "(local $at i32)\n",
        "(local $at i32) (local $spin i32)
         (loop $spin (br_if $spin (i32.lt_u (local.tee $spin (i32.add (local.get $spin) (i32.const 1))) (i32.const 300000))))\n",
    );
    let engine = Engine::new(EngineConfig {
        allocation: Allocation::OnDemand,
        tick: Duration::from_micros(100),
        ..EngineConfig::default()
    })?;
    let linked = link_in(&engine, &slow, (Some(WIT), "users"), |_| true, false)?;
    let mut calls = Vec::new();
    for at in 0..16 {
        let linked = linked.clone();
        calls.push(tokio::spawn(async move {
            let users = format!(r#"[{{"id":{at},"tags":["a{at}","b{at}","c{at}","d{at}"]}}]"#);
            let mut instance = made(&linked, Limits::default()).await?;
            let given = json_of(&mut instance, &linked, &format!("[{users}]"), None).await??;
            Ok::<_, crate::support::Problem>((given, users))
        }));
    }
    for call in calls {
        let (given, users) = call.await??;
        assert_eq!(given, users);
    }
    Ok(())
}
