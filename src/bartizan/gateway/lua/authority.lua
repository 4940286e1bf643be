-- Flows §2: on routes that look at the caller. Our cookies leave the request; an Authorization header that is there
-- stays, else the access cookie becomes one. `x-bartizan-authority` notes what was seen, for renewal and for "a token
-- without csrf claim is refused from the cookie": k access cookie moved, r refresh cookie, c CSRF cookie.
-- The name of a scheme is read in any case (RFC 9110 §11.1), and Envoy's JWT filter knows one spelling: it gets that.

local ACCESS, REFRESH, CSRF = "@prefix@-at", "@prefix@-rt", "@prefix@-csrf"

local function spell_scheme(headers, sent)
  if sub(sent, 1, 7) == "Bearer " or headers:getNumValues("authorization") > 1 then return end
  local token = string.match(sent, "^[Bb][Ee][Aa][Rr][Ee][Rr] +(.+)$")
  if token then headers:replace("authorization", "Bearer " .. token) end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local sent = headers:get("authorization")
  if sent then spell_scheme(headers, sent) end
  local cookie, several = cookie_of(headers)
  if several then return twice_is_refused(handle) end
  if not cookie or not find(cookie, OURS, 1, true) then return end
  local rest, found, token, twice = cut(cookie, ACCESS)
  if twice then return twice_is_refused(handle) end
  if rest == "" then headers:remove("cookie") else headers:replace("cookie", rest) end
  local seen = ""
  if token and not sent then
    headers:replace("authorization", "Bearer " .. token)
    seen = "k"
  end
  if found[REFRESH] then seen = seen .. "r" end
  if found[CSRF] then seen = seen .. "c" end
  if seen ~= "" then headers:replace("x-bartizan-authority", seen) end
end
