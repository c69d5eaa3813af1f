-- worker, period (ms), queue, places, queue, places, ... ; 0 places withdraws
local worker, period = ARGV[1], ARGV[2]
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '0' then
    redis.call('HDEL', PLACES .. ARGV[i], worker)
  else
    redis.call('HSET', PLACES .. ARGV[i], worker, ARGV[i + 1] .. ' ' .. (now() + period))
  end
end
