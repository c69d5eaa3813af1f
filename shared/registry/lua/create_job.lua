-- job, state, created (ms), what, who, attempt, error, seconds, n, n fields and values,
-- destination, JSON, ... -> 1 if it was new; else those of the destinations are added that it lacks
local job, state, created = unpack(ARGV, 1, 3)
local count = tonumber(ARGV[9])
if redis.call('EXISTS', JOB .. job) == 1 then
  for i = 10 + count, #ARGV, 2 do  -- a person may have added one
    if redis.call('HEXISTS', DESTINATIONS .. job, ARGV[i]) == 0 then
      set_destination(job, ARGV[i], ARGV[i + 1])
    end
  end
  return 0
end
-- Its folder is about to go (`retire`): who read it before must not bring the record back.
if redis.call('HGET', STEP .. job, 'state') == 'removing' then return 0 end
redis.call('HSET', JOB .. job, 'id', job, 'state', state, 'created', created, 'updated', now(),
  unpack(ARGV, 10, 9 + count))
for i = 10 + count, #ARGV, 2 do
  redis.call('HSET', DESTINATIONS .. job, ARGV[i], ARGV[i + 1])
  redis.call('SADD', DESTINATION_NAMES, ARGV[i])
end
for _, index in ipairs(indexes_of(job)) do
  redis.call('ZADD', index, created, job)
end
note(job, state, 4)
return 1
