//! Direct lowering and lifting, compared with wasmtime's own [`Val`]s: for generated types and values, and for hostile
//! guests, both give the same value or the same error.

use std::fmt::Write;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crisol_core::{Field, Signature, Type};
use crisol_wit::{CallBounds, CoreType, DirectFunc, Mapping, OverOutput, Packed};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert, proptest};
use wasmtime::Store;
use wasmtime::component::{Component, Func, Instance, Linker, Val};

use super::support::{engine, function};
use super::types::{any_type, any_value, parse};

/// Bytes that a guest may pass in a test of any type: more would be many items of size zero.
const FUEL: usize = 1 << 20;

pub(crate) const WITHIN: CallBounds =
    CallBounds { max_output: 1 << 20, deadline: None, check: |_| Ok(()) };

/// Returns the output of a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

/// Function `f` of a component; each kind of call gets an instance of its own.
struct Guest {
    component: Component,
    mapping: Mapping,
}

impl Guest {
    fn new(module: &str, signature: &Signature) -> Self {
        let module =
            crisol_wit::parse_text(module, None).unwrap_or_else(|e| panic!("{e}\n{module}"));
        let wit = signature.to_wit("f");
        let wrapped =
            crisol_wit::wrap(&module, Some(&wit), "f").unwrap_or_else(|e| panic!("{e}\n{wit}"));
        Self::of_component(&wrapped.component)
    }

    fn of_component(bytes: &[u8]) -> Self {
        let component = Component::new(engine(), bytes).unwrap();
        let mapping = function(&component, "f").unwrap();
        Self { component, mapping }
    }

    fn instance(&self) -> (Store<()>, Func) {
        #[expect(clippy::disallowed_methods, reason = "bare wasmtime, without the engine")]
        let mut store = Store::new(engine(), ());
        store.set_hostcall_fuel(FUEL);
        let instance: Instance =
            Linker::new(engine()).instantiate(&mut store, &self.component).unwrap();
        let func = instance.get_func(&mut store, "f").unwrap();
        (store, func)
    }

    fn by_val(&self, args: &[Val]) -> Result<Val, String> {
        let (mut store, func) = self.instance();
        let mut results = [Val::Bool(false)];
        let called = func.call(&mut store, args, &mut results);
        let [result] = results;
        called.map(|()| result).map_err(|error| error.root_cause().to_string())
    }

    fn direct(&self, args: Packed, bounds: CallBounds) -> wasmtime::Result<Packed> {
        let (mut store, func) = self.instance();
        let func = DirectFunc::new(&self.mapping, func, &store).unwrap();
        now(func.call_async(&mut store, &self.mapping, args, bounds)).map(Option::unwrap)
    }

    /// Calls in both ways. Results are compared as text, because NaN is not equal to itself.
    fn both(&self, args: &[Val]) -> [Result<String, String>; 2] {
        let val = self.by_val(args).map(|value| format!("{value:?}"));
        let direct = self.direct(self.mapping.pack_args(args).unwrap(), WITHIN);
        let unpacked = |result| format!("{:?}", self.mapping.unpack_result(&result).unwrap());
        let direct = direct.map(unpacked).map_err(|error| error.root_cause().to_string());
        [val, direct]
    }
}

fn core(ty: CoreType) -> &'static str {
    match ty {
        CoreType::I32 => "i32",
        CoreType::I64 => "i64",
        CoreType::F32 => "f32",
        CoreType::F64 => "f64",
    }
}

/// Behaviour of a guest's allocator.
#[derive(Debug, Clone, Copy)]
enum Realloc {
    /// Correct.
    Bump,
    /// Returns the same place each time.
    Same,
    /// Returns a place one byte off alignment.
    Crooked,
    /// Returns a place beyond the end of its memory.
    Beyond,
    /// Traps.
    Trap,
    /// Correct, but overwrites the previous allocation.
    Scribble,
}

impl Realloc {
    fn body(self) -> &'static str {
        match self {
            Self::Bump => "(call $bump (local.get 2) (local.get 3))",
            Self::Same => "(i32.const 1024)",
            Self::Crooked => "(i32.or (call $bump (local.get 2) (local.get 3)) (i32.const 1))",
            Self::Beyond => "(i32.const -65536)",
            Self::Trap => "(unreachable)",
            Self::Scribble => {
                "(memory.fill (i32.const 1024) (i32.const 0xa5)
                   (i32.sub (global.get $top) (i32.const 1024)))
                 (call $bump (local.get 2) (local.get 3))"
            }
        }
    }
}

