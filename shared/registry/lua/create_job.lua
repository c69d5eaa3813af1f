-- job, state, AE title, created (ms), what happened, who, n, n fields and values, destination, JSON,
-- ... -> 1 if it was new
local job, state, ae_title, created, event, who, count = unpack(ARGV, 1, 7)
if redis.call('EXISTS', JOB .. job) == 1 then return 0 end
redis.call('HSET', JOB .. job, 'id', job, 'state', state, 'ae_title', ae_title,
  'created', created, 'updated', now(), unpack(ARGV, 8, 7 + count))
if #ARGV > 7 + count then
  redis.call('HSET', DESTINATIONS .. job, unpack(ARGV, 8 + count))
end
redis.call('ZADD', JOBS_BY_TIME, created, job)
redis.call('ZADD', JOBS_BY_STATE .. state, created, job)
redis.call('ZADD', JOBS_BY_AE_TITLE .. ae_title, created, job)
redis.call('XADD', HISTORY .. job, '*', 'state', state, 'what', event, 'who', who)
return 1
