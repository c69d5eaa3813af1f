-- id, token, outcome, reason, delay, counted, shut after, patience, broken, held up, keep,
-- queue, lane, job, priority, attempts, breaks
-- -> 'finished', or 'lost' to whom the step is not any more
local id, token, outcome, reason, delay, counted = unpack(ARGV, 1, 6)
local shut_after, patience, broken, held_up, keep = unpack(ARGV, 7, 11)
local queue, lane, job, priority, attempts, breaks = unpack(ARGV, 12)
local step = redis.call('HMGET', STEP .. id, 'state', 'token', 'finished', 'withdrawn')
if step[3] == token then return 'finished' end
if not step[1] then make(id, queue, lane, job, priority) end
if not step[1] or never_granted(step[1], step[2]) then
  redis.call('HSET', STEP .. id, 'attempts', attempts, 'breaks', breaks)
elseif step[2] ~= token then
  return 'lost'
end
if shut_after ~= '0' then
  fails(lane, reason, delay, shut_after, patience)
elseif outcome == 'done' then
  succeeds(lane)
end
if held_up == '1' then
  redis.call('ZADD', HELD_UP, 'NX', now(), id)
else
  redis.call('ZREM', HELD_UP, id)
end
if outcome == 'withdrawn' or (step[4] and outcome ~= 'done') then
  withdraw(id, lane, keep)
  redis.call('HSET', STEP .. id, 'finished', token)
  return 'finished'
end
leave(id, lane)
redis.call('HDEL', STEP .. id, 'withdrawn', 'holds_on')
redis.call('HSET', STEP .. id, 'state', outcome, 'token', '', 'finished', token, 'reason', reason)
if counted == '0' then redis.call('HINCRBY', STEP .. id, 'attempts', -1) end
if broken == '0' then redis.call('HINCRBY', STEP .. id, 'breaks', -1) end
if outcome == 'retrying' then
  redis.call('ZADD', DUE .. lane, now() + delay, id)
else
  redis.call('PEXPIRE', STEP .. id, keep)
end
return 'finished'
