-- id -> 1 while a run of it has still to stop; else the step is forgotten, and may be submitted anew
local id = ARGV[1]
local state, lane = unpack(redis.call('HMGET', STEP .. id, 'state', 'lane'))
if not state or state == 'removing' then return 0 end
if state == 'running' then
  redis.call('HSET', STEP .. id, 'withdrawn', 1)
  return 1
end
forget(id, lane)
return 0
