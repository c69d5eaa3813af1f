-- job, state, what, who, attempt, error, seconds, n, n states it may come from, field, value, ...
-- -> 1 if it is there now with this line as its last, by this call or by the same one before
local job, state = ARGV[1], ARGV[2]
local count = tonumber(ARGV[8])
local old, created = unpack(redis.call('HMGET', JOB .. job, 'state', 'created'))
if not old then return 0 end
if old == state and noted(job, state, 3) then return 1 end
local legal = false
for i = 9, 8 + count do legal = legal or ARGV[i] == old end
if not legal then return 0 end
redis.call('HSET', JOB .. job, 'state', state, 'updated', now(), unpack(ARGV, 9 + count))
if old ~= state then
  redis.call('ZREM', JOBS_BY_STATE .. old, job)
  redis.call('ZADD', JOBS_BY_STATE .. state, created, job)
end
note(job, state, 3)
return 1
