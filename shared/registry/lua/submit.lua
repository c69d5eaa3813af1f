-- id, queue, lane, job, priority, delay (ms) -> the step's state; one that is known stays as it is
local id, queue, lane, job, priority, delay = unpack(ARGV)
local state = redis.call('HGET', STEP .. id, 'state')
if state and state ~= 'withdrawn' then return state end
redis.call('PERSIST', STEP .. id)
make(id, queue, lane, job, priority)
if tonumber(delay) > 0 then
  redis.call('HSET', STEP .. id, 'state', 'retrying')
  redis.call('ZADD', DUE .. lane, now() + delay, id)
  return 'retrying'
end
redis.call('HSET', STEP .. id, 'state', 'waiting')
wait(id, lane)
return 'waiting'
