//! Memory that a megabyte of arguments takes, over the types that take the most.

use crisol_core::{Field, Signature};
use crisol_wit::{Mapping, Outcome};

const MEGABYTE: usize = 1 << 20;

/// Peak bytes for each byte of the arguments. The maximum is a list of 64-bit numbers in MessagePack: one byte each
/// becomes eight, and while the buffer doubles, the old and the new one exist.
const PER_BYTE: u64 = 25;

/// Peak bytes for omitted fields, one byte each in a buffer that grows: as many as any call may omit, and more for each
/// record, which may be one byte long. Each is charged its size as a `Val`, over 64 bytes.
const LEFT_OUT: u64 = 3 * ((64 << 20) + 256 * MEGABYTE as u64) / 64;

const TYPES: [(&str, &str, u64); 27] = [
    ("list<u64>", "1", 0),
    ("list<f64>", "1", 0),
    ("list<option<f64>>", "1", 0),
    ("list<u8>", "1", 0),
    ("list<list<u8>>", "\"1111111111111111\"", 0),
    ("list<bool>", "true", 0),
    ("list<string>", "\"\"", 0),
    ("list<string>", "\"12345678901234567890\"", 0),
    ("list<option<u8>>", "null", 0),
    ("list<option<option<option<u8>>>>", "{\"some\":{\"some\":1}}", 0),
    ("list<enum { a }>", "\"a\"", 0),
    ("list<variant { a, b(u8) }>", "\"a\"", 0),
    ("list<variant { a, b(u8) }>", "{\"b\":1}", 0),
    ("list<result>", "\"ok\"", 0),
    ("list<result<result<u8>>>", "{\"ok\":{\"ok\":1}}", 0),
    ("list<tuple<u8>>", "[1]", 0),
    ("list<tuple<tuple<tuple<u8>>>>", "[[[1]]]", 0),
    ("list<list<bool, 1>>", "[true]", 0),
    ("list<list<string>>", "[]", 0),
    ("list<list<list<list<u8>>>>", "[[[1]]]", 0),
    ("list<list<list<list<u8>>>>", "[[[]]]", 0),
    ("list<flags { a, b, c, d, e, f, g, h, i, j, k, l }>", "[\"a\"]", 0),
    ("list<map<string, u8>>", "{\"\":1}", 0),
    ("list<map<u8, u8>>", "[[1,1]]", 0),
    ("list<record { a: u8, b: u8, c: u8 }>", "{\"c\":1,\"b\":1,\"a\":1}", 0),
    ("list<record { a: option<u8> }>", "{}", LEFT_OUT),
    (
        "list<record { a: option<u8>, b: option<u8>, c: option<u8>, d: option<u8>, \
         e: option<u8>, f: option<u8>, g: option<u8>, h: option<u8>, long-name: option<u8> }>",
        "{}",
        LEFT_OUT,
    ),
];

fn mapping(ty: &str) -> Mapping {
    let params = vec![Field { name: "x".to_owned(), ty: crate::types::parse(ty) }];
    Mapping::from_signature(Signature { params, result: None }).unwrap()
}

/// Checks that `lower` takes no more at its peak than `size` bytes of arguments may.
fn measure(name: &str, size: usize, extra: u64, lower: impl FnOnce() -> bool) {
    let mut is_taken = false;
    let allocated = allocation_counter::measure(|| is_taken = lower());
    let most = PER_BYTE * size as u64 + extra;
    assert!(
        allocated.bytes_max <= most,
        "{name}: {} bytes for {size} (taken: {is_taken})",
        allocated.bytes_max
    );
    assert!(is_taken || extra > 0, "{name} is refused");
}

#[test]
fn a_megabyte_of_json_does_not_make_a_gigabyte() {
    for (ty, item, extra) in TYPES {
        let mapping = mapping(ty);
        let count = MEGABYTE / (item.len() + 1);
        let text = format!("[[{}]]", vec![item; count].join(","));
        measure(&format!("{ty} {item}"), text.len(), extra, || {
            mapping.lower_json(text.as_bytes()).is_ok()
        });
    }
}

