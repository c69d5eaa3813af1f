-- how long it is remembered (ms), step, step, ... -> 1: they are `removing`, and nobody's submit
-- brings them back while that stands; 0: one of them is under way, and all stay as they are
local under_way = {
  waiting = true, retrying = true, granted = true, running = true, ['handed over'] = true
}
for i = 2, #ARGV do
  local state = redis.call('HGET', STEP .. ARGV[i], 'state')
  if state and under_way[state] then return 0 end
end
for i = 2, #ARGV do
  redis.call('ZREM', HELD_UP, ARGV[i])
  redis.call('HSETNX', STEP .. ARGV[i], 'lane', '')
  redis.call('HSET', STEP .. ARGV[i], 'state', 'removing', 'token', '')
  redis.call('PEXPIRE', STEP .. ARGV[i], ARGV[1])
end
return 1
