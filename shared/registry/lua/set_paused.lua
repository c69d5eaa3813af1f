-- lane, 1 or 0, as of (ms) -> 0 if a newer word on it is known
local lane, paused, as_of = unpack(ARGV)
local known = tonumber(redis.call('HGET', LANE .. lane, 'paused_as_of') or '0')
if tonumber(as_of) < known then return 0 end
redis.call('HSET', LANE .. lane, 'paused', paused, 'paused_as_of', as_of)
return 1
