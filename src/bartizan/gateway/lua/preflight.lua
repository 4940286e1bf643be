-- Behind the CORS filter, which has answered every listed origin: the others get an answer that allows nothing.

function envoy_on_request(handle)
  handle:respond({ [":status"] = "204" }, "")
end
