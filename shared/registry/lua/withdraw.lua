-- id, keep (ms) -> 1 while a run of it has still to stop; else the step may be submitted anew
local id, keep = unpack(ARGV)
local state, lane = unpack(redis.call('HMGET', STEP .. id, 'state', 'lane'))
if state == 'removing' then return 0 end
if state == 'running' then
  redis.call('HSET', STEP .. id, 'withdrawn', 1)
  return 1
end
withdraw(id, lane, keep)
return 0
