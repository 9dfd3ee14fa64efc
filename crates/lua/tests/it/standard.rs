//! Checks that replaced functions of the standard library behave like Lua's own.

use crisol_core::Value;

use crate::support::{Tested, run};

/// Scripts to run in a state and in plain Lua 5.4, with equal results.
const SCRIPTS: &[&str] = &[
    "return ('hello world'):find('o w')",
    "return ('hello world'):find('l+')",
    "return ('hello'):find('l', 1, true)",
    "return ('a.b'):find('.', 1, true)",
    "return ('hello'):find('')",
    "return ('hello'):find('', 10)",
    "return ('hello'):find('xyz')",
    "return ('hello'):find('(h)(e)(l+)')",
    "return ('hello'):find('l', -2)",
    "return ('key = value'):match('^(%w+)%s*=%s*(%w+)$')",
    "return ('  trim  '):match('^%s*(.-)%s*$')",
    "return ('f(a(b)c)d'):match('%b()')",
    "return ('THE (quick) fox'):find('%((%a+)%)')",
    "return ('THE (quick) fox'):match('%f[%a]%a+', 5)",
    "return ('2024-01-31'):match('(%d+)-(%d+)-(%d+)')",
    "return ('hello'):match('()ll()')",
    "return ('aaa'):match('a-b')",
    "return ('[x]'):match('[]]')",
    "return ('a-z'):match('[a%-z]+')",
    "return ('x^y'):match('[x^]+')",
    "return ('abab'):match('(ab)%1')",
    "return ('é'):match('[\\xc3][\\xa9]')",
    "local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[#t + 1] = k .. v end return table.concat(t, ';')",
    "local t = {} for w in ('one two'):gmatch('%a*') do t[#t + 1] = '<' .. w .. '>' end return table.concat(t)",
    "local t = {} for p in ('abc'):gmatch('()') do t[#t + 1] = p end return table.concat(t, ',')",
    "return ('hello'):gsub('l', 'L')",
    "return ('hello'):gsub('', '-')",
    "return ('hello world'):gsub('o', '0', 1)",
    "return ('hello world'):gsub('(%w+)', '<%1>')",
    "return ('hello world'):gsub('%w+', '%0 %0', 1)",
    "return ('$name is $age'):gsub('%$(%w+)', {name = 'Lua', age = 30})",
    "return ('abc'):gsub('%w', function(c) if c == 'b' then return nil end return c:upper() end)",
    "return ('abc'):gsub('^a', 'x')",
    "return ('aaa'):gsub('^a', 'x')",
    "return ('abc'):gsub('b*', 'x')",
    "return ('x'):rep(3), ('x'):rep(3, ','), ('x'):rep(0), ('x'):rep(-1), (''):rep(5)",
    "return select('#', pcall(string.find, 'a', '['))",
    "local t = {3, 1, 2} table.sort(t) return table.concat(t, ',')",
    "local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) return table.concat(t, ',')",
    "local t = {1, 2, 3} table.insert(t, 4) table.insert(t, 1, 0) return table.concat(t, ',')",
    "local t = {1, 2, 3} return table.remove(t), table.remove(t, 1), #t, table.remove({})",
    "return table.concat(table.move({1, 2, 3}, 2, 3, 1), ',')",
    "return table.concat(table.move({1, 2, 3}, 1, 3, 2), ',')",
    "return table.unpack({1, 2, 3}, 2)",
    "return table.concat({1, 2, 3}, ', ', 2, 3)",
    "local p = setmetatable({}, {__index = function(_, i) if i < 4 then return i * i end end}) local t = {} for i, v in ipairs(p) do t[i] = v end return table.concat(t, ',')",
    "return '10' + 5, '3' * '4', -'2', '7' // 2, '2' ^ 2",
    "return (pcall(function() return 'a' + 1 end))",
    "return tostring(setmetatable({}, {__tostring = function() return 'me' end}))",
    "return ('%5.2f|%d|%s|%q'):format(3.14159, 42, 'x', 'a\\nb')",
    "return select(2, xpcall(error, function(e) return 'handled ' .. e end, 'it'))",
    "return pcall(error, {1})",
    "return load('return 1 + 1')(), load('x y'), (load('return a', 'c', 't', {a = 9})())",
    "local s = 0 for k, v in pairs({a = 1, b = 2, 3}) do s = s + v end return s",
    "local co = coroutine.wrap(function(...) local n = select('#', ...) local m = select('#', coroutine.yield()) return n, m end) local a = select('#', co(1, nil)) return a, co(nil, nil, nil)",
    "return coroutine.resume(coroutine.create(function() end))",
    "return os.time({year = 2020, month = 1, day = 1, hour = 12}), math.type(1), utf8.char(233)",
];

#[tokio::test]
async fn it_agrees_with_lua() -> Tested {
    let lua = mlua::Lua::new();
    for script in SCRIPTS {
        let shown = format!(
            "local r = table.pack((function() {script} end)()) local t = {{}} for i = 1, r.n do t[i] = math.type(r[i]) == 'float' and string.format('%g', r[i]) or type(r[i]) == 'table' and 'table' or tostring(r[i]) end return table.concat(t, ' | ')"
        );
        let expected: String = lua.load(&shown).set_name("=test.lua").eval()?;
        let found = match run(&shown).await? {
            Value::Text(text) => text,
            other => other.to_string(),
        };
        // Locations of errors differ for functions that are no longer written in C.
        let bare = |text: &str| text.split(": ").last().unwrap_or_default().to_owned();
        assert_eq!(bare(&found), bare(&expected), "{script}");
    }
    Ok(())
}
