import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';

/** What CacheModule warned of since the spy was set. */
export function spyOnWarnings(): { readonly texts: string[]; clear(): void } {
  const spy = jest
    .spyOn(Logger.prototype, 'warn')
    .mockImplementation((t) => void (process.env.SHOW && console.log(t)));
  return {
    get texts() {
      return spy.mock.calls.map(([text]) => String(text));
    },
    clear: () => spy.mockClear(),
  };
}
