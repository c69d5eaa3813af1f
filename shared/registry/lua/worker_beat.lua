-- worker, how long it lasts (ms), JSON of how it stands
local worker, lasts, state = unpack(ARGV)
local time = now()
redis.call('SET', WORKER .. worker, state, 'PX', lasts)
redis.call('ZADD', WORKERS, time + lasts, worker)
-- What one that died has left.
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, '-inf', time)) do
  redis.call('DEL', CANARIES .. dead)
  redis.call('ZREM', WORKERS, dead)
end
