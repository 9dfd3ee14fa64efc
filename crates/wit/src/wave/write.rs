//! Component values as WAVE text. WAVE has no form for a map, which is written as the list of its pairs.

use std::fmt::{self, Write};

use wasmtime::component::Val;

/// Words that WAVE does not read as the name of a case.
const KEYWORDS: [&str; 8] = ["true", "false", "some", "none", "ok", "err", "inf", "nan"];

/// Appends `value`.
pub(crate) fn write(out: &mut String, value: &Val) -> fmt::Result {
    match value {
        Val::Bool(v) => write!(out, "{v}"),
        Val::S8(v) => write!(out, "{v}"),
        Val::U8(v) => write!(out, "{v}"),
        Val::S16(v) => write!(out, "{v}"),
        Val::U16(v) => write!(out, "{v}"),
        Val::S32(v) => write!(out, "{v}"),
        Val::U32(v) => write!(out, "{v}"),
        Val::S64(v) => write!(out, "{v}"),
        Val::U64(v) => write!(out, "{v}"),
        Val::Float32(v) if v.is_nan() => out.write_str("nan"),
        Val::Float32(v) => write!(out, "{v}"),
        Val::Float64(v) if v.is_nan() => out.write_str("nan"),
        Val::Float64(v) => write!(out, "{v}"),
        Val::Char(c) => quoted(out, '\'', &c.to_string()),
        Val::String(text) => quoted(out, '"', text),
        Val::Enum(name) => label(out, name),
        Val::Flags(names) => write!(out, "{{{}}}", names.join(", ")),
        Val::List(items) | Val::FixedLengthList(items) => list(out, ['[', ']'], items),
        Val::Tuple(items) => list(out, ['(', ')'], items),
        Val::Record(fields) => record(out, fields),
        Val::Map(pairs) => map(out, pairs),
        Val::Variant(name, payload) => {
            label(out, name)?;
            in_parens(out, payload.as_deref())
        }
        Val::Option(None) => out.write_str("none"),
        Val::Option(payload) => {
            out.write_str("some")?;
            in_parens(out, payload.as_deref())
        }
        Val::Result(Ok(payload)) => {
            out.write_str("ok")?;
            in_parens(out, payload.as_deref())
        }
        Val::Result(Err(payload)) => {
            out.write_str("err")?;
            in_parens(out, payload.as_deref())
        }
        // Handles and streams, which `Mapping::new` refuses.
        _ => Err(fmt::Error),
    }
}

fn label(out: &mut String, name: &str) -> fmt::Result {
    if KEYWORDS.contains(&name) {
        out.push('%');
    }
    out.write_str(name)
}

fn in_parens(out: &mut String, payload: Option<&Val>) -> fmt::Result {
    let Some(payload) = payload else { return Ok(()) };
    out.push('(');
    write(out, payload)?;
    out.push(')');
    Ok(())
}

fn list(out: &mut String, [open, close]: [char; 2], items: &[Val]) -> fmt::Result {
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write(out, item)?;
    }
    out.push(close);
    Ok(())
}

fn map(out: &mut String, pairs: &[(Val, Val)]) -> fmt::Result {
    out.push('[');
    for (at, (key, value)) in pairs.iter().enumerate() {
        out.push_str(if at > 0 { ", (" } else { "(" });
        write(out, key)?;
        out.push_str(", ");
        write(out, value)?;
        out.push(')');
    }
    out.push(']');
    Ok(())
}

fn record(out: &mut String, fields: &[(String, Val)]) -> fmt::Result {
    let given = fields.iter().filter(|(_, value)| !matches!(value, Val::Option(None)));
    out.push('{');
    let mut is_empty = true;
    for (name, value) in given {
        if !is_empty {
            out.push_str(", ");
        }
        is_empty = false;
        write!(out, "{name}: ")?;
        write(out, value)?;
    }
    // A bare `{}` would be flags.
    out.push_str(if is_empty { ":}" } else { "}" });
    Ok(())
}

fn quoted(out: &mut String, quote: char, text: &str) -> fmt::Result {
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' | '"' | '\'' | '\t' | '\r' | '\n' => write!(out, "{}", c.escape_default())?,
            c if c.is_control() => write!(out, "{}", c.escape_unicode())?,
            c => write!(out, "{}", c.escape_debug())?,
        }
    }
    out.push(quote);
    Ok(())
}
