-- job: its record and history are gone, and it from every index
local job = ARGV[1]
for _, index in ipairs(indexes_of(job)) do
  redis.call('ZREM', index, job)
end
for _, name in ipairs(redis.call('HKEYS', DESTINATIONS .. job)) do
  if redis.call('EXISTS', JOBS_BY_DESTINATION .. name) == 0 then
    redis.call('SREM', DESTINATION_NAMES, name)
  end
end
redis.call('DEL', JOB .. job, DESTINATIONS .. job, HISTORY .. job)
