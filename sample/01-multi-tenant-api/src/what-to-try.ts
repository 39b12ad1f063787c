import type { PlatformName } from './app.js';

/** What the sample prints when it has started: a walk through all scopes, to be copied into a shell. */
export function whatToTry(url: string, platform: PlatformName): string {
  return `
The sample runs on ${platform}: ${url}

Ada of acme and Gao of globex are both user 1. Log them in, and have a command for each:

${logIn('acme', 'ada@acme.test', url)}
${logIn('globex', 'gao@globex.test', url)}

Each answer is followed by its Cache-Status header. Ask twice: a miss, then a hit. Then the other user 1: a miss, other data.

  acme ${url}/me
  acme ${url}/me
  globex ${url}/me

Other scopes: the organization's, one session's, everybody's.

  acme ${url}/organization
  acme ${url}/dashboard
  curl -s -i ${url}/rates

A write evicts what it changes: after it, /me is a miss once more.

  acme ${url}/me -X PATCH --json '{"name":"Ada L."}'
  acme ${url}/me

Ada is an administrator and evicts all of acme. What is cached for globex stays.

  acme ${url}/organization/cache -X DELETE
  acme ${url}/me
  globex ${url}/me
  curl -s ${url}/stats

More in sample/01-multi-tenant-api/README.md. Ctrl+C stops it.
`;
}

function logIn(org: string, email: string, url: string): string {
  const credentials = JSON.stringify({ org, email, password: 'demo' });
  const token = `${org.toUpperCase()}_TOKEN`;
  return `  ${token}=$(curl -s -c /tmp/${org}.cookies ${url}/login --json '${credentials}' \\
    | node -pe 'JSON.parse(fs.readFileSync(0)).token')
  ${org}() { curl -s -b /tmp/${org}.cookies -H "Authorization: Bearer $${token}" \\
    -w '\\n%header{cache-status}\\n' "$@"; }`;
}
