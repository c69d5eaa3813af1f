-- as of (ms), name, cap, ... -> 0 if newer settings have spoken
local known = tonumber(redis.call('HGET', CAPS, '') or '0')
if tonumber(ARGV[1]) < known then return 0 end
redis.call('DEL', CAPS)
redis.call('HSET', CAPS, '', unpack(ARGV))
return 1
