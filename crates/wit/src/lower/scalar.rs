//! Lowers single values: numbers, text, bytes, null. Values are converted exactly or refused.

use std::fmt;

use super::Run;
use super::build::OneOf;
use crate::error::{Mismatch, Unexpected};
use crate::shape::Shape;

/// Integer types of sources.
pub(crate) trait Integer:
    Copy
    + fmt::Display
    + TryInto<i8>
    + TryInto<u8>
    + TryInto<i16>
    + TryInto<u16>
    + TryInto<i32>
    + TryInto<u32>
    + TryInto<i64>
    + TryInto<u64>
{
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl Integer for $ty {
            fn to_f32(self) -> f32 {
                self as f32
            }

            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

integers!(i64 u64 i128 u128);

/// Converts a number, or fails with the range of the type.
macro_rules! fit {
    ($ty:ty, $name:literal, $number:expr, $shown:expr, $run:expr) => {
        match TryInto::<$ty>::try_into($number) {
            Ok(number) => {
                $run.out.array(number.to_le_bytes());
                Ok(())
            }
            Err(_) => Err(out_of_range($name, <$ty>::MIN, <$ty>::MAX, $shown)),
        }
    };
}

#[cold]
fn out_of_range(
    expected: &'static str,
    low: impl fmt::Display,
    high: impl fmt::Display,
    found: impl fmt::Display,
) -> Mismatch {
    Mismatch::Range {
        expected,
        low: low.to_string(),
        high: high.to_string(),
        found: found.to_string(),
    }
}

#[inline]
pub(crate) fn boolean(shape: &Shape, value: bool, run: &Run) -> Result<(), Mismatch> {
    match shape {
        Shape::Bool => {
            run.out.byte(value.into());
            Ok(())
        }
        Shape::Option(option) if !option.marked => {
            run.out.some();
            boolean(&option.some, value, run)
        }
        _ => Err(Mismatch::of(shape, Unexpected::Bool(value))),
    }
}

#[inline]
pub(crate) fn integer<N: Integer>(shape: &Shape, number: N, run: &Run) -> Result<(), Mismatch> {
    match shape {
        Shape::F32 => float(shape, f64::from(number.to_f32()), false, run),
        Shape::F64 => float(shape, number.to_f64(), false, run),
        Shape::Option(option) if !option.marked => {
            run.out.some();
            integer(&option.some, number, run)
        }
        _ => shown_integer(shape, number, number, run),
    }
}

/// Lowers an integer; messages show `shown`, because the source may have written a float.
#[inline]
fn shown_integer<N: Integer>(
    shape: &Shape,
    number: N,
    shown: impl fmt::Display,
    run: &Run,
) -> Result<(), Mismatch> {
    match shape {
        Shape::S8 => fit!(i8, "s8", number, shown, run),
        Shape::U8 => fit!(u8, "u8", number, shown, run),
        Shape::S16 => fit!(i16, "s16", number, shown, run),
        Shape::U16 => fit!(u16, "u16", number, shown, run),
        Shape::S32 => fit!(i32, "s32", number, shown, run),
        Shape::U32 => fit!(u32, "u32", number, shown, run),
        Shape::S64 => fit!(i64, "s64", number, shown, run),
        Shape::U64 => fit!(u64, "u64", number, shown, run),
        _ => Err(Mismatch::of(shape, Unexpected::number(shown))),
    }
}

/// Least `s64`, as a float.
const LEAST_S64: f64 = i64::MIN as f64;

/// Returns true if `mismatch` is of a float that may have been an integer below every `s64`.
pub(crate) fn may_be_rounded(mismatch: &Mismatch) -> bool {
    matches!(mismatch, Mismatch::Range { expected: "s64", found, .. }
        if *found == ShownFloat(LEAST_S64).to_string())
}

/// Float in a message: long ones with an exponent, and never in the form of an integer.
struct ShownFloat(f64);

impl fmt::Display for ShownFloat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 != 0.0 && !(1e-5..1e17).contains(&self.0.abs()) && self.0.is_finite() {
            write!(f, "{:e}", self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// Lowers a float; with `rounded`, it may be an integer that the source's reader rounded.
pub(crate) fn float(shape: &Shape, number: f64, rounded: bool, run: &Run) -> Result<(), Mismatch> {
    match shape {
        Shape::F64 => {
            run.out.array(number.to_le_bytes());
            Ok(())
        }
        Shape::F32 => {
            run.out.array(single(number)?.to_le_bytes());
            Ok(())
        }
        Shape::Option(option) if !option.marked => {
            run.out.some();
            float(&option.some, number, rounded, run)
        }
        _ => integral(shape, number, rounded, run),
    }
}

fn single(number: f64) -> Result<f32, Mismatch> {
    let narrow = number as f32;
    if narrow.is_infinite() && number.is_finite() {
        return Err(out_of_range("f32", "-3.4028235e38", "3.4028235e38", ShownFloat(number)));
    }
    Ok(narrow)
}

/// Lowers a float as an integer: in Lua and JavaScript any number may be a float.
fn integral(shape: &Shape, number: f64, rounded: bool, run: &Run) -> Result<(), Mismatch> {
    let shown = ShownFloat(number);
    let name = match shape {
        Shape::S8 => "s8",
        Shape::U8 => "u8",
        Shape::S16 => "s16",
        Shape::U16 => "u16",
        Shape::S32 => "s32",
        Shape::U32 => "u32",
        Shape::S64 => "s64",
        Shape::U64 => "u64",
        _ => return Err(Mismatch::of(shape, Unexpected::number(shown))),
    };
    if number.fract() != 0.0 || !number.is_finite() {
        return Err(Mismatch::Fraction { expected: name, found: shown.to_string() });
    }
    // The text `-9223372036854775809` arrives as the float of the number above it, and must not be truncated. Only here
    // a float in the range of an integer type may have been an integer outside of it.
    if rounded && number == LEAST_S64 && matches!(shape, Shape::S64) {
        return Err(out_of_range(name, i64::MIN, i64::MAX, shown));
    }
    // The cast saturates, and the limit is out of range for every WIT integer.
    shown_integer(shape, number as i128, shown, run)
}

/// Parses the numbers that JSON has no form for.
fn special_float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

#[inline]
pub(crate) fn text(
    shape: &Shape,
    text: &str,
    human_readable: bool,
    run: &Run,
) -> Result<(), Mismatch> {
    match shape {
        Shape::String => run.out.counted(shape, text.as_bytes()),
        _ => text_of_other(shape, text, human_readable, run),
    }
}

/// Lowers text for a type other than `string`.
fn text_of_other(
    shape: &Shape,
    text: &str,
    human_readable: bool,
    run: &Run,
) -> Result<(), Mismatch> {
    match shape {
        Shape::Option(option) if !option.marked => {
            run.out.some();
            self::text(&option.some, text, human_readable, run)
        }
        Shape::Bytes(_) => bytes(shape, text.as_bytes(), run),
        Shape::F32 | Shape::F64 if human_readable => match special_float(text) {
            Some(number) => float(shape, number, false, run),
            None => Err(Mismatch::of(shape, Unexpected::text(text))),
        },
        Shape::Char => {
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => {
                    run.out.array(u32::from(only).to_le_bytes());
                    Ok(())
                }
                _ => Err(Mismatch::of(shape, Unexpected::text(text))),
            }
        }
        Shape::Enum(_) | Shape::Variant(_) | Shape::Result(_) => match OneOf::of(shape) {
            Some(cases) => cases.bare(text, run),
            None => Err(Mismatch::of(shape, Unexpected::text(text))),
        },
        _ => Err(Mismatch::of(shape, Unexpected::text(text))),
    }
}

pub(crate) fn bytes(shape: &Shape, bytes: &[u8], run: &Run) -> Result<(), Mismatch> {
    match shape {
        Shape::Bytes(None) => run.out.counted(shape, bytes),
        Shape::Bytes(Some(len)) if bytes.len() == *len as usize => {
            run.out.plain(bytes);
            Ok(())
        }
        Shape::Bytes(Some(len)) => Err(Mismatch::length(shape, *len as usize, bytes.len())),
        Shape::Option(option) if !option.marked => {
            run.out.some();
            self::bytes(&option.some, bytes, run)
        }
        _ => Err(Mismatch::of(shape, Unexpected::Bytes(bytes.len()))),
    }
}

pub(crate) fn null(shape: &Shape, run: &Run) -> Result<(), Mismatch> {
    match shape {
        Shape::Option(_) => {
            run.out.none();
            Ok(())
        }
        _ => Err(Mismatch::of(shape, Unexpected::Null)),
    }
}
