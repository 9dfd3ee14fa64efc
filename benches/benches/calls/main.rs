//! Calls through the engine, and through the façade, beside the same calls on bare wasmtime (with the same pooling
//! allocator, without limits and deadline): a fresh instance for each call, and one instance for all of them; and fresh
//! calls from one thread and from two. The façade also lowers the arguments and lifts the result, which costs almost
//! nothing for `answer`.
//!
//! `cargo bench -p crisol-benches --bench calls`
#![expect(clippy::expect_used, reason = "a bench without its guests has nothing to measure")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

mod bare;
mod engine;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crisol::{Runtime, Value};
use crisol_engine::{Engine, EngineConfig};
use crisol_fixtures as fixtures;
use crisol_wit::Packed;
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime as Tokio;
use wasmtime::component::Val;

use bare::{Bare, BareCore};
use engine::Route;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// One function in every variant, with its arguments in each one's form.
struct Pair {
    name: &'static str,
    bare: Bare,
    engine: Route,
    vals: Vec<Val>,
    values: Vec<Value>,
}

/// Smallest function: no argument, a number as the result.
const ANSWER: &str = r#"(module (func (export "answer") (result i32) i32.const 42))"#;

fn pairs() -> Result<Vec<Pair>, Problem> {
    let engine = Engine::new(EngineConfig::default())?;
    let pair = |name, component: &[u8], method, vals, values| -> Result<Pair, Problem> {
        let (bare, engine) =
            (Bare::new(component, method)?, Route::new(&engine, component, method)?);
        Ok(Pair { name, bare, engine, vals, values })
    };
    let answer =
        crisol_wit::wrap(&crisol_wit::parse_text(ANSWER, None)?, None, "answer")?.component;
    let numbers = (vec![Val::S32(6), Val::S32(7)], vec![Value::Int(6), Value::Int(7)]);
    // With this number of users in the list that it transforms.
    let mapper = |name, users| {
        let vals = vec![Val::List(vec![user_val(); users])];
        let values = vec![Value::List(vec![user_value(); users])];
        pair(name, &fixtures::bytes("mapper"), "transform-users", vals, values)
    };
    Ok(vec![
        pair("answer", &answer, "answer", Vec::new(), Vec::new())?,
        pair("compute", &fixtures::bytes("compute"), "compute", numbers.0, numbers.1)?,
        mapper("mapper_3", 3)?,
        mapper("mapper_100", 100)?,
    ])
}

fn user_val() -> Val {
    let tags = ["admin", "dev"].map(|tag| Val::String(tag.to_owned())).to_vec();
    Val::Record(vec![
        ("id".to_owned(), Val::U32(1)),
        ("name".to_owned(), Val::String("Alice".to_owned())),
        ("tags".to_owned(), Val::List(tags)),
        ("active".to_owned(), Val::Bool(true)),
    ])
}

fn user_value() -> Value {
    let tags = ["admin", "dev"].map(Value::from).to_vec();
    Value::Map(vec![
        ("id".into(), Value::Int(1)),
        ("name".into(), "Alice".into()),
        ("tags".into(), Value::List(tags)),
        ("active".into(), true.into()),
    ])
}

fn runtime() -> Result<Runtime, Problem> {
    let entry = |name: &str, guest: &str, method: &str, pool: &str| {
        let hash = fixtures::sha256(guest);
        format!(
            "  - {{name: {name}, kind: function.wasm, fs: assets, path: /{guest}.wasm, \
             hash: \"sha256:{hash}\", method: {method}, pool: {pool}}}\n"
        )
    };
    let answer = |name: &str, pool: &str| {
        format!(
            "  - {{name: {name}, kind: function.wat, source: '{ANSWER}', method: answer, pool: {pool}}}\n"
        )
    };
    let fresh = "{type: lazy, max_size: 2}";
    let warm = "{type: static, workers: 1, max_instance_reuse: 4000000000}";
    let text = format!(
        "namespace: b\nentries:\n  - {{name: assets, kind: fs.directory, directory: {:?}}}\n{}{}{}{}{}{}{}{}",
        fixtures::dir().display().to_string(),
        answer("answer_fresh", fresh),
        answer("answer_warm", warm),
        entry("compute_fresh", "compute", "compute", fresh),
        entry("compute_warm", "compute", "compute", warm),
        entry("mapper_3_fresh", "mapper", "transform-users", fresh),
        entry("mapper_3_warm", "mapper", "transform-users", warm),
        entry("mapper_100_fresh", "mapper", "transform-users", fresh),
        entry("mapper_100_warm", "mapper", "transform-users", warm),
    );
    Ok(Runtime::builder().file("_index.yaml", text).load()?)
}

/// Runs `call` one after another in one task; returns the total time. Inputs are prepared in batches that stay in the
/// cache.
async fn one_by_one<I, O>(
    calls: u64,
    input: impl Fn() -> I,
    mut call: impl AsyncFnMut(I) -> O,
) -> Duration {
    const BATCH: u64 = 64;
    let (mut left, mut took) = (calls, Duration::ZERO);
    while left > 0 {
        let inputs: Vec<I> = (0..left.min(BATCH)).map(|_| input()).collect();
        left -= left.min(BATCH);
        let started = Instant::now();
        for input in inputs {
            black_box(call(black_box(input)).await);
        }
        took += started.elapsed();
    }
    took
}

