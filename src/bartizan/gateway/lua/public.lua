-- Flows §2, public routes: our cookies leave the request, a foreign Authorization stays untouched, nothing is checked.

function envoy_on_request(handle)
  local headers = handle:headers()
  local cookie, several = cookie_of(headers)
  if several then return twice_is_refused(handle) end
  if not cookie or not find(cookie, OURS, 1, true) then return end
  local rest, _, _, twice = cut(cookie)
  if twice then return twice_is_refused(handle) end
  if rest == "" then headers:remove("cookie") else headers:replace("cookie", rest) end
end
