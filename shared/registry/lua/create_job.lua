-- job, state, AE title, created (ms), what happened, field, value, ... -> 1 if it was new
local job, state, ae_title, created, event = unpack(ARGV, 1, 5)
if redis.call('EXISTS', JOB .. job) == 1 then return 0 end
redis.call('HSET', JOB .. job, 'id', job, 'state', state, 'ae_title', ae_title,
  'created', created, 'updated', now(), unpack(ARGV, 6))
redis.call('ZADD', JOBS_BY_TIME, created, job)
redis.call('ZADD', JOBS_BY_STATE .. state, now(), job)
redis.call('ZADD', JOBS_BY_AE_TITLE .. ae_title, created, job)
redis.call('XADD', HISTORY .. job, '*', 'state', state, 'what', event)
return 1
