import { createHash } from 'node:crypto';

/** What goes to a script besides its keys. */
export type Argument = string | number | Buffer;

/** A Lua script: static text; whatever varies travels in KEYS and ARGV. */
export interface Script {
  readonly text: string;
  readonly sha: string;
  /** Its last argument is until when the server may carry it out. */
  readonly isTimed: boolean;
}

/**
 * Every script on one entry takes KEYS: entry, lease, then the nodes from the global one to the entry's own.
 * ARGV[1] is the base of the bucket's keys. Further keys that a script derives have the same hash tag, so they
 * lie in the same slot; where that slot is being moved and one of them has gone ahead, the server ends the script: a fault.
 *
 * A node is `epoch:fence;parent epoch;stale fence`. An entry is `E`, a u16 length, `epoch:fence,…|tag,…|stamp|fences`
 * (from the global node down) and an envelope; a key of another type is somebody else's, so no entry. It is alive while all its epochs are current and, where a fence has
 * moved on, none of its tags has been evicted since.
 */
export const RECORD = `
local P = ARGV[1]
local function extraOf(key)
  local head = redis.pcall('GETRANGE', key, 0, 399)
  if type(head) ~= 'string' then
    if string.find(head.err, 'WRONGTYPE', 1, true) then return nil end
    redis.call('GETRANGE', key, 0, 0)
  end
  if #head < 3 or string.byte(head, 1) ~= 69 then return nil end
  local n = string.byte(head, 2) + 256 * string.byte(head, 3)
  if #head < n + 43 then head = redis.call('GETRANGE', key, 0, n + 42) end
  if #head < n + 43 then return nil end
  return string.sub(head, 4, n + 3), head, n
end
local function extraIn(record)
  if #record < 3 or string.byte(record, 1) ~= 69 then return nil end
  local n = string.byte(record, 2) + 256 * string.byte(record, 3)
  if #record < n + 43 then return nil end
  return string.sub(record, 4, n + 3)
end
local function unlist(name, extra)
  local levels, tags = string.match(extra, '^([^|]*)|([^|]*)|')
  for epoch in string.gmatch(levels, '([^:,]+):') do
    redis.call('ZREM', P .. 'i:' .. epoch, name)
    for tag in string.gmatch(tags, '[^,]+') do redis.call('ZREM', P .. 'i:' .. epoch .. ':' .. tag, name) end
  end
end
`;

/** Whether levels (`epoch:fence,…`) still hold; a second answer says whether they were marked stale. */
export const JUDGE = `
local function judge(levels, tags, nodes)
  local at, stale = 0, false
  for epoch, fence in string.gmatch(levels, '([^:,]+):(%d+)') do
    at = at + 1
    local node = nodes[at]
    if not node then return false end
    local now, moved, since = string.match(node, '^([^:]+):(%d+);[^;]*;(%d+)$')
    if now ~= epoch then return false end
    if moved ~= fence then
      fence = tonumber(fence)
      if tonumber(since) > fence then stale = true end
      for tag in string.gmatch(tags, '[^,]+') do
        local kept = redis.call('GET', P .. 't:' .. epoch .. ':' .. tag)
        if not kept then return false end
        local first, old = string.match(kept, '^(%d+):(%d+)$')
        if tonumber(first) > fence then return false end
        if tonumber(old) > fence then stale = true end
      end
    end
  end
  return at > 0 and at == #nodes, stale
end
local function judgeRecord(extra, nodes)
  local levels, tags = string.match(extra, '^([^|]*)|([^|]*)|')
  return judge(levels, tags, nodes)
end
local function nodesFrom(first)
  local keys = {}
  for at = first, #KEYS do keys[#keys + 1] = KEYS[at] end
  return keys, redis.call('MGET', unpack(keys))
end
`;

/**
 * A lease is `token|epoch:fence,…`, and a `;` behind that once somebody waits for it. Whoever ends it then says so on the
 * channel of `LeaseEnds`. A user without rights on channels costs that word, not the work: waiters ask from time to time.
 */
