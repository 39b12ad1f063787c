import { NOTIFY, RECORD, script } from './lua.js';

/**
 * Scripts on whole nodes. KEYS: the nodes from the global one to the target. ARGV[1]: base of the bucket's keys.
 * An eviction deletes an epoch, which kills everything below at once; the index that belonged to it then waits in the
 * list `g` until its entries have been reclaimed in batches (small ones go in the same step). Where indexes wait before it,
 * some of its members may be dead already: how many were not is known when it is its turn, and counted in `c:<index>`.
 *
 * A server that is full (`noeviction`) refuses a script whose first write might take memory, whatever follows. Evictions only replace what is
 * there, so theirs begins with a write that takes none: `c:` alone is no key of ours.
 */
const TARGET = `${RECORD}
local function target()
  local nodes, parent, epoch, fence, stale = redis.call('MGET', unpack(KEYS)), ''
  for at = 1, #KEYS do
    if not nodes[at] then return nil end
    local above
    epoch, fence, above, stale = string.match(nodes[at], '^([^:]+):(%d+);([^;]*);(%d+)$')
    if not epoch or above ~= parent then return nil end
    parent = epoch
  end
  return epoch, tonumber(fence), stale, string.match(nodes[#KEYS], ';([^;]*);')
end
local function spareMemory()
  redis.call('UNLINK', P .. 'c:')
end
local function drop(name, extra)
  unlist(name, extra)
  redis.call('UNLINK', P .. 'e:' .. name)
end
local function queue(garbage, index)
  local left, kept = redis.call('PTTL', P .. 'i:' .. index), redis.call('PTTL', garbage)
  redis.call('RPUSH', garbage, index)
  if left == -1 then redis.call('PERSIST', garbage)
  elseif kept ~= -1 and kept < left then redis.call('PEXPIRE', garbage, left) end
end
local function countLater(index)
  local left = redis.call('PTTL', P .. 'i:' .. index)
  if left == -1 or left > 60000 then left = 60000 end
  if left > 0 then redis.call('SET', P .. 'c:' .. index, 0, 'PX', left) end
end
local function fenceOf(extra, epoch)
  local levels = string.match(extra, '^([^|]*)|')
  for own, fence in string.gmatch(levels, '([^:,]+):(%d+)') do
    if own == epoch then return tonumber(fence) end
  end
end
local function hasTag(extra, tag)
  return string.find(',' .. string.match(extra, '|([^|]*)|') .. ',', ',' .. tag .. ',', 1, true) ~= nil
end
`;

/** Entries removed in the same step as the eviction; about 1 ms. */
export const INLINE_MAX = 128;

/** ARGV: base, now, inline limit. Leases below are void: whoever waits asks again. Answers how many fresh entries, the queued index (or nil), and how many wait before it. */
export const EVICT_NODE = script(`${TARGET}${NOTIFY}
local epoch = target()
redis.call('DEL', KEYS[#KEYS])
if not epoch then return { 0 } end
tell(P, P)
local garbage, index = P .. 'g', P .. 'i:' .. epoch
local count = redis.call('ZCOUNT', index, '(' .. ARGV[2], '+inf')
local size, pending = redis.call('ZCARD', index), redis.call('LLEN', garbage)
if size == 0 then return { 0 } end
if pending == 0 and size <= tonumber(ARGV[3]) then
  for _, name in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    local extra = extraOf(P .. 'e:' .. name)
    if extra and fenceOf(extra, epoch) then drop(name, extra) end
  end
  redis.call('UNLINK', index)
  return { count }
end
queue(garbage, epoch)
if pending > 0 then countLater(epoch) end
return { count, epoch, pending }
`);

/** ARGV: base, now, inline limit, tag, …. As EVICT_NODE, with one queued index for each large tag. */
export const EVICT_TAGS = script(`${TARGET}
local epoch, fence, stale, parent = target()
if not epoch then return { 0, 0 } end
local garbage, count = P .. 'g', 0
local pending, limit, now = redis.call('LLEN', P .. 'g'), tonumber(ARGV[3]), tonumber(ARGV[2])
local answer, large = { 0, pending }, pending > 0
fence = fence + 1
spareMemory()
redis.call('SET', KEYS[#KEYS], string.format('%s:%d;%s;%s', epoch, fence, parent, stale), 'KEEPTTL')
for at = 4, #ARGV do
  large = large or redis.call('ZCARD', P .. 'i:' .. epoch .. ':' .. ARGV[at]) > limit
end
for at = 4, #ARGV do
  local tag = epoch .. ':' .. ARGV[at]
  local index = P .. 'i:' .. tag
  redis.call('DEL', P .. 't:' .. tag)
  if redis.call('EXISTS', index) == 1 then
    count = count + redis.call('ZCOUNT', index, '(' .. ARGV[2], '+inf')
    if large then
      local queued = tag .. ':' .. string.format('%d', fence)
      redis.call('RENAME', index, P .. 'i:' .. queued)
      queue(garbage, queued)
      answer[#answer + 1] = queued
    else
      for _, name in ipairs(redis.call('ZRANGE', index, 0, -1)) do
        local extra = extraOf(P .. 'e:' .. name)
        if extra and fenceOf(extra, epoch) and hasTag(extra, ARGV[at]) then drop(name, extra) end
      end
      redis.call('UNLINK', index)
    end
  end
end
answer[1] = count
if pending > 0 or #answer > 3 then
  for at = 3, #answer do countLater(answer[at]) end
end
return answer
`);

/**
 * KEYS: the garbage list. ARGV: base, batch, now. Removes one batch of dead entries of the first index in the list.
 * Answers how many indexes are left.
 */
