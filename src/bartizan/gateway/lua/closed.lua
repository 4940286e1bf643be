
-- Appended to every script that decides. Envoy lets a request pass when its script fails; ours then go no further.

local decide = envoy_on_request

function envoy_on_request(handle)
  if not pcall(decide, handle) then handle:respond({ [":status"] = "500" }, "") end
end
