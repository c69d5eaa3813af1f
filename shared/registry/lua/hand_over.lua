-- id, token, caller, time left (ms), holds on, keep (ms),
-- queue, lane, job, priority, attempts, breaks
-- -> 'go on', 'lost', 'withdrawn'
-- A running step goes on elsewhere: it keeps its token, and its place in the lane until its deadline.
local id, token, caller, left, holds_on, keep = unpack(ARGV, 1, 6)
local queue, lane, job, priority, attempts, breaks = unpack(ARGV, 7)
local step = redis.call('HMGET', STEP .. id, 'state', 'token', 'withdrawn')
if step[1] == 'withdrawn' then return 'withdrawn' end
local under_way = step[1] == 'running' or step[1] == 'handed over'
if step[1] and not never_granted(step[1], step[2]) and not (under_way and step[2] == token) then
  return 'lost'
end
if step[3] then
  withdraw(id, lane, keep)
  return 'withdrawn'
end
if not step[1] then make(id, queue, lane, job, priority) end
leave(id, lane)
redis.call('HSET', STEP .. id, 'state', 'handed over', 'token', token, 'caller', caller,
  'attempts', attempts, 'breaks', breaks, 'holds_on', holds_on)
redis.call('ZADD', HANDED_OVER .. lane, now() + left, id)
return 'go on'
