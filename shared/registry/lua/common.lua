-- Before every script. Times are the server's own, in milliseconds: no worker's clock counts.

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Waiting steps stand in order of priority, then of submission; before them all those that hold
-- on to their places.
local function wait(id, lane)
  local step = redis.call('HMGET', STEP .. id, 'priority', 'submitted', 'holds_on')
  local priority = step[3] == '1' and -1 or step[1]
  redis.call('ZADD', WAITING .. lane, priority * 1e13 + step[2], id)
end

local function leave(id, lane)
  redis.call('ZREM', WAITING .. lane, id)
  redis.call('ZREM', DUE .. lane, id)
  redis.call('ZREM', LEASES .. lane, id)
  redis.call('ZREM', HANDED_OVER .. lane, id)
end

local function lease(id, lane, period)
  redis.call('ZADD', LEASES .. lane, now() + period, id)
end

local function make(id, queue, lane, job, priority)
  redis.call('SADD', LANES .. queue, lane)
  redis.call('HSET', STEP .. id, 'queue', queue, 'lane', lane, 'job', job, 'priority', priority,
    'submitted', now(), 'attempts', 0)
end

local function never_granted(state, token)
  return (state == 'waiting' or state == 'retrying') and not token
end

-- What is left of a withdrawn step: the next submit makes it anew, and a run of it that turns up
-- late is told so, not adopted.
local function withdraw(id, lane, keep)
  if lane then leave(id, lane) end
  redis.call('ZREM', HELD_UP, id)
  redis.call('DEL', STEP .. id)
  redis.call('HSET', STEP .. id, 'state', 'withdrawn', 'token', '')
  redis.call('PEXPIRE', STEP .. id, keep)
end

local function forget(id, lane)
  leave(id, lane)
  redis.call('ZREM', HELD_UP, id)
  redis.call('DEL', STEP .. id)
end

-- Its time is over and it did not end.
local function take_back(id, lane, keep)
  if redis.call('HEXISTS', STEP .. id, 'withdrawn') == 1 then
    withdraw(id, lane, keep)
  else
    leave(id, lane)
    redis.call('HSET', STEP .. id, 'state', 'waiting', 'token', '')
    wait(id, lane)
  end
end

-- A lane is shut after failures in a row: nothing of it is granted until its probe, a step in a
-- lane of its own, was done.
local PROBE = 'probe:'

local function fails(lane, reason, delay, shut_after, patience)
  local tried = string.match(lane, '^' .. PROBE .. '(.*)')
  local health = LANE .. (tried or lane)
  if tried and redis.call('HEXISTS', health, 'shut') == 0 then return end
  redis.call('HSET', health, 'error', reason, 'error_at', now(), 'patience', patience)
  if not tried and redis.call('HINCRBY', health, 'failures', 1) >= tonumber(shut_after) then
    if redis.call('HSETNX', health, 'shut', now()) == 1 then
      redis.call('HSET', health, 'probe_at', now() + delay)
    end
  end
end

-- After a probe one place, as its failures still count: the next one shuts it again.
local function succeeds(lane)
  local tried = string.match(lane, '^' .. PROBE .. '(.*)')
  local open = tried or lane
  local was_shut = redis.call('HDEL', LANE .. open, 'shut', 'probe_at') > 0
  if not tried then
    redis.call('HDEL', LANE .. lane, 'failures', 'error', 'error_at', 'patience')
    redis.call('HSET', LANE .. lane, 'done_at', now())
  end
  if not was_shut then return end
  for _, id in ipairs(redis.call('ZRANGE', DUE .. open, 0, -1)) do
    redis.call('ZREM', DUE .. open, id)
    redis.call('HSET', STEP .. id, 'state', 'waiting')
    wait(id, open)
  end
  if not tried then
    local probe = PROBE .. lane
    local state = redis.call('HGET', STEP .. probe, 'state')
    if state == 'waiting' or state == 'retrying' then forget(probe, probe) end
  end
end

-- The probe of a lane that is shut waits for its time, also where it was lost.
local function probe(queue, lane, probe_at)
  local id = PROBE .. lane
  local state = redis.call('HGET', STEP .. id, 'state')
  if state and state ~= 'done' and state ~= 'failed' and state ~= 'withdrawn' then return end
  redis.call('PERSIST', STEP .. id)
  make(id, queue, id, '', 0)
  redis.call('HSET', STEP .. id, 'state', 'retrying', 'breaks', 0)
  redis.call('HDEL', STEP .. id, 'withdrawn', 'holds_on')
  redis.call('ZADD', DUE .. id, probe_at, id)
end
