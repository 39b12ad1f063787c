import { ENSURE, JUDGE, LIST, NOTIFY, RECORD, script, timedScript } from './lua.js';

/**
 * ARGV: base, name, mode, expected, score, life (0: forever), fresh token and stamp, tags, envelope. Mode `s` stores under
 * the lease `expected`; mode `c` while what was observed is still `expected`. Answers 1, or 0 when refused.
 */
export const WRITE = timedScript(`${RECORD}${NOTIFY}${JUDGE}${ENSURE}${LIST}
local name, mode, expected, token, tags = ARGV[2], ARGV[3], ARGV[4], ARGV[7], ARGV[8]
local score, life = ARGV[5], tonumber(ARGV[6])
local keys, nodes = nodesFrom(3)
local old = extraOf(KEYS[1])
if mode == 's' then
  local lease = redis.call('GET', KEYS[2])
  if not lease or string.sub(lease, 1, #expected + 1) ~= expected .. '|' then return 0 end
  if not judge(string.sub(lease, #expected + 2), tags, nodes) then
    void(KEYS[2])
    return 0
  end
else
  local seen = { old and string.match(old, '|([^|]*)|[^|]*$') or '' }
  for at = 1, #nodes do seen[at + 1] = nodes[at] or '-' end
  if table.concat(seen, '|') ~= expected then return 0 end
end
local epochs, fences, path, all = ensure(keys, nodes, token)
put(KEYS[1], name, path, heading(path, tags, #token, all) .. token .. '|' .. all .. ARGV[9], ARGV[6])
for at = 1, #epochs do
  list(P .. 'i:' .. epochs[at], keys[at], life, false, { score, name })
  if tags ~= '' then listTags(epochs[at], fences[at], tags, score, name, life) end
end
void(KEYS[2])
return 1
`);

/**
 * Plain writes, in groups of one scope each. KEYS: the nodes of each group (and whatever else a Cluster wants to see).
 * ARGV: fresh token, now if it is time to sweep, the entries as `PackedEntries` packs them, then for each group its base
 * and how many nodes. Answers how many entries it wrote; if one went wrong, a list of what did, empty for the others.
 */
export const WRITE_MANY = timedScript(`${RECORD.replace('ARGV[1]', "''")}${NOTIFY}${ENSURE}${LIST}
local token, packed, size, byte, node, ask, groups = ARGV[1], ARGV[3], #ARGV[3], 1, 0, {}, {}
for arg = 4, #ARGV - 1, 2 do
  local depth, keys = tonumber(ARGV[arg + 1]), {}
  for at = 1, depth do
    keys[at] = KEYS[node + at]
    ask[node + at] = keys[at]
  end
  groups[#groups + 1] = {
    base = ARGV[arg], first = node, keys = keys, members = {}, longest = 1,
    epochs = false, fences = false, path = false, all = false, heading = false, rest = false
  }
  node = node + depth
end
local entries, count = {}, 0
while byte <= size do
  local number, name, tags, score, life, envelope
  number, name, tags, score, life, envelope, byte = struct.unpack('<BHc0Hc0Bc0Bc0I4c0', packed, byte)
  count = count + 1
  local group = groups[number + 1]
  entries[count] = { group, name, tags, score, life, envelope }
  ask[node + count] = group.base .. 'l:' .. name
end
local found, held = redis.call('MGET', unpack(ask)), nil
for at = node + 1, node + count do
  if found[at] then
    held = held or {}
    held[#held + 1] = ask[at]
    ended(entries[at - node][1].base, found[at], ask[at])
  end
end
if held then redis.call('DEL', unpack(held)) end
local made = {}
for at = 1, #groups do
  local group = groups[at]
  local nodes = found
  if group.first > 0 then
    nodes = {}
    for level = 1, #group.keys do nodes[level] = made[group.keys[level]] or found[group.first + level] end
  end
  group.epochs, group.fences, group.path, group.all = ensure(group.keys, nodes, token .. '.' .. at, made)
  group.heading, group.rest = heading(group.path, '', #token + 1, group.all), '|' .. group.all
end
local function write(at)
  local entry = entries[at]
  local group, name, tags, score = entry[1], entry[2], entry[3], entry[4]
  P = group.base
  local head = tags == '' and group.heading or heading(group.path, tags, #token + 1, group.all)
  put(P .. 'e:' .. name, name, group.path, head .. token .. string.char(64 + at) .. group.rest .. entry[6], entry[5])
  local life, members, longest = tonumber(entry[5]), group.members, group.longest
  if tags ~= '' then
    for level = 1, #group.epochs do listTags(group.epochs[level], group.fences[level], tags, score, name, life) end
  end
  members[#members + 1] = score
  members[#members + 1] = name
  if life == 0 or longest == 0 then group.longest = 0 elseif life > longest then group.longest = life end
end
local problems
for at = 1, count do
  local fine, problem = pcall(write, at)
  if not fine then
    if not problems then
      problems = {}
      for before = 1, count do problems[before] = '' end
    end
    problems[at] = type(problem) == 'table' and problem.err or tostring(problem)
  end
end
for at = 1, #groups do
  local group = groups[at]
  P = group.base
  if #group.members > 0 then
    for level = 1, #group.epochs do
      local index = P .. 'i:' .. group.epochs[level]
      list(index, group.keys[level], group.longest, false, group.members)
      if ARGV[2] ~= '' then
        local gone = redis.call('ZRANGEBYSCORE', index, '-inf', ARGV[2], 'LIMIT', 0, 100)
        if #gone > 0 then redis.call('ZREM', index, unpack(gone)) end
      end
    end
  end
end
return problems or count
`);

