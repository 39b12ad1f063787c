import { History, type ChangeCall, type SeenValue, type SoakRecord } from './history.js';

/** The judge itself: each of these must be seen, and none of the others. */
const PLACE = '/o1|k';
const strict = (): number => 0;

type Span = readonly [start: number, end: number];
const call = (node: string, op: string, [start, end]: Span) => ({
  node,
  op,
  start,
  end,
  stalled: 0,
});
const load = (id: string, span: Span, node = 'a'): SoakRecord => ({
  ...call(node, '', span),
  is: 'load',
  id,
  place: PLACE,
});
const change = (
  op: string,
  span: Span,
  about: Partial<ChangeCall> = { places: [PLACE] },
): SoakRecord => ({
  ...call('a', op, span),
  is: 'change',
  ...about,
});
const loaded = (id: string, begin: number, place = PLACE): SeenValue => ({
  place,
  id,
  tag: 1,
  by: 'load',
  begin,
});
const put = (id: string, begin: number): SeenValue => ({ place: PLACE, id, by: 'set', begin });
const read = (value: SeenValue | undefined, span: Span, node = 'b'): SoakRecord => ({
  ...call(node, 'get', span),
  is: 'read',
  places: [PLACE],
  values: [value],
});

function history(...records: SoakRecord[]): History {
  const made = new History();
  made.records.push(...records);
  return made;
}
const staleIn = (...records: SoakRecord[]): number => history(...records).staleReads(strict).length;

describe('the judge of a soak', () => {
  test('P5 a load that began before an acknowledged change may not be read after it', () => {
    expect(staleIn(change('delete', [10, 12]), read(loaded('v', 5), [13, 14]))).toBe(1);
    expect(
      staleIn(change('evictScope', [10, 12], { under: '/o1' }), read(loaded('v', 5), [13, 14])),
    ).toBe(1);
    expect(staleIn(change('clear', [10, 12], { under: '' }), read(loaded('v', 5), [13, 14]))).toBe(
      1,
    );
    expect(
      staleIn(change('evictTags', [10, 12], { under: '', tag: 1 }), read(loaded('v', 5), [13, 14])),
    ).toBe(1);
  });

  test('what overlaps may come in either order; other scopes, other tags and rejected changes end nothing', () => {
    const value = loaded('v', 5);
    expect(staleIn(change('delete', [10, 12]), read(value, [11, 14]))).toBe(0);
    expect(staleIn(change('delete', [10, 12]), read(loaded('v', 11), [13, 14]))).toBe(0);
    expect(staleIn(change('evictScope', [10, 12], { under: '/o' }), read(value, [13, 14]))).toBe(0);
    expect(
      staleIn(change('evictTags', [10, 12], { under: '', tag: 2 }), read(value, [13, 14])),
    ).toBe(0);
    expect(
      staleIn(change('delete', [10, 12], { places: [PLACE], error: 'x' }), read(value, [13, 14])),
    ).toBe(0);
  });

  test('P5 a value that was set is older than a change that began when its write had ended', () => {
    const set = change('set', [1, 3], { places: [PLACE], id: 's' });
    expect(staleIn(set, change('delete', [4, 5]), read(put('s', 1), [6, 7]))).toBe(1);
    expect(staleIn(set, change('delete', [2, 5]), read(put('s', 1), [6, 7]))).toBe(0);
    expect(staleIn(set, read(put('s', 1), [6, 7]))).toBe(0);
  });

  test('P6 a node may be told late, and no later', () => {
    const records = [change('delete', [10, 12]), read(loaded('v', 5), [30, 31])];
    expect(history(...records).staleReads(() => 20)).toEqual([]);
    expect(history(...records).staleReads(() => 15)).toHaveLength(1);
  });

  test('P1 a value of another place is foreign', () => {
    expect(history(read(loaded('v', 5, '/o2|k'), [6, 7])).foreignReads()).toHaveLength(1);
    expect(history(read(loaded('v', 5), [6, 7]), read(undefined, [6, 7])).foreignReads()).toEqual(
      [],
    );
  });

  test('P9 two loads of one key at once, unless a change or a fault came between', () => {
    const two = [load('x', [10, 30], 'a'), load('y', [20, 40], 'b')];
    expect(history(...two).doubleLoads(0)).toHaveLength(1);
    expect(history(...two, change('delete', [15, 16])).doubleLoads(0)).toEqual([]);
    expect(history(load('x', [10, 20]), load('y', [20, 30])).doubleLoads(0)).toEqual([]);
    const faulty = history(...two);
    faulty.faults.push({ fault: 'f', start: 18, end: 25 });
    expect(faulty.doubleLoads(0)).toEqual([]);
  });

  test('a count that was handed out twice, unless the counter was evicted between', () => {
    const count = (at: number): SoakRecord => ({
      ...call('a', 'increment', [at, at + 1]),
      is: 'count',
      places: [PLACE],
      count: 7,
    });
    expect(history(count(1), count(3)).doubleCounts(0)).toHaveLength(1);
    expect(history(count(1), change('delete', [2, 3]), count(4)).doubleCounts(0)).toEqual([]);
  });
});
