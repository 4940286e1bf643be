-- For bodies that go through unbuffered and announce more than the route takes.

function envoy_on_request(handle)
  handle:respond({ [":status"] = "413" }, "")
end
