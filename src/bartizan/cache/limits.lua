-- KEYS: each a list of the times of its tries, the newest first, in microseconds. ARGV: of each its amount and seconds.
-- All are counted if all have room, else none. Answers for each: microseconds to wait, and how many it kept from before.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local room, said = true, {}
for i, key in ipairs(KEYS) do
  local window = ARGV[2 * i] * 1000000
  local oldest = tonumber(redis.call('LINDEX', key, ARGV[2 * i - 1] - 1) or 0)
  if oldest > now then
    -- The clock went back. What is in its future counts as of now: nobody waits longer than a window, nobody gains.
    for at, one in ipairs(redis.call('LRANGE', key, 0, -1)) do
      if tonumber(one) > now then redis.call('LSET', key, at - 1, string.format('%.0f', now)) end
    end
    oldest = now
  end
  said[2 * i - 1] = math.max(0, oldest + window - now)
  said[2 * i] = 0
  room = room and said[2 * i - 1] == 0
end
if room then
  for i, key in ipairs(KEYS) do
    local kept = redis.call('LPUSH', key, string.format('%.0f', now))
    if kept > tonumber(ARGV[2 * i - 1]) then redis.call('LTRIM', key, 0, ARGV[2 * i - 1] - 1) end
    redis.call('EXPIRE', key, ARGV[2 * i])
    said[2 * i] = kept - 1
  end
end
return said
