import { execFile, spawn } from 'node:child_process';
import { createSecretKey } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Proof, verifyProof } from '#identity';
import type { GroupProof, SubscriberProof } from '#server-sdk';
import { waitFor } from '#testing';

/** `@belfry/server` as a customer gets it: packed, installed in a project of its own, and used as its README says. */

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PACKAGE = join(ROOT, 'libs/server-sdk');
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
const TYPES = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules/@types')];

const PUBLIC_KEY = 'pk_test_1b2a3c4d5e6f708192a3b4c5d6e7f809';
const SECRET = 'isk_test_4f3c2b1a09e8d7c6b5a4938271605f4e';

let directory: string;
let project: string;
let examples: readonly string[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'belfry-server-package-'));
  const source = join(directory, 'source');
  await cp(PACKAGE, source, { recursive: true });
  await rm(join(source, 'dist'), { recursive: true, force: true });
  await run(process.execPath, [TSC, '-p', source, ...TYPES], { cwd: source });
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', directory], { cwd: source });
  const archive = (await readdir(directory)).find((name) => name.endsWith('.tgz')) ?? '';
  project = join(directory, 'project');
  const installed = join(project, 'node_modules/@belfry/server');
  await mkdir(installed, { recursive: true });
  await run('tar', ['-xzf', join(directory, archive), '-C', installed, '--strip-components=1']);
  const readme = await readFile(join(installed, 'README.md'), 'utf8');
  examples = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/** Writes the example of the README that holds a text. */
async function writeExample(text: string): Promise<string> {
  const file = join(project, `${text.replaceAll(/\W/g, '')}.mjs`);
  const example = examples.filter((code) => code.includes(text));
  expect(example).toHaveLength(1);
  await writeFile(file, example[0] ?? '');
  return file;
}

const settings = (more: Record<string, string> = {}) => ({
  env: { ...process.env, BELFRY_PUBLIC_KEY: PUBLIC_KEY, BELFRY_IDENTITY_SECRET: SECRET, ...more },
});

async function gradeOf(proof: Proof): Promise<string> {
  const environment = { publicKey: PUBLIC_KEY, hashKeys: [{ id: 'key', key: createSecretKey(SECRET, 'utf8') }], tokenKeys: [] };
  const verdict = await verifyProof(environment, 'session', proof, Math.floor(Date.now() / 1_000));
  return verdict.valid ? verdict.grade : verdict.reason;
}

const ofSubscriber = ({ subscriberId: id, subscriberHash: hash, timestamp, traits }: SubscriberProof): Proof => {
  return { kind: 'subscriber', id, hash, timestamp, traits };
};

describe('the package @belfry/server', () => {
  it('holds its code, its types, its README, and no dependency', async () => {
    const installed = join(project, 'node_modules/@belfry/server');
    const names = (await readdir(installed, { recursive: true })).map((name) => name.replace(/^.*\//, ''));
    expect(names).toEqual(expect.arrayContaining(['package.json', 'README.md', 'index.js', 'index.d.ts']));
    expect(names.filter((name) => /spec|(?<!\.d)\.ts$/.test(name))).toEqual([]);
    const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as Record<string, unknown>;
    expect(Object.keys(manifest).filter((key) => /dependencies$/i.test(key))).toEqual([]);
  });

  it('signs by hand as its README says', async () => {
    const { stdout } = await run(process.execPath, [await writeExample('const proofs =')], settings());
    const [plain, fresh, traits, group] = JSON.parse(stdout) as [SubscriberProof, SubscriberProof, SubscriberProof, GroupProof];
    const { companyId: id, companyHash: hash, subscriberId, timestamp } = group;
    const proofs: Proof[] = [...[plain, fresh, traits].map(ofSubscriber), { kind: 'company', id, hash, subscriberId, timestamp }];
    expect(await Promise.all(proofs.map(gradeOf))).toEqual(['static', 'fresh', 'traits', 'fresh']);
  });

  it('answers a Request as its README says', async () => {
    const { stdout } = await run(process.execPath, [await writeExample('proofFetchHandler({')], settings());
    const proof = JSON.parse(stdout) as SubscriberProof;
    expect(proof).toMatchObject({ publicKey: PUBLIC_KEY, traits: { plan: 'pro' } });
    expect(await gradeOf(ofSubscriber(proof))).toBe('traits');
  });

  it('answers a page as its README says, and nobody without a session', async () => {
    const file = await writeExample('createServer(');
    // The port is chosen by the system: the process tells it.
    const announce = `import { Server } from 'node:http';
      const { listen } = Server.prototype;
      Server.prototype.listen = function (...args) {
        return listen.apply(this, args).once('listening', () => console.log(this.address().port));
      };
      await import(${JSON.stringify(file)});`;
    const options = settings({ PORT: '0' });
    const server = spawn(process.execPath, ['--input-type=module', '-e', announce], { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      let printed = '';
      server.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
      await waitFor(() => printed.includes('\n'), { timeoutMs: 30_000 });
      const url = `http://127.0.0.1:${Number(printed)}/belfry/proof`;
      const signedIn = await fetch(url, { headers: { cookie: 'theme=dark; sid=s3cret-cookie' } });
      expect([signedIn.status, signedIn.headers.get('cache-control')]).toEqual([200, 'no-store']);
      const proof = (await signedIn.json()) as SubscriberProof;
      expect(proof.subscriberId).toBe('user-123');
      expect(await gradeOf(ofSubscriber(proof))).toBe('fresh');
      for (const cookie of ['', 'sid=other', 'sid=']) expect((await fetch(url, { headers: { cookie } })).status).toBe(401);
    } finally {
      server.kill('SIGKILL');
    }
  });

  it('tells TypeScript what it takes', async () => {
    const consumer = `import { IdentitySigner, proofHandler, type SubscriberProof } from '@belfry/server';
      import { createServer, type IncomingMessage } from 'node:http';
      const signer = new IdentitySigner({ publicKey: 'pk_x', secret: 's' });
      interface Account { readonly plan: string; readonly seats?: number }
      const account: Account = { plan: 'pro' };
      export const proof: SubscriberProof = signer.signTraits('user-123', account);
      const handler = proofHandler({ signer, user: (request: IncomingMessage) => request.headers.host });
      createServer((request, response) => void handler(request, response));
      // @ts-expect-error an id is a string
      signer.sign(123);
      // @ts-expect-error a signer needs a secret
      new IdentitySigner({ publicKey: 'pk_x' });`;
    await writeFile(join(project, 'package.json'), '{ "type": "module" }');
    await writeFile(join(project, 'consumer.ts'), consumer);
    const readme = ['const proofs =', 'proofFetchHandler({'].map((text) => examples.find((code) => code.includes(text)) ?? '');
    await writeFile(join(project, 'by-hand.ts'), readme[0] ?? '');
    await writeFile(join(project, 'fetch-handler.ts'), readme[1] ?? '');
    const options = ['--noEmit', '--strict', '--target', 'ES2022', '--lib', 'ES2022', '--module', 'nodenext', ...TYPES];
    const { stdout } = await run(process.execPath, [TSC, ...options, 'consumer.ts', 'by-hand.ts', 'fetch-handler.ts'], { cwd: project });
    expect(stdout).toBe('');
  });
});
