//! Lowers a value into a guest in three ways: by wasmtime's own values, directly into the component, and into the memory
//! of a core module. Core arguments and every byte of memory are the same, or the error is.

use std::fmt::Write;

use crisol_core::{Field, Signature, Type};
use crisol_wit::{CoreType, Mapping, Memory};
use wasmtime::component::Val;

use super::direct::{CallOutcome, Guest};

/// Address of the first core argument, and of the first allocation.
const ARGS: usize = 16;
const FIRST: u32 = 1024;
/// Size of the guest's memory.
const MEMORY: usize = 65536;
const PRIME: u64 = 0x100_0000_01b3;

/// Behaviour of a guest's allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Realloc {
    /// Correct.
    Bump,
    /// Returns the same place each time.
    Same,
    /// Returns a place one byte off alignment.
    Crooked,
    /// Returns a place beyond the end of its memory.
    Beyond,
}

impl Realloc {
    /// All allocators; most guests behave well.
    pub(crate) const ALL: [Self; 6] =
        [Self::Bump, Self::Bump, Self::Bump, Self::Same, Self::Crooked, Self::Beyond];

    fn body(self) -> String {
        match self {
            Self::Bump => "(call $bump (local.get 2) (local.get 3))".to_owned(),
            Self::Same => format!("(i32.const {FIRST})"),
            Self::Crooked => {
                "(i32.or (call $bump (local.get 2) (local.get 3)) (i32.const 1))".to_owned()
            }
            Self::Beyond => "(i32.const -65536)".to_owned(),
        }
    }
}

/// Guest with `f: func(x: T) -> u64`, which returns a hash of its core arguments and of its whole memory.
pub(crate) struct Stored {
    guest: Guest,
    params: Vec<CoreType>,
    realloc: Realloc,
}

impl Stored {
    pub(crate) fn new(ty: &Type, realloc: Realloc) -> Option<Self> {
        let params = vec![Field { name: "x".to_owned(), ty: ty.clone() }];
        let signature = Signature { params, result: Some(Type::U64) };
        let (params, _) = Mapping::from_signature(signature.clone()).ok()?.core_type()?;
        let guest = Guest::new(&module(&params, realloc), &signature)?;
        Some(Self { guest, params, realloc })
    }

    /// Lowers `value` in each way.
    pub(crate) fn check(&self, value: &Val) {
        let Self { guest, .. } = self;
        let args = guest.mapping.pack_args(std::slice::from_ref(value));
        let Some(args) = args else { panic!("not a value of its type: {value:?}") };
        let val = guest.by_val(std::slice::from_ref(value)).map(|hash| format!("{hash:?}"));
        let core = self.of_core(&args);
        let direct = guest.direct(args);
        let ty = guest.mapping.signature();
        assert_eq!(val, direct, "{ty} {:?}", self.realloc);
        assert_eq!(direct, core, "{ty} {:?}", self.realloc);
    }

    /// Lowers as into a core module, and hashes as the guest does.
    fn of_core(&self, args: &crisol_wit::Packed) -> CallOutcome {
        let mut memory = Bytes { bytes: vec![0; MEMORY], top: FIRST, realloc: self.realloc };
        let lowered = self.guest.mapping.lower_flat(args, &mut memory);
        let (flat, _) = lowered.map_err(|error| error.root_cause().to_string())?;
        let mut bytes = memory.bytes;
        for (at, (ty, bits)) in self.params.iter().zip(flat).enumerate() {
            let size = match ty {
                CoreType::I32 | CoreType::F32 => 4,
                CoreType::I64 | CoreType::F64 => 8,
            };
            let at = ARGS + 8 * at;
            bytes[at..at + size].copy_from_slice(&bits.to_le_bytes()[..size]);
        }
        let (words, _) = bytes.as_chunks::<8>();
        let mixed =
            |hash: u64, word: &[u8; 8]| (hash ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME);
        Ok(format!("{:?}", Val::U64(words.iter().fold(0, mixed))))
    }
}

/// Module that stores its core arguments and hashes its memory.
fn module(params: &[CoreType], realloc: Realloc) -> String {
    let (mut list, mut stores) = (String::new(), String::new());
    for (at, ty) in params.iter().enumerate() {
        let ty = match ty {
            CoreType::I32 => "i32",
            CoreType::I64 => "i64",
            CoreType::F32 => "f32",
            CoreType::F64 => "f64",
        };
        let place = ARGS + 8 * at;
        let _ = write!(list, " {ty}");
        let _ = writeln!(stores, "({ty}.store (i32.const {place}) (local.get {at}))");
    }
    let realloc = realloc.body();
    format!(
        r#"(module
          (memory (export "memory") 1 1)
          (global $top (mut i32) (i32.const {FIRST}))
          (func $bump (param $align i32) (param $size i32) (result i32) (local $at i32)
            (local.set $at (i32.and
              (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
              (i32.sub (i32.const 0) (local.get $align))))
            (global.set $top (i32.add (local.get $at) (local.get $size)))
            (local.get $at))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
          (func (export "f") (param{list}) (result i64) (local $at i32) (local $hash i64)
            {stores}
            (loop $next
              (local.set $hash (i64.mul (i64.const {PRIME})
                (i64.xor (local.get $hash) (i64.load (local.get $at)))))
              (br_if $next (i32.lt_u
                (local.tee $at (i32.add (local.get $at) (i32.const 8)))
                (i32.const {MEMORY}))))
            (local.get $hash)))"#
    )
}

/// Memory of a core module.
struct Bytes {
    bytes: Vec<u8>,
    top: u32,
    realloc: Realloc,
}

impl Memory for Bytes {
    fn bytes(&mut self) -> wasmtime::Result<&mut [u8]> {
        Ok(&mut self.bytes)
    }

    fn realloc(&mut self, _: u32, _: u32, align: u32, size: u32) -> wasmtime::Result<u32> {
        let mut bump = || {
            let at = self.top.wrapping_add(align - 1) & align.wrapping_neg();
            self.top = at.wrapping_add(size);
            at
        };
        Ok(match self.realloc {
            Realloc::Bump => bump(),
            Realloc::Same => FIRST,
            Realloc::Crooked => bump() | 1,
            Realloc::Beyond => 0_u32.wrapping_sub(65536),
        })
    }

    fn check(&mut self) -> wasmtime::Result<()> {
        Ok(())
    }
}
