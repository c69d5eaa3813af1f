-- After common.lua, before every script: the job records, their indexes and histories.

-- The index of the jobs whose export to a destination stands as this JSON says.
local function standing(destination, progress)
  return JOBS_BY_DESTINATION_STATE .. destination .. ':' .. cjson.decode(progress).state
end

-- Every index that a job belongs in, by its record and how its destinations stand.
local function indexes_of(job)
  local record = redis.call('HMGET', JOB .. job,
    'state', 'ae_title', 'calling_ae_title', 'pipeline', 'studies')
  local found = {JOBS_BY_TIME}
  if not record[1] then return found end
  table.insert(found, JOBS_BY_STATE .. record[1])
  table.insert(found, JOBS_BY_AE_TITLE .. record[2])
  table.insert(found, JOBS_BY_CALLING_AE_TITLE .. record[3])
  table.insert(found, JOBS_BY_PIPELINE .. record[4])
  for study in string.gmatch(record[5], '%S+') do
    table.insert(found, JOBS_BY_STUDY .. study)
  end
  local destinations = redis.call('HGETALL', DESTINATIONS .. job)
  for i = 1, #destinations, 2 do
    table.insert(found, JOBS_BY_DESTINATION .. destinations[i])
    table.insert(found, standing(destinations[i], destinations[i + 1]))
  end
  return found
end

-- How many instances were delivered in each minute of the last day.
local function count_sent(name, old, new)
  local more = new.delivered - old.delivered
  if more <= 0 then return end
  local minute = math.floor(now() / 60000)
  local key = SENT .. name .. ':' .. math.floor(minute / 60)
  redis.call('HINCRBY', key, minute, more)
  redis.call('EXPIRE', key, 26 * 3600)
end

local function set_destination(job, name, progress)
  local created = redis.call('HGET', JOB .. job, 'created')
  if not created then return end
  local old = redis.call('HGET', DESTINATIONS .. job, name)
  if old then
    redis.call('ZREM', standing(name, old), job)
    count_sent(name, cjson.decode(old), cjson.decode(progress))
  end
  redis.call('HSET', DESTINATIONS .. job, name, progress)
  redis.call('SADD', DESTINATION_NAMES, name)
  redis.call('ZADD', JOBS_BY_DESTINATION .. name, created, job)
  redis.call('ZADD', standing(name, progress), created, job)
end

-- A line of a job's history, from ARGV[first] on: what, who, attempt, error, seconds. Every line
-- has every field: the server then keeps their names once a block.
local function note(job, state, first)
  local what, who, attempt, error, seconds = unpack(ARGV, first, first + 4)
  if what == '' then return end
  redis.call('XADD', HISTORY .. job, 'MAXLEN', '~', 1000, '*', 'state', state,
    'what', what, 'who', who, 'attempt', attempt, 'error', error, 'seconds', seconds)
end

-- Whether that very line is the last already.
local function noted(job, state, first)
  local last = redis.call('XREVRANGE', HISTORY .. job, '+', '-', 'COUNT', 1)[1]
  if not last then return false end
  local line = {}
  for i = 1, #last[2], 2 do line[last[2][i]] = last[2][i + 1] end
  local same = line.state == state
  for i, name in ipairs({'what', 'who', 'attempt', 'error', 'seconds'}) do
    same = same and line[name] == ARGV[first + i - 1]
  end
  return same
end
