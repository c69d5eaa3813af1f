-- id, state, ... -> '': a step in one of these states is forgotten; else the state that it is in
local id = ARGV[1]
local state, lane = unpack(redis.call('HMGET', STEP .. id, 'state', 'lane'))
if not state or state == 'withdrawn' then return '' end
for i = 2, #ARGV do
  if state == ARGV[i] then
    forget(id, lane)
    return ''
  end
end
return state
