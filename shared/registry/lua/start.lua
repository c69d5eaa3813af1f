-- id, token, caller, running lease
-- -> {queue, lane, job, priority, attempts, breaks, submitted, held up for (ms)};
-- {} for a stale message
local id, token, caller, period = unpack(ARGV)
local step = redis.call('HMGET', STEP .. id, 'state', 'token', 'caller', 'lane')
if step[2] ~= token then return {} end
if step[1] == 'granted' then
  redis.call('HSET', STEP .. id, 'state', 'running', 'caller', caller)
  redis.call('HINCRBY', STEP .. id, 'attempts', 1)
  redis.call('HINCRBY', STEP .. id, 'breaks', 1)  -- until it comes to an end that its body foresaw
elseif step[1] ~= 'running' or step[3] ~= caller then
  return {}
end
lease(id, step[4], tonumber(period))
local found = redis.call('HMGET', STEP .. id, 'queue', 'lane', 'job', 'priority', 'attempts', 'breaks',
  'submitted')
local since = redis.call('ZSCORE', HELD_UP, id)
table.insert(found, since and now() - since or 0)
return found
