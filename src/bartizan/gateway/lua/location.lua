-- Flows §9: a Location that names the address of the app behind gets the public origin. Runs only where there is one.

function envoy_on_response(handle)
  local headers, route = handle:headers(), handle:filterContext()
  local location, inner = headers:get("location"), route:get("inner")
  if not location or not inner then return end
  if string.sub(location, 1, #inner) ~= inner then return end
  local rest = string.sub(location, #inner + 1)
  local first = string.sub(rest, 1, 1)
  if first == "" or first == "/" or first == "?" or first == "#" then -- not ":50001", not ".example"
    headers:replace("location", route:get("public") .. rest)
  end
end
