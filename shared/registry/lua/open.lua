-- -> nothing runs anywhere, so there is nothing to wait for before steps are admitted
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
redis.call('HSET', EPOCH, 'run_id', run_id, 'closed_until', 0)
