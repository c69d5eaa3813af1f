-- job, state, what happened, who, history length, n, n states it may come from, field, value, ...
-- -> 1 if it is there now with this line as its last, by this call or by the same one before
local job, state, event, who, history = unpack(ARGV, 1, 5)
local count = tonumber(ARGV[6])
local old, created = unpack(redis.call('HMGET', JOB .. job, 'state', 'created'))
if not old then return 0 end
if old == state and event ~= '' then
  local last = redis.call('XREVRANGE', HISTORY .. job, '+', '-', 'COUNT', 1)[1]
  if last then
    local line = {}
    for i = 1, #last[2], 2 do line[last[2][i]] = last[2][i + 1] end
    if line.state == state and line.what == event and line.who == who then return 1 end
  end
end
local legal = false
for i = 7, 6 + count do legal = legal or ARGV[i] == old end
if not legal then return 0 end
redis.call('HSET', JOB .. job, 'state', state, 'updated', now(), unpack(ARGV, 7 + count))
if old ~= state then
  redis.call('ZREM', JOBS_BY_STATE .. old, job)
  redis.call('ZADD', JOBS_BY_STATE .. state, created, job)
end
if event ~= '' then
  redis.call('XADD', HISTORY .. job, 'MAXLEN', '~', history, '*', 'state', state, 'what', event,
    'who', who)
end
return 1
