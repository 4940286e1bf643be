-- Flows §1, §2: take our cookies out of a Cookie header without splitting it.
-- Prepended to the scripts that need it. A name counts only at the start of a pair; "__Host-bz" inside a value is not ours.

local OURS = "__Host-bz"
-- More than a browser has, even one with ten projects on localhost. Each is cut out of the whole header: 2,000 of them
-- would keep this thread busy for as long as a hundred honest requests.
local MOST = 100

local function bounds_of_name(cookie, at)
  local before = at - 1
  while before > 0 do
    local byte = string.byte(cookie, before)
    if byte == 59 then return true end -- ";"
    if byte ~= 32 and byte ~= 9 then return false end
    before = before - 1
  end
  return true
end

-- Returns what is left, our pairs by name, and whether the header is refused: one name twice, or too many.
local function cut(cookie)
  local found, twice, position, number = {}, false, 1, 0
  while true do
    local start = string.find(cookie, OURS, position, true)
    if not start then return cookie, found, twice end
    if bounds_of_name(cookie, start) then
      number = number + 1
      if number > MOST then return cookie, found, true end
      local stop = string.find(cookie, ";", start, true)
      local pair = string.sub(cookie, start, (stop or #cookie + 1) - 1)
      local equals = string.find(pair, "=", 1, true) or #pair + 1
      local name = string.gsub(string.sub(pair, 1, equals - 1), "%s+$", "")
      if found[name] then twice = true end
      found[name] = string.match(string.sub(pair, equals + 1), "^%s*(.-)%s*$")
      local head = string.sub(cookie, 1, start - 1)
      local tail = stop and string.sub(cookie, stop + 1) or ""
      if stop then
        tail = string.gsub(tail, "^%s+", "")
      else
        head = string.gsub(head, "[;%s]+$", "")
      end
      position = #head + 1
      cookie = head .. tail
    else
      position = start + 1
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