/// Guest whose function returns its core arguments and all of its memory.
fn dump(params: &[Type], realloc: Realloc) -> Guest {
    let params = params.iter().enumerate();
    let params = params.map(|(at, ty)| Field { name: format!("p{at}"), ty: ty.clone() }).collect();
    let result = Some(Type::List(Box::new(Type::U8)));
    let signature = Signature { params, result };
    let (types, _) = Mapping::from_signature(signature.clone()).unwrap().core_type().unwrap();
    let (mut list, mut stores) = (String::new(), String::new());
    for (at, ty) in types.iter().enumerate() {
        let ty = core(*ty);
        write!(list, " {ty}").unwrap();
        writeln!(stores, "({ty}.store (i32.const {}) (local.get {at}))", 16 + 8 * at).unwrap();
    }
    let realloc = realloc.body();
    let module = format!(
        r#"(module
          (memory (export "memory") 16)
          (global $top (mut i32) (i32.const 1024))
          (func $bump (param $align i32) (param $size i32) (result i32) (local $at i32)
            (local.set $at (i32.and
              (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
              (i32.sub (i32.const 0) (local.get $align))))
            (global.set $top (i32.add (local.get $at) (local.get $size)))
            (local.get $at))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
          (func (export "f") (param{list}) (result i32)
            {stores}
            (i32.store (i32.const 8) (i32.const 16))
            (i32.store (i32.const 12) (i32.const 16384))
            (i32.const 8)))"#
    );
    Guest::new(&module, &signature)
}

/// Guest that returns a forged result: a number, or a place in memory that holds `words`.
fn liar(ty: &Type, words: &[u32], number: u64) -> Guest {
    let signature = Signature { params: Vec::new(), result: Some(ty.clone()) };
    let (_, results) = Mapping::from_signature(signature.clone()).unwrap().core_type().unwrap();
    let [result] = results[..] else { panic!("{ty} is several core values") };
    let number = match result {
        CoreType::I32 => format!("i32.const {}", number as u32),
        CoreType::I64 => format!("i64.const {number}"),
        CoreType::F32 => format!("f32.reinterpret_i32 (i32.const {})", number as u32),
        CoreType::F64 => format!("f64.reinterpret_i64 (i64.const {number})"),
    };
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    let data: String = bytes.map(|byte| format!("\\{byte:02x}")).collect();
    let result = core(result);
    let module = format!(
        r#"(module
          (memory (export "memory") 1)
          (data (i32.const 0) "{data}")
          (func (export "f") (result {result}) ({number})))"#
    );
    Guest::new(&module, &signature)
}

fn typed_args() -> impl Strategy<Value = (Vec<Type>, Vec<Val>)> {
    prop::collection::vec(any_type(), 0..6).prop_flat_map(|types| {
        let values: Vec<_> = types.iter().map(any_value).collect();
        (Just(types), values)
    })
}

fn realloc() -> impl Strategy<Value = Realloc> {
    use Realloc::{Beyond, Bump, Crooked, Same, Scribble, Trap};
    // Most guests behave well.
    prop::sample::select(vec![Bump, Bump, Bump, Bump, Same, Crooked, Beyond, Trap, Scribble])
}

/// Words of a hostile guest's memory: small numbers, which may be discriminants and lengths, pointers into it, and
/// random ones.
fn word() -> impl Strategy<Value = u32> {
    proptest::prop_oneof![
        4 => 0..4_u32,
        2 => 0..64_u32,
        3 => (0..64_u32).prop_map(|at| at * 8),
        1 => 0x20_u32..0x7f,
        1 => any::<u32>(),
    ]
}

/// First characters of a result that may be kilobytes long.
fn start(result: &Result<String, String>) -> String {
    format!("{result:?}").chars().take(200).collect()
}

