-- Is the stream still the one that a server has read?
--
-- KEYS[1]  chat:{ROOM}
-- ARGV     the epoch that the server knows, the offset of the last entry that it has read, that entry's sender and
--          number, a new epoch
--
-- 'same'   yes
-- 'anew'   no: read the tail
local epoch = redis.call('GET', KEYS[1])
if epoch ~= ARGV[1] then
  return 'anew'
end
local offset = tonumber(ARGV[2])
if offset == 0 then
  return 'same'
end
local stream = KEYS[1] .. ':' .. epoch
local id = '0-' .. ARGV[2]
local found = redis.call('XRANGE', stream, id, id)[1]
if found and found[2][2] == ARGV[3] and found[2][4] == ARGV[4] then
  return 'same'
end
-- The entry is gone. If newer ones pushed it out, the epoch goes on, and the server has missed some.
local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
if not found and first and tonumber(string.sub(first[1], 3)) > offset then
  return 'anew'
end
-- The store has lost it: an older copy of the data was restored. Offsets of this epoch mean nothing any more.
redis.call('SET', KEYS[1], ARGV[5])
redis.call('EXPIRE', stream, 86400)
return 'anew'
