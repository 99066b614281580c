-- Appends what a member said, unless the store has it already.
--
-- KEYS[1]  chat:{ROOM}, whose value is the epoch; the stream is chat:{ROOM}:EPOCH
-- ARGV     an epoch in case there is none, from, number, who, says, history
--
-- A script is atomic: no other command runs between its lines.
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
end
-- The sender asks again when a connection broke before the answer came. The store may have the message by then.
local number_key = KEYS[1] .. ':number:' .. ARGV[2]
local last = tonumber(redis.call('GET', number_key) or '0')
if tonumber(ARGV[3]) <= last then
  return 0
end
redis.call('SET', number_key, ARGV[3], 'EX', 3600)
-- 0-*: Redis chooses the next sequence number, so that the offsets are 1, 2, 3 without a gap.
redis.call('XADD', KEYS[1] .. ':' .. epoch, 'MAXLEN', '=', ARGV[6], '0-*',
  'from', ARGV[2], 'number', ARGV[3], 'who', ARGV[4], 'says', ARGV[5])
return 1
