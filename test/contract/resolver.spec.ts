import { describe, it } from '@jest/globals';
import { scopeResolverContract } from 'nestjs-scoped-cache/testing';

interface Context {
  readonly request?: { readonly user?: { readonly tenant?: string }; readonly headers: object };
}
const headers = { 'x-tenant': 'forged' };

scopeResolverContract({
  name: 'a resolver of one’s own',
  resolve: (context: Context) => context.request?.user?.tenant,
  found: [{ context: { request: { user: { tenant: 't1' }, headers } }, id: 't1' }],
  missing: [{ request: { headers } }, { request: { user: {}, headers } }],
  describe,
  it,
});
