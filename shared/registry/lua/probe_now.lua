-- lane: if it is shut, its probe goes as soon as there is a place
local lane = ARGV[1]
if redis.call('HEXISTS', LANE .. lane, 'shut') == 0 then return end
redis.call('HSET', LANE .. lane, 'probe_at', 0)
redis.call('ZADD', DUE .. PROBE .. lane, 'XX', 0, PROBE .. lane)
