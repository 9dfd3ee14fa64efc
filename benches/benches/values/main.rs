//! JSON text → call → JSON text on a list of records: by `crisol-wit`, beside serde structs over typed bindings, and
//! beside a conversion over `serde_json::Value`. Same instance, same answer.

#![expect(clippy::expect_used, reason = "a bench without its guest has nothing to measure")]
mod routes;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use routes::{Guest, Route, users};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Answer as a value, since the tree orders fields by name.
fn json(answer: &[u8]) -> serde_json::Value {
    serde_json::from_slice(answer).expect("the answer is JSON")
}

fn values(criterion: &mut Criterion) {
    for (name, make) in [("echo", Guest::echo as fn() -> _), ("transform", Guest::transform)] {
        let mut guest = make().expect("the guest links");
        let mut group = criterion.benchmark_group(format!("values/{name}"));
        for count in [3, 100, 10_000] {
            let text = users(count);
            group.throughput(Throughput::Elements(count as u64));
            if count > 1_000 {
                group.sample_size(20);
            }
            let expected = guest.call(Route::Structs, &text).expect("the typed call");
            for route in guest.routes().iter().copied() {
                let answer = guest.call(route, &text).expect("the call");
                assert_eq!(json(&answer), json(&expected), "{name} by {route:?}");
                group.bench_with_input(
                    BenchmarkId::new(format!("{route:?}").to_lowercase(), count),
                    &text,
                    |bencher, text| {
                        bencher
                            .iter_custom(|calls| guest.time(route, text, calls).expect("the call"))
                    },
                );
            }
        }
        group.finish();
    }
}

/// Benches the work before and after a call, without the call.
fn halves(criterion: &mut Criterion) {
    let guest = Guest::echo().expect("the guest links");
    let mut group = criterion.benchmark_group("values/halves");
    for count in [3, 100, 10_000] {
        let text = users(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(BenchmarkId::new("lower", count), &text, |bencher, text| {
            bencher.iter(|| guest.mapping().lower_json(text).expect("the arguments fit"));
        });
        group.bench_with_input(BenchmarkId::new("structs in", count), &text, |bencher, text| {
            bencher.iter(|| routes::structs_in(text).expect("the arguments fit"));
        });
        let lifted = guest.lifted(&text).expect("the arguments fit");
        group.bench_with_input(BenchmarkId::new("lift", count), &lifted, |bencher, lifted| {
            bencher.iter(|| {
                let mut text = Vec::new();
                lifted.write_json(&mut text).expect("the result has a JSON form");
                text
            });
        });
        let structs = routes::structs_in(&text).expect("the arguments fit");
        group.bench_with_input(BenchmarkId::new("structs out", count), &structs, |bencher, v| {
            bencher.iter(|| serde_json::to_vec(v).expect("the result has a JSON form"));
        });
    }
    group.finish();
}

/// Benches ten megabytes in and out, from packed values to packed values: bytes beside text.
fn bytes(criterion: &mut Criterion) {
    let text = format!("[\"{}\"]", "a".repeat(10 << 20));
    let mut group = criterion.benchmark_group("values/bytes");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(20);
    for ty in ["string", "list<u8>"] {
        let mut guest = Guest::echo_of(&format!("echo: func(x: {ty}) -> {ty};")).expect("it links");
        group.bench_function(BenchmarkId::new("echo", ty), |bencher| {
            bencher.iter(|| {
                let args = guest.mapping().lower_json(text.as_bytes()).expect("the arguments fit");
                black_box(guest.call_packed(args).expect("the call"))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, values, halves, bytes);
criterion_main!(benches);
