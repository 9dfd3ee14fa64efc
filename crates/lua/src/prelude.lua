-- Replaces functions of Lua's standard library that could outlast a deadline, leave the sandbox or lose a waiting call.
--
-- The prelude follows three rules. Functions that call back into a script do so from Lua, not from C, because the
-- host can then interrupt the script by making it yield, which no `pcall` of the script catches. Loops run in Lua,
-- where instructions are counted. Work that C does in one go is charged by the bytes and items that it
-- touches.
local state, host, USER, PENDING = ...

local raw_pcall, raw_xpcall, raw_error, type, select, next = pcall, xpcall, error, type, select, next
local getmetatable, setmetatable, rawget, rawlen = getmetatable, setmetatable, rawget, rawlen
local rawequal, tonumber, raw_tostring, raw_load, raw_assert = rawequal, tonumber, tostring, load, assert
local floor, mininteger = math.floor, math.mininteger
local create, raw_resume, raw_yield = coroutine.create, coroutine.resume, coroutine.yield
local status, running, isyieldable = coroutine.status, coroutine.running, coroutine.isyieldable
local pack, unpack, raw_concat = table.pack, table.unpack, table.concat
local raw_insert, raw_remove = table.insert, table.remove
local sub, format, byte, char = string.sub, string.format, string.byte, string.char
local lower, upper, reverse, len = string.lower, string.upper, string.reverse, string.len
local string_pack, string_unpack, date = string.pack, string.unpack, os.date
local codepoint, utf8_len, offset = utf8.codepoint, utf8.len, utf8.offset
local string_meta = getmetatable("")

local function fail(position, name, expected, found, level)
  local message = "bad argument #%d to '%s' (%s expected, got %s)"
  raw_error(format(message, position, name, expected, type(found)), level or 3)
end

-- Errors that must not be caught ----------------------------------------------------------------------

-- A host error is an object of its own in the host; scripts see errors as text.
--
-- On a full stack the host's hook fails like any other call that needs stack, so a whole script could run
-- between two clock checks. But each such failure is caught here, where there is stack again.
--
-- After the deadline a script that yields is never resumed. A script that cannot yield gets an error instead,
-- which takes quadratic time in its depth, but it cannot be deep there.
local function leave()
  if isyieldable() then raw_yield(PENDING) end
  raw_error("the deadline passed", 0)
end

local function look()
  if host.check(isyieldable()) then raw_yield(PENDING) end
  if state.expired then leave() end
end

-- Maximum work of C functions, in bytes and items, between two clock checks.
local MOST <const> = 256 * 1024
local spent = 0

local function pay(units)
  spent = spent + units
  if spent < MOST then return end
  spent = 0
  look()
end

local function after(ok, ...)
  if not ok then look() end
  if state.expired then leave() end
  if not ok and type((...)) == "userdata" then return ok, host.message((...)) end
  return ok, ...
end

local function pcall(...) return after(raw_pcall(...)) end

local function xpcall(f, handler, ...)
  local results = pack(pcall(f, ...))
  if results[1] then return unpack(results, 1, results.n) end
  return false, select(2, pcall(handler, results[2]))
end

-- Coroutines: a wait for the host, or a yield to other tasks, passes through to the host -----------------
--
-- Each coroutine has its own instruction count to the next check, and one created while the state was small has a
-- large count. So a state that has grown checks the clock, and sets the count, each time control passes to another one.

local function goes_on(...)
  if state.heavy then host.check(false) end
  return ...
end

local function finish(co, ok, ...)
  if state.heavy then host.check(false) end
  if ok and status(co) == "suspended" then
    if rawequal((...), USER) then return true, select(2, ...) end
    raw_yield((...))
    return finish(co, raw_resume(co))
  end
  return after(ok, ...)
end

local function resume(co, ...)
  if type(co) ~= "thread" then fail(1, "resume", "coroutine", co) end
  return finish(co, raw_resume(co, ...))
end

local function unwrap(ok, ...)
  if ok then return ... end
  raw_error((...), 0)
end

local function new_create(f)
  if type(f) ~= "function" then fail(1, "create", "function", f) end
  return create(function(...) return f(goes_on(...)) end)
end

local new_coroutine = {
  create = new_create,
  resume = resume,
  yield = function(...) return goes_on(raw_yield(USER, ...)) end,
  wrap = function(f)
    local co = new_create(f)
    return function(...) return unwrap(resume(co, ...)) end
  end,
  status = status,
  running = running,
  isyieldable = isyieldable,
}

-- Operations of the host that scripts wait for ----------------------------------------------------------

local poll = host.poll

local function wait(operation, done, ...)
  if done then return ... end
  raw_yield(PENDING)
  return wait(operation, poll(operation))
end

