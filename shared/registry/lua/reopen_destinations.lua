-- job, destination, ...: each waits to be sent to; what was delivered stays counted
for i = 2, #ARGV do
  local text = redis.call('HGET', DESTINATIONS .. ARGV[1], ARGV[i])
  if text then
    local progress = cjson.decode(text)
    progress.state, progress.failed, progress.reason = 'pending', 0, ''
    progress.retry_at = cjson.null
    redis.call('HSET', DESTINATIONS .. ARGV[1], ARGV[i], cjson.encode(progress))
  end
end
