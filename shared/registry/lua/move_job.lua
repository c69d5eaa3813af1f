-- job, state, what happened, history length, n, n states it may come from, field, value, ...
-- -> the state the job was in; it moved if that is one of those. '' for a job without a record
local job, state, event, history = unpack(ARGV, 1, 4)
local count = tonumber(ARGV[5])
local old, created = unpack(redis.call('HMGET', JOB .. job, 'state', 'created'))
if not old then return '' end
local legal = false
for i = 6, 5 + count do legal = legal or ARGV[i] == old end
if not legal then return old end
redis.call('HSET', JOB .. job, 'state', state, 'updated', now(), unpack(ARGV, 6 + count))
if old ~= state then
  redis.call('ZREM', JOBS_BY_STATE .. old, job)
  redis.call('ZADD', JOBS_BY_STATE .. state, created, job)
end
if event ~= '' then
  redis.call('XADD', HISTORY .. job, 'MAXLEN', '~', history, '*', 'state', state, 'what', event)
end
return old
