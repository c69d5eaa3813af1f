-- id, queue, lane, job, priority -> the step's state; a step that is known stays as it is
local id, queue, lane, job, priority = unpack(ARGV)
local state = redis.call('HGET', STEP .. id, 'state')
if state then return state end
make(id, queue, lane, job, priority)
redis.call('HSET', STEP .. id, 'state', 'waiting')
wait(id, lane)
return 'waiting'
