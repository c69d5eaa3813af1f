-- id, token, caller, running lease, queue, lane, job, priority, attempts -> 'go on', 'lost', 'cancel'
local id, token, caller, period, queue, lane, job, priority, attempts = unpack(ARGV)
local step = redis.call('HMGET', STEP .. id, 'state', 'token', 'cancel')
if not step[1] then make(id, queue, lane, job, priority) end
-- Unknown, or submitted anew and never granted since: the server lost it while it ran. Adopted.
if not step[1] or (step[1] == 'waiting' and not step[2]) then
  leave(id, lane)
  redis.call('HSET', STEP .. id, 'state', 'running', 'token', token, 'caller', caller,
    'attempts', attempts)
elseif step[1] ~= 'running' or step[2] ~= token then
  return 'lost'
end
lease(id, lane, tonumber(period))
return step[3] and 'cancel' or 'go on'
