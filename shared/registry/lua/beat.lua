-- id, token, caller, running lease, queue, lane, job, priority, attempts, breaks
-- -> 'go on', 'lost', 'withdrawn'
local id, token, caller, period, queue, lane, job, priority, attempts, breaks = unpack(ARGV)
local step = redis.call('HMGET', STEP .. id, 'state', 'token', 'withdrawn', 'caller')
if step[1] == 'withdrawn' then return 'withdrawn' end
if step[1] == 'handed over' and step[2] == token then return 'go on' end
if not step[1] then make(id, queue, lane, job, priority) end
-- Unknown, submitted anew and never granted since, or granted to this run and not started: the
-- server lost it while it ran. Adopted.
if not step[1] or never_granted(step[1], step[2]) or (step[1] == 'granted' and step[2] == token) then
  leave(id, lane)
  redis.call('HSET', STEP .. id, 'state', 'running', 'token', token, 'caller', caller,
    'attempts', attempts, 'breaks', breaks)
elseif step[1] ~= 'running' or step[2] ~= token or step[4] ~= caller then
  return 'lost'
end
lease(id, lane, tonumber(period))
return step[3] and 'withdrawn' or 'go on'