export const RECLAIM = script(`${TARGET}
local queued = redis.call('LINDEX', KEYS[1], 0)
if not queued then return 0 end
local epoch, tag, fence = string.match(queued, '^([^:]+):?([^:]*):?(%d*)$')
local index, dropped = P .. 'i:' .. queued, 0
local batch = redis.call('ZRANGE', index, 0, tonumber(ARGV[2]) - 1, 'WITHSCORES')
local names = {}
for at = 1, #batch, 2 do
  names[#names + 1] = batch[at]
  local extra = extraOf(P .. 'e:' .. batch[at])
  local own = extra and fenceOf(extra, epoch)
  if own and (tag == '' or (own < tonumber(fence) and hasTag(extra, tag))) then
    drop(batch[at], extra)
    if tonumber(batch[at + 1]) > tonumber(ARGV[3]) then dropped = dropped + 1 end
  end
end
if #names > 0 then redis.call('ZREM', index, unpack(names)) end
if dropped > 0 and redis.call('EXISTS', P .. 'c:' .. queued) == 1 then
  redis.call('INCRBY', P .. 'c:' .. queued, dropped)
end
if #names < tonumber(ARGV[2]) then
  redis.call('UNLINK', index)
  redis.call('LPOP', KEYS[1])
end
return redis.call('LLEN', KEYS[1])
`);

/**
 * KEYS: the garbage list. ARGV: base, now, queued index, …, in their order. How many of their entries were fresh; `nil`: that
 * is not known yet. One index is exact when it is the first in the list. Several have entries in common (one with several
 * of the tags), so that only removing them tells.
 */
export const COUNT_QUEUED = script(`
local P = ARGV[1]
local ahead = redis.call('LPOS', KEYS[1], ARGV[#ARGV])
if ahead and (ahead > 0 or #ARGV > 3) then return nil end
local count = 0
for at = 3, #ARGV do
  count = count + tonumber(redis.call('GET', P .. 'c:' .. ARGV[at]) or 0)
    + redis.call('ZCOUNT', P .. 'i:' .. ARGV[at], '(' .. ARGV[2], '+inf')
  redis.call('DEL', P .. 'c:' .. ARGV[at])
end
return count
`);

/** ARGV: base, now. Fresh entries of the target, how many indexes wait, the name of the target's. */
export const COUNT = script(`${TARGET}
local index = target()
if not index then return { 0, 0 } end
return { redis.call('ZCOUNT', P .. 'i:' .. index, '(' .. ARGV[2], '+inf'), redis.call('LLEN', P .. 'g'), index }
`);

/** ARGV: base, idle seconds, now, name, …. Drops those of the entries that nobody read or wrote for longer; how many were fresh. */
export const DROP_IDLE = script(`${TARGET}
local count = 0
for at = 4, #ARGV do
  local key = P .. 'e:' .. ARGV[at]
  local idle = redis.call('OBJECT', 'IDLETIME', key)
  if idle and idle > tonumber(ARGV[2]) then
    local extra, head, n = extraOf(key)
    if extra then
      local storedAt, ttl = struct.unpack('<dd', head, n + 12)
      if tonumber(ARGV[3]) < storedAt + ttl then count = count + 1 end
      drop(ARGV[at], extra)
    end
  end
end
return count
`);

/** ARGV: base, tag, …. Marks the target's present entries (of these tags) stale. Answers its epoch and the new fence. */
export const MARK_STALE = script(`${TARGET}
local epoch, fence, stale, parent = target()
if not epoch then return {} end
fence = fence + 1
local mark = string.format('%d', fence)
if #ARGV == 1 then stale = mark end
spareMemory()
redis.call('SET', KEYS[#KEYS], epoch .. ':' .. mark .. ';' .. parent .. ';' .. stale, 'KEEPTTL')
for at = 2, #ARGV do
  local key = P .. 't:' .. epoch .. ':' .. ARGV[at]
  local kept = redis.call('GET', key)
  if kept then redis.call('SET', key, string.match(kept, '^%d+') .. ':' .. mark, 'KEEPTTL') end
end
return { epoch, mark }
`);

/** ARGV: base, epoch, fence, tags, now, name, …. Takes those of the entries that the mark made stale out of the counts. */
export const UNCOUNT_STALE = script(`${TARGET}
local count, now = 0, tonumber(ARGV[5])
for at = 6, #ARGV do
  local extra = extraOf(P .. 'e:' .. ARGV[at])
  local own = extra and fenceOf(extra, ARGV[2])
  local chosen = own and own < tonumber(ARGV[3]) and ARGV[4] == ''
  if own and own < tonumber(ARGV[3]) then
    for tag in string.gmatch(ARGV[4], '[^,]+') do chosen = chosen or hasTag(extra, tag) end
  end
  if chosen then
    local score = redis.call('ZSCORE', P .. 'i:' .. ARGV[2], ARGV[at])
    if score and tonumber(score) > now then count = count + 1 end
    unlist(ARGV[at], extra)
  end
end
return count
`);

/** ARGV: base, now, batch. Takes expired members out of the target's index; how many it took. */
export const SWEEP = script(`${TARGET}
local epoch = target()
if not epoch then return 0 end
local gone = redis.call('ZRANGEBYSCORE', P .. 'i:' .. epoch, '-inf', ARGV[2], 'LIMIT', 0, tonumber(ARGV[3]))
if #gone > 0 then redis.call('ZREM', P .. 'i:' .. epoch, unpack(gone)) end
return #gone
`);
