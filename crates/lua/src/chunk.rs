//! A Lua chunk that is compiled once in this process and loaded from its bytecode after that.
//!
//! Lua does not verify bytecode, so only [`Chunk::load`] may load any, and only bytecode that the same value
//! dumped from its own compiled text. The bytecode keeps all debug information: errors and traces name the
//! same files, lines and variables as those of compiled text.

use std::borrow::Cow;
use std::sync::OnceLock;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, Result};

/// Source text of a chunk, and its bytecode once it was compiled.
pub(crate) struct Chunk {
    name: Cow<'static, str>,
    text: Cow<'static, str>,
    bytecode: OnceLock<Vec<u8>>,
}

impl Chunk {
    /// Creates a chunk. `name` is Lua's chunk name: `@` before a file name, `=` before any other.
    pub(crate) const fn new(name: Cow<'static, str>, text: Cow<'static, str>) -> Self {
        Self { name, text, bytecode: OnceLock::new() }
    }

    /// Size in bytes of the text or bytecode that the next load reads.
    pub(crate) fn size(&self) -> usize {
        self.bytecode.get().map_or(self.text.len(), Vec::len)
    }

    /// Loads the chunk into a Lua instance.
    ///
    /// # Errors
    /// Fails if the text is not valid Lua, or for lack of memory.
    pub(crate) fn load(&self, lua: &Lua) -> Result<Function> {
        if let Some(bytecode) = self.bytecode.get() {
            let chunk = lua.load(bytecode).set_name(&*self.name);
            return chunk.set_mode(ChunkMode::Binary).into_function();
        }
        let chunk = lua.load(&*self.text).set_name(&*self.name);
        let function = chunk.set_mode(ChunkMode::Text).into_function()?;
        // Fails if another thread compiled the same text meanwhile, to the same bytecode.
        drop(self.bytecode.set(function.dump(false)));
        Ok(function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_is_compiled_once_and_runs_alike_in_every_instance() -> Result<()> {
        let text = "local n = ... local function f() return n + 1 end return f()";
        let chunk = Chunk::new("@a.lua".into(), text.into());
        assert_eq!(chunk.size(), text.len());
        for n in 0..3 {
            let lua = Lua::new();
            assert_eq!(chunk.load(&lua)?.call::<i64>(n)?, n + 1);
            assert!(chunk.bytecode.get().is_some_and(|code| code.starts_with(b"\x1bLua")));
        }
        Ok(())
    }

    #[test]
    fn bytecode_names_the_same_file_line_and_variable() -> Result<()> {
        let text = "local absent\nlocal function f()\n  return absent.field\nend\nreturn f()";
        let chunk = Chunk::new("@folder/a.lua".into(), text.into());
        let [first, second] = [Lua::new(), Lua::new()].map(|lua| {
            let ended = chunk.load(&lua).and_then(|run| run.call::<()>(()));
            ended.err().map(|error| error.to_string())
        });
        let expected = "folder/a.lua:3: attempt to index a nil value (upvalue 'absent')";
        assert!(first.as_ref().is_some_and(|text| text.contains(expected)), "{first:?}");
        assert_eq!(first, second);
        Ok(())
    }

    #[test]
    fn text_that_is_not_lua_is_never_bytecode() {
        for text in ["return +", "\x1bLua", "\x1bLuaT\0"] {
            let chunk = Chunk::new("@a.lua".into(), text.into());
            for _ in 0..2 {
                assert!(chunk.load(&Lua::new()).is_err(), "{text:?}");
                assert!(chunk.bytecode.get().is_none(), "{text:?}");
            }
        }
    }
}
