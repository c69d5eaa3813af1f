-- id, token, outcome, reason, delay, counted, troubled, keep, queue, lane, job, priority, attempts
-- -> 'finished', or 'lost' to whom the step is not any more
local id, token, outcome, reason, delay, counted, troubled, keep = unpack(ARGV, 1, 8)
local queue, lane, job, priority, attempts = unpack(ARGV, 9)
local step = redis.call('HMGET', STEP .. id, 'state', 'token', 'finished', 'withdrawn')
if step[3] == token then return 'finished' end
if not step[1] then make(id, queue, lane, job, priority) end
if not step[1] or (step[1] == 'waiting' and not step[2]) then
  redis.call('HSET', STEP .. id, 'attempts', attempts)
elseif step[2] ~= token then
  return 'lost'
end
if step[4] and outcome == 'retrying' then outcome = 'failed' end
leave(id, lane)
redis.call('HSET', STEP .. id, 'state', outcome, 'token', '', 'finished', token, 'reason', reason)
if troubled == '1' then
  redis.call('SADD', TROUBLED, lane)
elseif outcome == 'done' then
  redis.call('SREM', TROUBLED, lane)
end
if counted == '0' then redis.call('HINCRBY', STEP .. id, 'attempts', -1) end
if outcome == 'retrying' then
  redis.call('ZADD', DUE .. lane, now() + delay, id)
else
  redis.call('PEXPIRE', STEP .. id, keep)
end
return 'finished'
