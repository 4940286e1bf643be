-- Flows §1, §2: take our cookies out of a Cookie header without splitting it.
-- Prepended to the scripts that need it. A name counts only at the start of a pair; "__Host-bz" inside a value is not ours.
-- No patterns: a refresh cookie has a kilobyte, and a lazy one walks it byte by byte (a third of the gateway's time once).

local byte, find, sub = string.byte, string.find, string.sub
local SPACE, TAB, SEMICOLON = 32, 9, 59
local OURS = "__Host-bz"
-- More than a browser has, even one with ten projects on localhost. The rest is bounded by the header's size.
local MOST = 100

local function skip_blanks(text, at)
  local one = byte(text, at)
  while one == SPACE or one == TAB do
    at = at + 1
    one = byte(text, at)
  end
  return at
end

local function trimmed(text, first, last)
  first = skip_blanks(text, first)
  local one = byte(text, last)
  while last >= first and (one == SPACE or one == TAB) do
    last = last - 1
    one = byte(text, last)
  end
  return sub(text, first, last)
end

local function begins_pair(cookie, at)
  local before = at - 1
  while before > 0 do
    local one = byte(cookie, before)
    if one == SEMICOLON then return true end
    if one ~= SPACE and one ~= TAB then return false end
    before = before - 1
  end
  return true
end

-- What stands before the last pair, when that one goes: without its separator.
local function without_end(text)
  local last = #text
  local one = byte(text, last)
  while one == SPACE or one == TAB or one == SEMICOLON do
    last = last - 1
    one = byte(text, last)
  end
  return sub(text, 1, last)
end

-- Returns what is left, which of our names were there, the value of the `wanted` one, and whether the header is refused:
-- one name twice, or too many.
local function cut(cookie, wanted)
  local found, value, twice, number = {}, nil, false, 0
  local kept, from, at = "", 1, 1
  while true do
    local start = find(cookie, OURS, at, true)
    if not start then return kept .. sub(cookie, from), found, value, twice end
    at = start + 1
    if begins_pair(cookie, start) then
      number = number + 1
      if number > MOST then return cookie, found, value, true end
      local stop = find(cookie, ";", start, true)
      local last = (stop or #cookie + 1) - 1
      local equals = find(cookie, "=", start, true)
      if not equals or equals > last then equals = last + 1 end
      local name = trimmed(cookie, start, equals - 1)
      if found[name] then twice = true end
      found[name] = true
      if name == wanted then value = trimmed(cookie, equals + 1, last) end
      if from < start then kept = kept .. sub(cookie, from, start - 1) end
      if not stop then return without_end(kept), found, value, twice end
      from = skip_blanks(cookie, stop + 1)
      at = from
    end
  end
end

local function twice_is_refused(handle)
  handle:respond({ [":status"] = "400" }, "The request carried two cookies of one name, or far too many.")
end

-- Several Cookie headers would come back joined by a comma, and a cookie of ours behind it would be overlooked.
-- Over HTTP/2, where browsers do split them, Envoy has put them together before.
local function cookie_of(headers)
  local cookie = headers:get("cookie")
  if not cookie then return nil, false end
  return cookie, headers:getNumValues("cookie") > 1
end