fn calls(criterion: &mut Criterion) {
    let tokio = Tokio::new().expect("a tokio runtime");
    let runtime = runtime().expect("the fixtures as an app");
    for pair in pairs().expect("the fixtures on bare wasmtime") {
        let by_values =
            async |id: &str, values| runtime.call_values(id, values).await.expect("a result");
        let mut group = criterion.benchmark_group(format!("fresh/{}", pair.name));
        group.bench_function("bare", |bencher| {
            bencher.iter_custom(|calls| {
                let call = async |()| pair.bare.fresh(&pair.vals).await.expect("a result");
                tokio.block_on(one_by_one(calls, || (), call))
            });
        });
        let packed = pair.engine.pack(&pair.vals);
        group.bench_function("engine", |bencher| {
            bencher.iter_custom(|calls| {
                let call = async |()| pair.engine.fresh(&packed).await.expect("a result");
                tokio.block_on(one_by_one(calls, || (), call))
            });
        });
        let id = format!("b:{}_fresh", pair.name);
        group.bench_function("crisol", |bencher| {
            bencher.iter_custom(|calls| {
                let call = async |values| by_values(&id, values).await;
                tokio.block_on(one_by_one(calls, || pair.values.clone(), call))
            });
        });
        group.finish();

        let mut group = criterion.benchmark_group(format!("warm/{}", pair.name));
        let mut instance = tokio.block_on(pair.bare.instance()).expect("an instance");
        group.bench_function("bare", |bencher| {
            bencher.iter_custom(|calls| {
                let call = async |()| instance.call(&pair.vals).await.expect("a result");
                tokio.block_on(one_by_one(calls, || (), call))
            });
        });
        let mut instance = tokio.block_on(pair.engine.instance()).expect("an instance");
        group.bench_function("engine", |bencher| {
            bencher.iter_custom(|calls| {
                let call = async |()| {
                    engine::call(&mut instance, &packed).await.expect("a result");
                };
                tokio.block_on(one_by_one(calls, || (), call))
            });
        });
        let id = format!("b:{}_warm", pair.name);
        group.bench_function("crisol", |bencher| {
            bencher.iter_custom(|calls| {
                let call = async |values| by_values(&id, values).await;
                tokio.block_on(one_by_one(calls, || pair.values.clone(), call))
            });
        });
        group.finish();
    }
}

/// Benches the smallest function as a core module.
fn core(criterion: &mut Criterion) {
    let tokio = Tokio::new().expect("a tokio runtime");
    let runtime = runtime().expect("the fixtures as an app");
    let module = crisol_wit::parse_text(ANSWER, None).expect("the text is valid");
    let bare = BareCore::new(&module, "answer").expect("the module on bare wasmtime");
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    let route = Route::core(&engine, &module, "answer").expect("the module links");
    let none = Packed::default();
    let mut group = criterion.benchmark_group("core/answer");
    group.bench_function("bare", |bencher| {
        bencher.iter_custom(|calls| {
            let call = async |()| bare.fresh().await.expect("a result");
            tokio.block_on(one_by_one(calls, || (), call))
        });
    });
    group.bench_function("engine", |bencher| {
        bencher.iter_custom(|calls| {
            let call = async |()| route.fresh(&none).await.expect("a result");
            tokio.block_on(one_by_one(calls, || (), call))
        });
    });
    group.bench_function("crisol", |bencher| {
        bencher.iter_custom(|calls| {
            let call = async |()| {
                runtime.call_values("b:answer_fresh", Vec::new()).await.expect("a result")
            };
            tokio.block_on(one_by_one(calls, || (), call))
        });
    });
    group.finish();
}

/// Benches fresh calls from several threads at once; the time is that of one call of one thread.
fn threads(criterion: &mut Criterion) {
    let tokio = Tokio::new().expect("a tokio runtime");
    let runtime = runtime().expect("the fixtures as an app");
    for pair in pairs().expect("the fixtures on bare wasmtime") {
        let mut group = criterion.benchmark_group(format!("threads/{}", pair.name));
        let bare = Arc::new(pair.bare);
        for threads in [1_u32, 2] {
            group.bench_function(format!("bare/{threads}"), |bencher| {
                bencher.iter_custom(|calls| {
                    at_once(&tokio, threads, || {
                        let (bare, vals) = (Arc::clone(&bare), pair.vals.clone());
                        async move {
                            for _ in 0..calls {
                                bare.fresh(&vals).await.expect("a result");
                            }
                        }
                    })
                });
            });
            let id = format!("b:{}_fresh", pair.name);
            group.bench_function(format!("crisol/{threads}"), |bencher| {
                bencher.iter_custom(|calls| {
                    at_once(&tokio, threads, || {
                        let (runtime, id) = (runtime.clone(), id.clone());
                        let values = pair.values.clone();
                        async move {
                            for _ in 0..calls {
                                runtime.call_values(&id, values.clone()).await.expect("a result");
                            }
                        }
                    })
                });
            });
        }
        group.finish();
    }
}

/// Runs one `task` per thread at once; returns the total time.
fn at_once<F>(tokio: &Tokio, threads: u32, task: impl Fn() -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let started = Instant::now();
    tokio.block_on(async {
        let tasks: Vec<_> = (0..threads).map(|_| tokio::spawn(task())).collect();
        for task in tasks {
            task.await.expect("no task panics");
        }
    });
    started.elapsed()
}

criterion_group!(benches, calls, core, threads);
criterion_main!(benches);