export const NOTIFY = `
local function tell(base, text)
  redis.pcall('PUBLISH', string.match(base, '^(.*):[^:]*:{[^{}]*}:$') .. '.leases', text)
end
local function ended(base, held, key)
  if string.sub(held, -1) == ';' then tell(base, key) end
end
local function void(key)
  local held = redis.pcall('GETDEL', key)
  if type(held) == 'string' then ended(P, held, key) end
end
`;

/**
 * `ensure` gives every node an epoch; a node whose parent's epoch changed is a new node. It notes new ones in `made`, because
 * another scope of the same script may lie below the same node, and has seen it missing too.
 */
export const ENSURE = `
local function ensure(keys, nodes, token, made)
  local parent, epochs, fences, path, all = '', {}, {}, '', ''
  for at = 1, #keys do
    local level, epoch, fence, above
    local node = nodes[at]
    if node then level, epoch, fence, above = string.match(node, '^(([^:]+):(%d+));([^;]*);') end
    if not epoch or above ~= parent then
      epoch, fence = token .. '.' .. at, '0'
      level = epoch .. ':0'
      local fresh = level .. ';' .. parent .. ';0'
      redis.call('SET', keys[at], fresh)
      if made then made[keys[at]] = fresh end
    end
    epochs[at], fences[at], parent = epoch, fence, epoch
    if at == 1 then path, all = level, fence else path, all = path .. ',' .. level, all .. '.' .. fence end
  end
  return epochs, fences, path, all
end
local function outlast(key, life)
  local left = redis.call('PTTL', key)
  if left ~= -1 and life == 0 then redis.call('PERSIST', key) end
  if left ~= -1 and life > 0 and left < life then redis.call('PEXPIRE', key, life) end
end
`;

/**
 * `put` writes an entry; its life is text, which the server need not print first. `list` enters members into an index;
 * index and node (or tag) live as long as the longest entry, at most a second more.
 */
export const LIST = `
local function list(index, owner, life, isNew, members)
  local left = redis.call('PTTL', index)
  redis.call('ZADD', index, unpack(members))
  if left == -1 and not isNew then return end
  if life == 0 or left == -1 then
    redis.call('PERSIST', index)
    redis.call('PERSIST', owner)
  elseif left < life or isNew then
    local longest = math.max(left, life)
    longest = longest + math.min(1000, math.floor(longest / 10))
    redis.call('PEXPIRE', index, longest)
    redis.call('PEXPIRE', owner, longest)
  end
end
local function heading(path, tags, stampSize, fences)
  local size = #path + #tags + stampSize + #fences + 3
  return 'E' .. string.char(size % 256, math.floor(size / 256)) .. path .. '|' .. tags .. '|'
end
local function put(key, name, path, record, life)
  local old
  if life == '0' then old = redis.call('SET', key, record, 'GET')
  else old = redis.call('SET', key, record, 'PX', life, 'GET') end
  if old and string.find(old, path .. '||', 4, true) ~= 4 then
    local extra = extraIn(old)
    if extra then unlist(name, extra) end
  end
end
local function listTags(epoch, fence, tags, score, name, life)
  for tag in string.gmatch(tags, '[^,]+') do
    local owner = P .. 't:' .. epoch .. ':' .. tag
    local isNew = redis.call('SET', owner, fence .. ':0', 'NX')
    list(P .. 'i:' .. epoch .. ':' .. tag, owner, life, isNew, { score, name })
  end
end
`;

/** Does nothing, and says the time, when it comes after its limit (`''`: it has none). */
const TIMED = `
if ARGV[#ARGV] ~= '' then
  local now = redis.pcall('TIME')
  if not now.err and now[1] * 1000 + now[2] / 1000 > tonumber(ARGV[#ARGV]) then
    return redis.error_reply('LATE ' .. now[1] .. ' ' .. now[2])
  end
end
`;

/** Its digest is what travels, once the server knows the text. */
export function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex'), isTimed: false };
}

/** A script that must not be carried out once its caller has given up: the last argument is added where it is sent. */
export function timedScript(text: string): Script {
  return { ...script(TIMED + text), isTimed: true };
}