-- Wraps a function that begins an operation, and waits for its results.
local function waiting(begin)
  return function(...)
    local operation = begin(...)
    return wait(operation, poll(operation))
  end
end

local funcs, time = state.modules.funcs, state.modules.time
if funcs then funcs.call = waiting(funcs.call) end
if time then time.sleep = waiting(time.sleep) end

-- Text of values --------------------------------------------------------------------------------------

local function tostring(...)
  if select("#", ...) == 0 then fail(1, "tostring", "value", nil) end
  local value = (...)
  local meta = type(value) == "table" and getmetatable(value)
  local shown = type(meta) == "table" and rawget(meta, "__tostring")
  if not shown then return raw_tostring(value) end
  local text = shown(value)
  if type(text) ~= "string" then raw_error("'__tostring' must return a string", 2) end
  return text
end

local function texts(...)
  local all = pack(...)
  for at = 1, all.n do all[at] = tostring(all[at]) end
  return all
end

-- Tables: those with metatables are processed step by step ----------------------------------------------

local function plain(t) return type(t) == "table" and not getmetatable(t) end

-- Charges for a text that was created.
local function made(text)
  pay(#text)
  return text
end

local function concat(t, separator, from, to)
  if plain(t) then
    pay(#t)
    return made(raw_concat(t, separator, from, to))
  end
  if type(t) ~= "table" then fail(1, "concat", "table", t) end
  local copy, n = {}, 0
  for at = from or 1, to or #t do
    n = n + 1
    copy[n] = t[at]
  end
  return made(raw_concat(copy, separator, 1, n))
end

local function insert(t, ...)
  local count = select("#", ...)
  if type(t) ~= "table" then fail(1, "insert", "table", t) end
  if count == 1 then
    t[#t + 1] = (...)
    return
  end
  if plain(t) then
    pay(#t)
    return raw_insert(t, ...)
  end
  if count ~= 2 then raw_error("wrong number of arguments to 'insert'", 2) end
  local position, value = ...
  local last = #t + 1
  if math.type(position) ~= "integer" or position < 1 or position > last then
    raw_error("bad argument #2 to 'insert' (position out of bounds)", 2)
  end
  for at = last, position + 1, -1 do t[at] = t[at - 1] end
  t[position] = value
end

local function remove(t, ...)
  if plain(t) then
    if select("#", ...) > 0 then pay(#t) end
    return raw_remove(t, ...)
  end
  if type(t) ~= "table" then fail(1, "remove", "table", t) end
  local last = #t
  local position = (...) or last
  if last + 1 ~= position and (position < 1 or position > last + 1) and not (last == 0 and position == 0) then
    raw_error("bad argument #2 to 'remove' (position out of bounds)", 2)
  end
  local removed = t[position]
  for at = position, last - 1 do t[at] = t[at + 1] end
  if position <= last then t[last] = nil end
  return removed
end

local function move(from, first, last, to, into)
  into = into or from
  if to > first and to <= last and rawequal(into, from) then
    for at = last - first, 0, -1 do into[to + at] = from[first + at] end
  else
    for at = 0, last - first do into[to + at] = from[first + at] end
  end
  return into
end

local function safe_unpack(t, from, to)
  if plain(t) then
    pay(#t)
    return unpack(t, from, to)
  end
  from, to = from or 1, to or #t
  if to - from >= 1000000 then raw_error("too many results to unpack", 2) end
  local copy = {}
  for at = from, to do copy[at - from + 1] = t[at] end
  return unpack(copy, 1, to - from + 1)
end

local function less_than(a, b) return a < b end

local function sort(t, less)
  if type(t) ~= "table" then fail(1, "sort", "table", t) end
  less = less or less_than
  local n = #t
  local from, into = {}, {}
  for at = 1, n do from[at] = t[at] end
  local width = 1
  while width < n do
    for low = 1, n, 2 * width do
      local left, right = low, low + width
      local middle, high = right, low + 2 * width
      if middle > n + 1 then middle = n + 1 end
      if high > n + 1 then high = n + 1 end
      for at = low, high - 1 do
        if left < middle and (right >= high or not less(from[right], from[left])) then
          into[at], left = from[left], left + 1
        else
          into[at], right = from[right], right + 1
        end
      end
    end
    from, into, width = into, from, 2 * width
  end
  for at = 1, n do t[at] = from[at] end
end

local function each(t, at)
  at = at + 1
  local value = t[at]
  if value ~= nil then return at, value end
end

local function ipairs(...)
  if select("#", ...) == 0 then fail(1, "ipairs", "table", nil) end
  return each, (...), 0
end

local function pairs(t)
  local meta = type(t) == "table" and getmetatable(t)
  local own = type(meta) == "table" and rawget(meta, "__pairs")
  if own then
    local step, state, first = own(t)
    return step, state, first
  end
  if type(t) ~= "table" then fail(1, "pairs", "table", t) end
  return next, t, nil
end

-- Strings: the host matches patterns and checks the deadline meanwhile -----------------------------------

local function text(value, position, name)
  if type(value) == "string" then return value end
  if type(value) == "number" then return raw_tostring(value) end
  fail(position, name, "string", value, 4)
end

local function start(init, size)
  init = init or 1
  if init > 0 then return init end
  if init == 0 or init < -size then return 1 end
  return size + init + 1
end

local function captured(s, found)
  if found.n == 2 then return sub(s, found[1], found[2]) end
  return unpack(found, 3, found.n)
end

local function find(s, pattern, init, is_plain)
  s, pattern = text(s, 1, "find"), text(pattern, 2, "find")
  init = start(init, #s)
  if init > #s + 1 then return nil end
  if is_plain then return host.find(s, pattern, init) end
  return host.scan(s, pattern, init, -1, true)
end

local function match(s, pattern, init)
  s, pattern = text(s, 1, "match"), text(pattern, 2, "match")
  init = start(init, #s)
  if init > #s + 1 then return nil end
  local found = pack(host.scan(s, pattern, init, -1, true))
  if not found[1] then return nil end
  return captured(s, found)
end

local function gmatch(s, pattern, init)
  s, pattern = text(s, 1, "gmatch"), text(pattern, 2, "gmatch")
  local position, last = start(init, #s), -1
  return function()
    if position > #s + 1 then return nil end
    local found = pack(host.scan(s, pattern, position, last, false))
    if not found[1] then
      position = #s + 2
      return nil
    end
    position, last = found[2] + 1, found[2]
    return captured(s, found)
  end
end

local function replacement(s, found, by)
  local whole = sub(s, found[1], found[2])
  local value
  if type(by) == "string" then
    value = host.expand(by, whole, unpack(found, 3, found.n))
  elseif type(by) == "table" then
    value = by[(captured(s, found))]
  else
    value = by(captured(s, found))
  end
  if not value then return whole end
  if type(value) == "string" or type(value) == "number" then return value end
  raw_error("invalid replacement value (a " .. type(value) .. ")", 3)
end

local function gsub(s, pattern, by, most)
  s, pattern = text(s, 1, "gsub"), text(pattern, 2, "gsub")
  if type(by) == "number" then by = raw_tostring(by) end
  if type(by) ~= "string" and type(by) ~= "table" and type(by) ~= "function" then
    fail(3, "gsub", "string/function/table", by)
  end
  local anchored = sub(pattern, 1, 1) == "^"
  local out, n, position, last, count = {}, 0, 1, -1, 0
  while (not most or count < most) and position <= #s + 1 do
    local found = pack(host.scan(s, pattern, position, last, true))
    if not found[1] then break end
    count = count + 1
    out[n + 1] = sub(s, position, found[1] - 1)
    out[n + 2] = replacement(s, found, by)
    n = n + 2
    position, last = found[2] + 1, found[2]
    if anchored then break end
  end
  out[n + 1] = sub(s, position)
  return made(raw_concat(out, "", 1, n + 1)), count
end

local function safe_format(pattern, ...)
  local args = pack(...)
  for at = 1, args.n do
    if type(args[at]) == "table" then args[at] = tostring(args[at]) end
  end
  if type(pattern) == "string" then pay(#pattern) end
  return made(format(pattern, unpack(args, 1, args.n)))
end

-- Wraps a function of one text, and charges by the length of the text.
local function of_text(f, name)
  return function(s, ...)
    s = text(s, 1, name)
    pay(#s)
    return f(s, ...)
  end
end

local function safe_sub(s, ...)
  if type(s) ~= "string" then s = text(s, 1, "sub") end
  return made(sub(s, ...))
end

local function safe_pack(pattern, ...)
  pay(#text(pattern, 1, "pack"))
  return made(string_pack(pattern, ...))
end

local function safe_unpack_string(pattern, s, ...)
  pay(#text(pattern, 1, "unpack") + #text(s, 2, "unpack"))
  return string_unpack(pattern, s, ...)
end

local new_string = {
  byte = byte, char = char, find = find, format = safe_format, gmatch = gmatch, gsub = gsub, len = len,
  lower = of_text(lower, "lower"), match = match, pack = safe_pack, packsize = of_text(string.packsize, "packsize"),
  rep = host.rep, reverse = of_text(reverse, "reverse"), sub = safe_sub, unpack = safe_unpack_string,
  upper = of_text(upper, "upper"),
}

local function safe_tonumber(...)
  local value = ...
  if type(value) == "string" then pay(#value) end
  return tonumber(...)
end

local new_utf8 = {
  char = utf8.char, charpattern = utf8.charpattern, codes = utf8.codes,
  codepoint = of_text(codepoint, "codepoint"), len = of_text(utf8_len, "len"), offset = of_text(offset, "offset"),
}

local MAX_DATE = 1024

local function safe_date(pattern, ...)
  if pattern ~= nil and #text(pattern, 1, "date") > MAX_DATE then
    raw_error("bad argument #1 to 'date' (format is longer than " .. MAX_DATE .. " bytes)", 2)
  end
  return date(pattern, ...)
end

local operators = {
  __add = function(a, b) return a + b end, __sub = function(a, b) return a - b end,
  __mul = function(a, b) return a * b end, __div = function(a, b) return a / b end,
  __mod = function(a, b) return a % b end, __pow = function(a, b) return a ^ b end,
  __idiv = function(a, b) return a // b end,
}
for name, operator in next, operators do
  string_meta[name] = function(a, b)
    local x, y = safe_tonumber(a), safe_tonumber(b)
    if x and y then return operator(x, y) end
    local meta = type(b) == "table" and getmetatable(b)
    local own = type(meta) == "table" and rawget(meta, name)
    if own then return own(a, b) end
    raw_error("attempt to perform arithmetic on a " .. type(x and b or a) .. " value", 2)
  end
end
string_meta.__unm = function(a)
  local x = safe_tonumber(a)
  if not x then raw_error("attempt to perform arithmetic on a string value", 2) end
  return -x
end
string_meta.__index = new_string

-- Errors of calls: tables that convert to text ----------------------------------------------------------

-- Their fields are texts that can also be called: `e.kind` and `e:kind()`.
local call_error = {
  __tostring = function(e) return e.message end,
  __concat = function(a, b) return tostring(a) .. tostring(b) end,
  __name = "call error",
}
local lasting = { __index = { retryable = function() return false end } }
local passing = { __index = { retryable = function() return true end } }
for name, own in next, call_error do
  lasting[name], passing[name] = own, own
end
string_meta.__call = function(s, e)
  local meta = type(e) == "table" and getmetatable(e)
  if meta and (rawequal(meta, lasting) or rawequal(meta, passing)) then return s end
  raw_error("attempt to call a string value", 2)
end
local function new_error(kind, message, id, retryable)
  return setmetatable({ kind = kind, message = message, id = id }, retryable and passing or lasting)
end

-- The globals ---------------------------------------------------------------------------------------------

-- The compiler takes quadratic time for some texts, so it gets pieces, with a clock check at each.
local MAX_SOURCE <const>, PIECE <const> = 1024 * 1024, 256

local function load(source, name, _, ...)
  if type(source) ~= "string" then fail(1, "load", "string", source) end
  if #source > MAX_SOURCE then return nil, "the source is too long" end
  local at = 1
  local function piece()
    host.check(false)
    if state.expired then raw_error("the deadline passed", 0) end
    at = at + PIECE
    return sub(source, at - PIECE, at - 1)
  end
  return after(raw_load(piece, name or "=(load)", "t", ...))
end

local function safe_setmetatable(t, meta)
  if type(meta) == "table" and rawget(meta, "__gc") ~= nil then
    raw_error("'__gc' is not available: nothing could interrupt it", 2)
  end
  return setmetatable(t, meta)
end

local globals = _G
local kept = {
  assert = raw_assert, error = raw_error, getmetatable = getmetatable, next = next, rawequal = rawequal,
  rawget = rawget, rawlen = rawlen, rawset = rawset, select = select, tonumber = safe_tonumber, type = type,
  ipairs = ipairs, load = load, pairs = pairs, pcall = pcall, xpcall = xpcall,
  setmetatable = safe_setmetatable, tostring = tostring, _VERSION = _VERSION, math = math, utf8 = new_utf8,
  collectgarbage = function(what) return what == "count" and host.memory() or 0 end,
  print = function(...)
    local all = texts(...)
    host.print(raw_concat(all, "\t", 1, all.n))
  end,
  require = function(name)
    local module = state.modules[name]
    if module ~= nil then return module end
    raw_error(host.no_module(raw_tostring(name)), 2)
  end,
  coroutine = new_coroutine,
  string = new_string,
  table = {
    concat = concat, insert = insert, move = move, pack = pack, remove = remove, sort = sort,
    unpack = safe_unpack,
  },
  os = { clock = os.clock, date = safe_date, difftime = os.difftime, time = os.time },
}
for name in next, globals do globals[name] = nil end
for name, value in next, kept do globals[name] = value end
globals._G = globals
-- Examples use `funcs` without `require`.
globals.funcs = funcs

-- The host calls functions of scripts through this. Where an uncaught error is raised, the host records the running
-- functions, which have returned by the time the error arrives here.
local function guard(f, ...) return unwrap(raw_xpcall(f, host.record_frames, ...)) end

return new_error, guard, waiting(host.await_future)
