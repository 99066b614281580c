-- The end of a room's stream: its epoch, then its entries.
--
-- KEYS[1]  chat:{ROOM}
-- ARGV     an epoch in case there is none
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
end
return { epoch, redis.call('XRANGE', KEYS[1] .. ':' .. epoch, '-', '+') }
