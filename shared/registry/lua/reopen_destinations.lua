-- job, destination, ...: each waits to be sent to; what was delivered stays counted
local job = ARGV[1]
for i = 2, #ARGV do
  local text = redis.call('HGET', DESTINATIONS .. job, ARGV[i])
  if text then
    local progress = cjson.decode(text)
    progress.state, progress.failed, progress.reason = 'pending', 0, ''
    progress.retry_at = cjson.null
    set_destination(job, ARGV[i], cjson.encode(progress))
  end
end
