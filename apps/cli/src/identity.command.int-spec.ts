import { createHash, createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '#testing';
import { runCli } from './run-cli.js';

let test: TestDatabase;
let secret: string;

beforeAll(async () => {
  test = await createTestDatabase({ migrated: false });
  const { out } = await run('init', '--json');
  secret = JSON.parse(out).environments.find(({ name }: { name: string }) => name === 'production').identity_secret;
});
afterAll(() => test.close());

async function run(...args: string[]) {
  const text = { out: '', err: '' };
  const code = await runCli(args, {
    env: { DATABASE_URL: test.url, BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), DATABASE_START_WAIT_MS: '0' },
    stdout: { write: (chunk) => (text.out += chunk) },
    stderr: { write: (chunk) => (text.err += chunk) },
  });
  return { code, ...text };
}

const diagnose = (...args: string[]) => run('identity', 'diagnose', '--environment', 'production', ...args);
const hmac = (text: string) => createHmac('sha256', secret).update(text).digest('hex');

describe('identity diagnose', () => {
  it('names the mistake and what to do, and shows no secret', async () => {
    const hash = createHash('sha256').update(`${secret}user-123`).digest('hex');
    const { code, out } = await diagnose('--id', 'user-123', '--hash', hash);
    expect(code).toBe(5);
    expect(out).toContain('identity_mismatch');
    expect(out).toContain('sha256_not_hmac');
    expect(out).toContain(secret.slice(-4));
    expect(out).not.toContain(secret.slice(0, -4));
  });

  it('says that a right proof is right', async () => {
    expect(await diagnose('--id', 'user-123', '--hash', hmac('user-123'))).toMatchObject({
      code: 0,
      out: expect.stringContaining('static'),
    });
    const seconds = Math.floor(Date.now() / 1_000);
    const fresh = ['--id', 'user-123', '--timestamp', String(seconds), '--hash', hmac(`user-123.${seconds}`)];
    expect(JSON.parse((await diagnose(...fresh, '--json')).out)).toMatchObject({ valid: true, grade: 'fresh' });
  });

  it('gives the hint of the code where nothing explains the proof', async () => {
    const { code, out } = await diagnose('--id', 'user-123', '--hash', 'zz');
    expect({ code, out }).toEqual({ code: 5, out: expect.stringMatching(/identity_malformed[\s\S]*->/) });
  });

  it('refuses unknown environments and wrong arguments', async () => {
    expect((await run('identity', 'diagnose', '--environment', 'staging', '--id', 'x')).code).toBe(4);
    expect((await run('identity', 'diagnose', '--id', 'x')).code).toBe(2);
    expect((await diagnose('--timestamp', 'soon')).code).toBe(2);
  });
});

describe('identity coverage', () => {
  it('says of every surface whether it is ready and what is against it', async () => {
    const { code, out } = await run('identity', 'coverage', '--environment', 'production');
    expect(code).toBe(5);
    for (const surface of ['inbox', 'preferences', 'push', 'identify', 'track']) {
      expect(out).toMatch(new RegExp(`${surface}: not ready; 0 verdicts, 0 faulty; enforced for 100 %, grade static\\n  too_few_verdicts`));
    }
  });

  it('shows as JSON what the route shows, over the hours that are asked for', async () => {
    const { out } = await run('identity', 'coverage', '--environment', 'production', '--hours', '24', '--json');
    const { from, to, readiness, surfaces } = JSON.parse(out);
    expect({ readiness, surfaces: surfaces.length }).toEqual({ readiness: 'not', surfaces: 5 });
    const hours = (new Date(to).getTime() - new Date(from).getTime()) / 3_600_000;
    expect(hours).toBeGreaterThanOrEqual(23);
    expect(hours).toBeLessThanOrEqual(24);
  });

  it('refuses hours that are none', async () => {
    for (const hours of ['0', '169', '1.5', 'week', '-1']) {
      expect((await run('identity', 'coverage', '--environment', 'production', `--hours=${hours}`)).code).toBe(2);
    }
  });
});
