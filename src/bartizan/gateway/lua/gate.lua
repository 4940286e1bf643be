-- Flows §3, §4: what the signature alone does not decide. Skipped for a safe request under a good token (filters.py),
-- so it may take its time. `x-bartizan-gid` is there only when jwt_authn verified the token in this very request.

local ORIGIN, MEMORY = "@app_origin@", "@mode@" == "memory"
local SAFE = { GET = true, HEAD = true, OPTIONS = true }
local REPLAYABLE = @replayable@ -- a browser repeats such a body on 307; bigger ones and streams our client renews before

local function refuse(handle, text)
  handle:respond({ [":status"] = "403" }, text)
end

local function challenge(handle, token_sent, text, inside)
  local words = (token_sent and "invalid") or (inside and "inside") -- which words the answer has
  if words then handle:headers():replace("x-bartizan-authority", words) end
  local value = token_sent and 'Bearer error="invalid_token"' or "Bearer"
  handle:respond({ [":status"] = "401", ["www-authenticate"] = value }, text)
end

local function renew(handle, status, headers)
  -- the path goes raw and last, so that its own "&" needs no escape
  local location = "/bff/renew?return_to=" .. headers:get(":path")
  handle:respond({ [":status"] = status, ["location"] = location, ["cache-control"] = "no-store" }, "")
end

local function has(seen, letter)
  return string.find(seen, letter, 1, true) ~= nil
end

local function replayable(headers)
  local length = headers:get("content-length")
  if length == nil then return SAFE[headers:get(":method")] or headers:get(":method") == "DELETE" end
  return (tonumber(length) or REPLAYABLE) < REPLAYABLE
end

local function anonymous(headers, seen)
  if has(seen, "k") then headers:remove("authorization") end
  headers:remove("x-bartizan-user")
  headers:remove("x-bartizan-csrf")
  headers:remove("x-bartizan-gid")
  headers:remove("x-bartizan-scope")
end

local function without_token(handle, headers, seen, optional)
  local authorization = headers:get("authorization")
  local bearer = authorization ~= nil and string.lower(string.sub(authorization, 1, 7)) == "bearer "
  if bearer and not has(seen, "k") then
    return challenge(handle, true, "The access token is not valid, or no longer.")
  end
  local websocket = headers:get("upgrade") ~= nil
  local navigation = headers:get(":method") == "GET" and headers:get("sec-fetch-mode") == "navigate"
  if not MEMORY and not websocket and (not optional or has(seen, "c")) then
    if navigation then return renew(handle, "303", headers) end
    local same = headers:get("sec-fetch-site") == "same-origin"
    if same and has(seen, "r") and replayable(headers) then return renew(handle, "307", headers) end
  end
  if optional then return anonymous(headers, seen) end
  local text, inside = "Sign in to use this.", MEMORY and navigation
  if inside then
    text = "This app keeps its sign-in inside its own page. Open the app and go on from there."
  end
  challenge(handle, bearer, text, inside)
end

local function from_our_origin(headers)
  local site = headers:get("sec-fetch-site")
  if site ~= nil then return site == "same-origin" end
  return headers:get("origin") == ORIGIN -- absent, or "null": no
end

local function is_form(content_type)
  local kind = string.match(string.lower(content_type or ""), "^%s*([^;%s]*)")
  return kind == "application/x-www-form-urlencoded" or kind == "multipart/form-data"
end

local function proven(headers, csrf, mode)
  local sent = headers:get("x-csrf-token")
  if mode == "origin" then return true end
  if mode == "form" and sent == nil then return is_form(headers:get("content-type")) end
  return csrf ~= "" and sent == csrf
end

function envoy_on_request(handle)
  local headers, route = handle:headers(), handle:filterContext()
  local seen = headers:get("x-bartizan-authority") or ""
  local csrf = headers:get("x-bartizan-csrf")
  local verified = headers:get("x-bartizan-gid") ~= nil
  if not verified or (has(seen, "k") and csrf == nil) then
    return without_token(handle, headers, seen, route:get("access") == "optional")
  end
  if csrf == nil then return end -- a bearer token: no browser sends it by itself
  if headers:get("upgrade") ~= nil then
    if headers:get("origin") ~= ORIGIN then return refuse(handle, "A WebSocket is opened by this site's pages only.") end
  elseif not SAFE[headers:get(":method")] then
    if not from_our_origin(headers) then return refuse(handle, "The request did not come from this site's pages.") end
    if not proven(headers, csrf, route:get("csrf")) then return refuse(handle, "The CSRF token is missing or not yours.") end
  end
end
