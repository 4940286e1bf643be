-- Flows §1, our own servers that live by our cookies (`/bff`, `id`): kept, but never two of one name.

function envoy_on_request(handle)
  local cookie, several = cookie_of(handle:headers())
  if several then return twice_is_refused(handle) end
  if not cookie or not find(cookie, OURS, 1, true) then return end
  local _, _, _, twice = cut(cookie)
  if twice then return twice_is_refused(handle) end
end
