-- id -> 1 if it was due later, and is waiting now
local id = ARGV[1]
local state, lane = unpack(redis.call('HMGET', STEP .. id, 'state', 'lane'))
if state ~= 'retrying' then return 0 end
leave(id, lane)
redis.call('HSET', STEP .. id, 'state', 'waiting')
wait(id, lane)
return 1
