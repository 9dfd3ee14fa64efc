//! The Lua edge of Crisol: the `funcs` module over any `Invoke`
