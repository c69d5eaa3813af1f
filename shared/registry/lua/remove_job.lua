-- job: its record and history are gone from every index
local record = redis.call('HMGET', JOB .. ARGV[1], 'state', 'ae_title')
if record[1] then
  redis.call('ZREM', JOBS_BY_STATE .. record[1], ARGV[1])
  redis.call('ZREM', JOBS_BY_AE_TITLE .. record[2], ARGV[1])
end
redis.call('ZREM', JOBS_BY_TIME, ARGV[1])
redis.call('DEL', JOB .. ARGV[1], DESTINATIONS .. ARGV[1], HISTORY .. ARGV[1])