/** ARGV: base, name, now. 1: a fresh entry was removed. Voids the lease in any case. */
export const REMOVE = script(`${RECORD}${NOTIFY}${JUDGE}
void(KEYS[2])
local extra, head, n = extraOf(KEYS[1])
if not extra then return 0 end
local _, nodes = nodesFrom(3)
local alive, stale = judgeRecord(extra, nodes)
local storedAt, ttl = struct.unpack('<dd', head, n + 12)
unlist(ARGV[2], extra)
redis.call('UNLINK', KEYS[1])
if alive and not stale and tonumber(ARGV[3]) < storedAt + ttl then return 1 end
return 0
`);

/** ARGV: base, name, stamp, score, life, head. New times for the entry with that stamp; 0 when it is not there any more, or stale. */
export const RENEW_ENTRY = timedScript(`${RECORD}${JUDGE}${LIST}
local extra, _, n = extraOf(KEYS[1])
if not extra or string.match(extra, '|([^|]*)|[^|]*$') ~= ARGV[3] then return 0 end
local keys, nodes = nodesFrom(3)
local alive, stale = judgeRecord(extra, nodes)
if not alive or stale then return 0 end
local life = tonumber(ARGV[5])
redis.call('SETRANGE', KEYS[1], n + 3, ARGV[6])
if life == 0 then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], life) end
local levels, tags = string.match(extra, '^([^|]*)|([^|]*)|')
local at = 0
for epoch, fence in string.gmatch(levels, '([^:,]+):(%d+)') do
  at = at + 1
  list(P .. 'i:' .. epoch, keys[at], life, false, { ARGV[4], ARGV[2] })
  if tags ~= '' then listTags(epoch, fence, tags, ARGV[4], ARGV[2], life) end
end
return 1
`);

/**
 * ARGV: base, name, lease token, lease ms, fresh token, now, mode (`''`, `refresh`, `force`). Answers what came out, the
 * entry, whether it is stale, and for how many ms more somebody else has the lease.
 */
export const ACQUIRE = script(`${RECORD}${JUDGE}${ENSURE}
local keys, nodes = nodesFrom(3)
local extra, head, n = extraOf(KEYS[1])
local value, old = false, ''
if extra and ARGV[7] ~= 'force' then
  local alive, stale = judgeRecord(extra, nodes)
  if alive then
    value, old = redis.call('GET', KEYS[1]), stale and '1' or ''
    local storedAt, ttl = struct.unpack('<dd', head, n + 12)
    if not stale and tonumber(ARGV[6]) < storedAt + ttl and ARGV[7] == '' then return { 'hit', value, '' } end
  end
end
local held = redis.call('GET', KEYS[2])
local mark = held and string.sub(held, -1) == ';' and ';' or ''
if held and judge(string.match(held, '|(.*)$') or '', '', nodes) then
  if mark == '' then redis.pcall('SET', KEYS[2], held .. ';', 'KEEPTTL') end
  return { 'busy', value, old, redis.call('PTTL', KEYS[2]) }
end
local epochs, _, path = ensure(keys, nodes, ARGV[5])
local life = tonumber(ARGV[4])
for at = 1, #keys do
  if nodes[at] and string.sub(nodes[at], 1, #epochs[at] + 1) == epochs[at] .. ':' then
    outlast(keys[at], life)
  else
    redis.call('PEXPIRE', keys[at], life)
  end
end
redis.call('SET', KEYS[2], ARGV[3] .. '|' .. path .. mark, 'PX', life)
return { 'leased', value, old }
`);

/** ARGV: base, lease token, lease ms (0: give it back). 1: it was still valid. */
export const RENEW_LEASE = script(`${RECORD}${NOTIFY}${JUDGE}${ENSURE}
local held, token, life = redis.call('GET', KEYS[2]), ARGV[2], tonumber(ARGV[3])
if not held or string.sub(held, 1, #token + 1) ~= token .. '|' then return 0 end
local keys, nodes = nodesFrom(3)
if life == 0 or not judge(string.sub(held, #token + 2), '', nodes) then
  void(KEYS[2])
  return life == 0 and 1 or 0
end
redis.call('PEXPIRE', KEYS[2], life)
for at = 1, #keys do outlast(keys[at], life) end
return 1
`);
