-- destination, interval (ms), burst -> 0: go; else how long to wait and ask again (GCRA)
local key, interval, burst = PACE .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = now()
local next_start = math.max(tonumber(redis.call('GET', key) or '0'), time)
local ahead = next_start - time - interval * (burst - 1)
if ahead > 0 then return math.ceil(ahead) end
redis.call('SET', key, next_start + interval, 'PX', math.ceil(next_start + interval - time) + 1000)
return 0