#[test]
fn a_megabyte_of_messagepack_does_not_make_a_gigabyte() {
    for (ty, item, extra) in TYPES {
        let mapping = mapping(ty);
        let item = serde_json::from_str::<serde_json::Value>(item).unwrap();
        let packed = rmp_serde::to_vec_named(&item).unwrap();
        let count = MEGABYTE / packed.len();
        // One argument, an array of `count`.
        let mut bytes = vec![0x91, 0xdd];
        bytes.extend(u32::try_from(count).unwrap().to_be_bytes());
        bytes.extend(packed.repeat(count));
        measure(&format!("{ty} {item} packed"), bytes.len(), extra, || {
            mapping.lower(&mut rmp_serde::Deserializer::from_read_ref(&bytes)).is_ok()
        });
    }
}

#[test]
fn rust_values_take_no_more_than_their_json() {
    for (ty, item, extra) in TYPES {
        let mapping = mapping(ty);
        let count = MEGABYTE / (item.len() + 1);
        let item = serde_json::from_str::<serde_json::Value>(item).unwrap();
        let args = [vec![item; count]];
        measure(&format!("{ty} serialized"), MEGABYTE, extra, || {
            mapping.lower_serialize(&args).is_ok()
        });
    }
}

/// A claimed size allocates nothing, at any depth.
#[test]
fn claimed_sizes_allocate_nothing() {
    let mapping = mapping("list<list<list<list<list<list<list<list<string>>>>>>>>");
    let mut bytes = vec![0x91];
    for _ in 0..8 {
        bytes.extend([0xdd, 0xff, 0xff, 0xff, 0xff]);
    }
    let allocated = allocation_counter::measure(|| {
        assert!(mapping.lower(&mut rmp_serde::Deserializer::from_read_ref(&bytes)).is_err());
    });
    assert!(allocated.bytes_max < 1 << 20, "{} bytes", allocated.bytes_max);
}

/// Whole call of an echo guest, JSON text in and out. At its peak both trees of values exist, because the call makes
/// one while it reads the other, and nothing else of that size.
#[test]
fn a_call_takes_its_two_trees_and_little_else() {
    const USERS: usize = 10_000;
    let user = |at: usize| {
        let tags = ["\"admin\",\"dev\"", "\"user\"", "\"dev\""][at % 3];
        format!("{{\"id\":{at},\"name\":\"Alice Liddell\",\"tags\":[{tags}],\"active\":true}}")
    };
    let text = format!("[[{}]]", (0..USERS).map(user).collect::<Vec<_>>().join(","));
    let mut echo = crate::support::Echo::of(&crate::types::parse(
        "record { id: u32, name: string, tags: list<string>, active: bool }",
    ));

    let mut args = Vec::new();
    let lowering = allocation_counter::measure(|| {
        args = echo.mapping.unpack_args(&echo.mapping.lower_json(text.as_bytes()).unwrap());
    });
    // The first call allocates the memory that the instance keeps.
    drop(echo.call_vals(&args));
    let mut result = None;
    let calling = allocation_counter::measure(|| result = Some(echo.call_vals(&args)));
    let trees = (lowering.bytes_current + calling.bytes_current).unsigned_abs();
    drop((args, result));

    let whole = allocation_counter::measure(|| {
        let args = echo.mapping.unpack_args(&echo.mapping.lower_json(text.as_bytes()).unwrap());
        let result = echo.call_vals(&args);
        drop(args);
        match echo.mapping.lift(echo.mapping.pack_result(Some(result))) {
            Outcome::Value(out) => {
                assert_eq!(serde_json::to_string(&out).unwrap().len() + "[]".len(), text.len())
            }
            Outcome::Error(_) => panic!("it has no error side"),
        }
    });
    let bound = 3 * text.len() as u64 + trees;
    assert!(whole.bytes_max <= bound, "{} bytes, and {bound} is the bound", whole.bytes_max);
    // For each tree: a vector of fields, four names, the name's text, the tags' vector and texts. The rest is the
    // growth of a few vectors.
    let tags = (0..USERS).map(|at| if at % 3 == 0 { 2 } else { 1 }).sum::<usize>();
    let most = 2 * (USERS * 7 + tags) + 200;
    assert!(whole.count_total <= most as u64, "{} allocations, not {most}", whole.count_total);
}
