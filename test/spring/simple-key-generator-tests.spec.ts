/* oxlint-disable typescript/no-explicit-any -- any arguments */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { Cacheable, CacheModule } from 'nestjs-scoped-cache';
import { encodeKey } from '../../lib/core/cache-key.js';
import { compileLib } from '../support/file/compile.js';

/** The cases of Spring's SimpleKeyGeneratorTests in our terms: what the default key of a method tells apart; see docs/spring.md. */
@Injectable()
class Calls {
  counter = 0;

  @Cacheable()
  key(..._args: any[]): any {
    return ++this.counter;
  }
}

describe('SimpleKeyGeneratorTests', () => {
  let module: TestingModule;
  let key: (...args: any[]) => Promise<number>;

  beforeEach(async () => {
    module = await Test.createTestingModule({
      imports: [CacheModule.forRoot()],
      providers: [Calls],
    }).compile();
    await module.init();
    const calls = module.get(Calls);
    key = (...args) => calls.key(...args);
  });
  afterEach(() => module.close());

  const differ = async (...calls: any[][]) => {
    const keys: number[] = [];
    for (const args of calls) keys.push(await key(...args));
    expect(new Set(keys).size).toBe(calls.length);
  };

  it('SimpleKeyGeneratorTests.noValues: no arguments are a key of their own', async () => {
    expect(await key()).toBe(await key());
    await differ([], ['different'], [undefined], [null]);
  });

  it('SimpleKeyGeneratorTests.singleValue: one argument, of its own type', async () => {
    expect(await key('a')).toBe(await key('a'));
    await differ(['a'], ['different'], [1], ['1'], [1n], [true], ['true']);
  });

  it('SimpleKeyGeneratorTests.multipleValues: several, in their order', async () => {
    expect(await key('a', 1, 'b')).toBe(await key('a', 1, 'b'));
    await differ(['a', 1, 'b'], ['b', 1, 'a'], ['a', 1], ['a', '1', 'b'], ['a1b']);
  });

  it('SimpleKeyGeneratorTests.singleNullValue: null is neither nothing nor undefined', async () => {
    expect(await key(null)).toBe(await key(null));
    await differ([null], [], [undefined], ['null'], ['different']);
  });

  it('SimpleKeyGeneratorTests.multipleNullValues: nulls count', async () => {
    expect(await key('a', null, 'b', null)).toBe(await key('a', null, 'b', null));
    await differ(['a', null, 'b', null], ['a', null, 'b'], ['a', 'b'], [null, null]);
  });

  it('SimpleKeyGeneratorTests.plainArray: an array is one argument, equal by its items', async () => {
    expect(await key(['a', 'b'])).toBe(await key(['a', 'b']));
    await differ([['a', 'b']], [['b', 'a']], ['a', 'b']);
  });

  it('SimpleKeyGeneratorTests.arrayWithExtraParameter: an array beside another argument', async () => {
    expect(await key(['a', 'b'], 'c')).toBe(await key(['a', 'b'], 'c'));
    await differ([['a', 'b'], 'c'], [['b', 'a'], 'c'], [['a', 'b', 'c']], [['a', 'b']]);
  });

  it('SimpleKeyGeneratorTests.serializedKeys: P4 another process makes the same text of the same key', () => {
    const script = `
      const { encodeKey } = await import(${JSON.stringify(pathToFileURL(join(compileLib(), 'core/cache-key.js')).href)});
      console.log(encodeKey(['@', 'Calls.key', 'a', 1, null, ['b'], { z: 1, a: [2n] }]));`;
    const args = ['--input-type=module', '-e', script];
    const elsewhere = execFileSync(process.execPath, args, { encoding: 'utf8' }).trim();
    expect(encodeKey(['@', 'Calls.key', 'a', 1, null, ['b'], { a: [2n], z: 1 }] as never)).toBe(
      elsewhere,
    );
  });
});
