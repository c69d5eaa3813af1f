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