fn is_fuel(result: &Result<String, String>) -> bool {
    matches!(result, Err(error) if error.contains("fuel allocated for hostcalls"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// The core values and every byte of memory equal those of wasmtime.
    #[test]
    fn arguments_are_lowered_as_wasmtime_does((types, args) in typed_args(), realloc in realloc()) {
        let [val, direct] = dump(&types, realloc).both(&args);
        prop_assert!(val == direct, "{} {}", start(&val), start(&direct));
    }

    /// Forged results are lifted as wasmtime lifts them.
    #[test]
    fn results_are_lifted_as_wasmtime_does(
        ty in any_type(),
        words in prop::collection::vec(word(), 128),
        number in word(),
        high in any::<u32>(),
    ) {
        // Most numbers are an aligned place.
        let place = if high % 16 == 0 { number } else { number / 8 * 8 };
        let [val, direct] = liar(&ty, &words, u64::from(high) << 32 | u64::from(place)).both(&[]);
        // Wasmtime charges the size of its own values, which are many times as large as their content.
        if !is_fuel(&val) {
            prop_assert!(val == direct, "{} {}", start(&val), start(&direct));
        }
    }
}

/// Component that returns its strings in `encoding`, unchanged.
fn echo_strings(encoding: &str) -> Guest {
    let text = format!(
        r#"(component
          (core module $m
            (memory (export "memory") 16)
            (global $top (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
              (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
              (global.set $top (i32.add (local.get $at) (local.get 3)))
              (memory.copy (local.get $at) (local.get 0)
                (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))
              (local.get $at))
            (func (export "f") (param i32 i32) (result i32)
              (i32.store (i32.const 16) (local.get 0))
              (i32.store (i32.const 20) (local.get 1))
              (i32.const 16)))
          (core instance $i (instantiate $m))
          (type $strings (list string))
          (func (export "f") (param "x" $strings) (result $strings)
            (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc"))
              string-encoding={encoding})))"#
    );
    Guest::of_component(&crisol_wit::parse_text(&text, None).unwrap())
}

#[test]
fn strings_cross_in_every_encoding() {
    let texts = ["", "a", "naïve", "ÿ", "Ā", "aĀ", "é€", "日本語", "🦀", "a🦀é", "\0", "\u{ffff}"];
    let args = [Val::List(texts.iter().map(|text| Val::String((*text).to_owned())).collect())];
    for encoding in ["utf8", "utf16", "latin1+utf16"] {
        let guest = echo_strings(encoding);
        let [val, direct] = guest.both(&args);
        assert_eq!(val, Ok(format!("{:?}", args[0])), "{encoding}");
        assert_eq!(val, direct, "{encoding}");
    }
}

/// Invalid strings, from the memory of a guest.
#[test]
fn invalid_strings_are_refused_in_every_encoding() {
    let bytes = ["\\61\\c3", "\\00\\d8\\61\\00", "\\ff\\ff\\00\\dc"];
    for encoding in ["utf8", "utf16", "latin1+utf16"] {
        for data in bytes {
            for (at, len) in
                [(32, 2), (33, 2), (32, 1), (32, 0x8000_0002_u32), (65535, 9), (32, u32::MAX)]
            {
                let text = format!(
                    r#"(component
                      (core module $m
                        (memory (export "memory") 1)
                        (data (i32.const 32) "{data}")
                        (func (export "f") (result i32)
                          (i32.store (i32.const 16) (i32.const {at}))
                          (i32.store (i32.const 20) (i32.const {}))
                          (i32.const 16)))
                      (core instance $i (instantiate $m))
                      (func (export "f") (result string)
                        (canon lift (core func $i "f") (memory $i "memory") string-encoding={encoding})))"#,
                    len as i32
                );
                let guest = Guest::of_component(&crisol_wit::parse_text(&text, None).unwrap());
                let [val, direct] = guest.both(&[]);
                assert_eq!(val, direct, "{encoding} {data} {at} {len}");
            }
        }
    }
}

fn one(ty: &str, words: &[u32]) -> Guest {
    liar(&parse(ty), words, 0)
}

/// Discriminants wider than a byte.
#[test]
fn enums_of_many_cases_cross() {
    let cases: Vec<String> = (0..300).map(|at| format!("c{at}")).collect();
    let ty = format!("enum {{ {} }}", cases.join(", "));
    let value = Val::Enum("c299".to_owned());
    let [val, direct] = dump(&[parse(&ty)], Realloc::Bump).both(std::slice::from_ref(&value));
    assert!(val.is_ok() && val == direct, "{} {}", start(&val), start(&direct));
    let listed = [Val::List(vec![value])];
    let [val, direct] = dump(&[parse(&format!("list<{ty}>"))], Realloc::Bump).both(&listed);
    assert!(val.is_ok() && val == direct, "{} {}", start(&val), start(&direct));
    for number in [299, 300, 70_000] {
        let [val, direct] = liar(&parse(&ty), &[], number).both(&[]);
        assert_eq!(val, direct);
        let [val, direct] =
            liar(&parse(&format!("list<{ty}>")), &[8, 1, number as u32], 0).both(&[]);
        assert_eq!(val, direct);
    }
}

#[test]
fn a_result_is_bounded_by_its_contents() {
    let over = |guest: &Guest, max_output| {
        let ended = guest.direct(Packed::default(), CallBounds { max_output, ..WITHIN });
        ended.err().and_then(|error| error.downcast::<OverOutput>().ok())
    };
    // Ten strings of eight bytes, all at the same place.
    let mut words = vec![8, 10];
    words.extend([0, 8].repeat(10));
    let strings = one("list<string>", &words);
    assert_eq!(over(&strings, 80), None);
    assert_eq!(over(&strings, 79), Some(OverOutput { allowed: 79 }));
    let numbers = one("list<u32>", &[8, 4]);
    assert_eq!(over(&numbers, 16), None);
    assert_eq!(over(&numbers, 15), Some(OverOutput { allowed: 15 }));
    let number = one("u64", &[]);
    assert_eq!(over(&number, 8), None);
    assert_eq!(over(&number, 7), Some(OverOutput { allowed: 7 }));
}

/// Lists of lists at the same place: half a kilobyte that expands to 64 billion items.
#[test]
fn overlapping_lists_are_charged_for_each_use() {
    let mut words = Vec::new();
    for _ in 0..64 {
        words.extend([0, 64]);
    }
    let guest = one("list<list<list<list<list<list<u8>>>>>>", &words);
    let bounds = CallBounds { max_output: u64::MAX, ..WITHIN };
    let error = guest.direct(Packed::default(), bounds).unwrap_err();
    assert!(error.to_string().contains("fuel allocated for hostcalls"), "{error}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any moment works")]
fn lowering_and_lifting_stop_at_the_deadline() {
    let late = CallBounds {
        deadline: Some(std::time::Instant::now()),
        check: |_| Err(wasmtime::Error::msg("late")),
        ..WITHIN
    };
    // 8 000 items, each of which is checked.
    let out = one("list<bool>", &[8, 8000]);
    assert_eq!(out.direct(Packed::default(), late).unwrap_err().to_string(), "late");
    let into = dump(&[parse("list<bool>")], Realloc::Bump);
    let text = format!("[[{}true]]", "true,".repeat(7999));
    let args = into.mapping.lower_json(text.as_bytes()).unwrap();
    assert_eq!(into.direct(args.clone(), late).unwrap_err().to_string(), "late");
    assert!(into.direct(args, WITHIN).is_ok());
}

/// The mapping of another function passes meaningless numbers, and causes no other harm.
#[test]
fn the_mapping_of_another_function_does_no_harm() {
    let guests = ["u8", "string", "list<list<string>>", "tuple<u64, f32, string>", "option<char>"];
    for of in guests {
        for by in guests {
            let guest = dump(&[parse(of)], Realloc::Bump);
            let other = dump(&[parse(by)], Realloc::Bump);
            let text = match by {
                "u8" => "[1]",
                "string" => "[\"abc\"]",
                "list<list<string>>" => "[[[\"a\"],[]]]",
                "option<char>" => "[null]",
                _ => "[[1, 2, \"abc\"]]",
            };
            let args = other.mapping.lower_json(text.as_bytes()).unwrap();
            let (mut store, func) = guest.instance();
            let func = DirectFunc::new(&other.mapping, func, &store).unwrap();
            let _ = now(func.call_async(&mut store, &other.mapping, args, WITHIN));
        }
    }
    // Functions without memory, with mappings that need it.
    let text = r#"(component (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
        (core instance $i (instantiate $m))
        (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))"#;
    let guest = Guest::of_component(&crisol_wit::parse_text(text, None).unwrap());
    let other = dump(&[parse("string")], Realloc::Bump);
    let args = other.mapping.lower_json(b"[\"abc\"]").unwrap();
    let (mut store, func) = guest.instance();
    let func = DirectFunc::new(&other.mapping, func, &store).unwrap();
    assert!(now(func.call_async(&mut store, &other.mapping, args, WITHIN)).is_err());
}
