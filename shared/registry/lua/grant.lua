-- queue, granted lease, running lease, keep, token...
-- -> {id, token, attempts, ...} of the steps admitted
local queue, granted_lease, running_lease, keep = unpack(ARGV, 1, 4)
granted_lease, running_lease = tonumber(granted_lease), tonumber(running_lease)
local time = now()

-- A server that is new to us (restarted, emptied) may have lost leases of steps that still run:
-- for one lease nobody is admitted and nothing is taken back, and their beats re-adopt them.
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if redis.call('HGET', EPOCH, 'run_id') ~= run_id then
  redis.call('HSET', EPOCH, 'run_id', run_id, 'since', time, 'closed_until', time + running_lease)
end
if time < tonumber(redis.call('HGET', EPOCH, 'closed_until')) then return {} end

local free = 0
local places = redis.call('HGETALL', PLACES .. queue)
for i = 1, #places, 2 do
  local count, expiry = string.match(places[i + 1], '(%d+) (%d+)')
  if tonumber(expiry) < time then
    redis.call('HDEL', PLACES .. queue, places[i])
  else
    free = free + count
  end
end

for _, lane in ipairs(redis.call('SMEMBERS', LANES .. queue)) do
  local shut, probe_at = unpack(redis.call('HMGET', LANE .. lane, 'shut', 'probe_at'))
  if shut then probe(queue, lane, probe_at) end
end

local lanes = {}  -- how much room there is in each
local overdue = {}  -- of those that are shut: what waits since then goes all the same, to be given up
local taken = 0
for _, lane in ipairs(redis.call('SMEMBERS', LANES .. queue)) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', DUE .. lane, '-inf', time)) do
    redis.call('ZREM', DUE .. lane, id)
    redis.call('HSET', STEP .. id, 'state', 'waiting')
    wait(id, lane)
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES .. lane, '-inf', time)) do
    take_back(id, lane, keep)
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', HANDED_OVER .. lane, '-inf', time)) do
    redis.call('HINCRBY', STEP .. id, 'breaks', -1)  -- nothing broke: its deadline is over
    take_back(id, lane, keep)
  end
  local here = redis.call('ZCARD', LEASES .. lane)
  taken = taken + here  -- what was handed over has a place in its lane, and holds no worker
  local held = here + redis.call('ZCARD', HANDED_OVER .. lane)
  local cap = tonumber(redis.call('HGET', CAPS, lane) or '1e9')
  local tried = string.match(lane, '^' .. PROBE .. '(.*)')
  local failures, shut, patience, paused =
    unpack(redis.call('HMGET', LANE .. lane, 'failures', 'shut', 'patience', 'paused'))
  if tried then paused = redis.call('HGET', LANE .. tried, 'paused') end
  -- After a failure one place, until a step succeeds: a lane that hangs never holds the queue.
  if failures then cap = math.min(cap, 1) end
  if paused == '1' then cap = 0 end
  if shut then overdue[lane] = time - patience end
  lanes[lane] = cap - held
end

-- The first of a lane that may go.
local function head(lane)
  local since = overdue[lane]
  if not since then return redis.call('ZRANGE', WAITING .. lane, 0, 0, 'WITHSCORES') end
  for priority = -1, 2 do
    local first = priority * 1e13
    local found = redis.call('ZRANGEBYSCORE', WAITING .. lane, first, first + since, 'WITHSCORES',
      'LIMIT', 0, 1)
    if found[1] then return found end
  end
  return {}
end

free = math.min(free, tonumber(redis.call('HGET', CAPS, queue) or '1e9')) - taken

local granted = {}
for i = 5, #ARGV do
  if free <= 0 then break end
  local first, lane_of_first, score_of_first
  for lane, room in pairs(lanes) do
    if room > 0 then
      local id, score = unpack(head(lane))
      score = tonumber(score)
      if id and (not first or score < score_of_first
          or (score == score_of_first and id < first)) then
        first, lane_of_first, score_of_first = id, lane, score
      end
    end
  end
  if not first then break end
  redis.call('ZREM', WAITING .. lane_of_first, first)
  redis.call('HSET', STEP .. first, 'state', 'granted', 'token', ARGV[i])
  lease(first, lane_of_first, granted_lease)
  lanes[lane_of_first] = lanes[lane_of_first] - 1
  free = free - 1
  table.insert(granted, first)
  table.insert(granted, ARGV[i])
  table.insert(granted, redis.call('HGET', STEP .. first, 'attempts'))
end
return granted
