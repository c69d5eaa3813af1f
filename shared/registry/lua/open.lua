-- -> nothing runs anywhere, so there is nothing to wait for before steps are admitted
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if redis.call('HGET', EPOCH, 'run_id') ~= run_id then
  redis.call('HSET', EPOCH, 'run_id', run_id, 'since', now())
end
redis.call('HSET', EPOCH, 'closed_until', 0)
