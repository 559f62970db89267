import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { planAbuse } from './abuse-plan.js';
import { fillFrom, placesOf, toBytes } from './abuse-request.js';
import { BODY_MUTATIONS, JSON_MUTATIONS } from './body-mutations.js';
import { judgeAnswer } from './judge-answer.js';
import { type OpenApiDocument, operationsOf } from './openapi.js';
import { HEADER_MUTATIONS, TARGET_MUTATIONS } from './request-mutations.js';
import { WIRE_MUTATIONS } from './wire-mutations.js';

/** Machines that run tests are shared. */
const TEST_MS_MAX = 60_000;
const DOCUMENT = JSON.parse(readFileSync('docs/openapi.json', 'utf8')) as OpenApiDocument;
const MUTATIONS = Object.keys({ ...JSON_MUTATIONS, ...BODY_MUTATIONS, ...TARGET_MUTATIONS, ...HEADER_MUTATIONS, ...WIRE_MUTATIONS });

function digest(seed: number, count: number): string {
  const hash = createHash('sha256');
  for (const request of planAbuse(DOCUMENT, seed, count)) {
    const fill = fillFrom(new Map(placesOf(request).map((place) => [place, place])));
    hash
      .update(request.mutation)
      .update(toBytes(request, 'host', fill))
      .update(JSON.stringify(request.wire));
  }
  return hash.digest('hex');
}

describe('planAbuse', { timeout: TEST_MS_MAX }, () => {
  it('makes the same requests of the same seed, and others of another', () => {
    expect(digest(7, 200)).toBe(digest(7, 200));
    expect(digest(8, 200)).not.toBe(digest(7, 200));
  });

  it('begins with each route as it should be, and uses every mutation', () => {
    const operations = operationsOf(DOCUMENT);
    const plan = [...planAbuse(DOCUMENT, 1, 10_000)].map(({ operation, mutation, expect: expected }) => ({
      operation,
      mutation,
      expected,
    }));
    expect(plan.slice(0, operations.length).map(({ operation, mutation }) => [operation, mutation])).toEqual(
      operations.map(({ name }) => [name, 'valid']),
    );
    expect([...new Set(plan.map(({ mutation }) => mutation))].toSorted()).toEqual(['valid', ...MUTATIONS].toSorted());
    const foreign = plan.filter(({ mutation }) => mutation === 'foreign-id');
    expect(new Set(foreign.map(({ expected }) => expected))).toEqual(new Set(['not-found']));
  });
});

describe('judgeAnswer', () => {
  const [request] = planAbuse(DOCUMENT, 1, 1);
  const problem = JSON.stringify({ type: 't', title: 't', status: 404, detail: 'd', code: 'c', hint: 'h', request_id: 'r' });
  const answer = (status: number | 'closed' | 'unanswered', body = problem, type = 'application/problem+json') => ({
    status,
    headers: new Map([['content-type', type]]),
    body,
  });
  const judge = (expected: 'success' | 'refused' | 'not-found' | 'sane' | 'wire', given: ReturnType<typeof answer>) =>
    request === undefined ? 'no request' : judgeAnswer({ ...request, expect: expected }, given, 100);

  it('accepts what a request deserves', () => {
    expect(judge('success', answer(200))).toBeUndefined();
    expect(judge('not-found', answer(404))).toBeUndefined();
    expect(judge('refused', answer(404))).toBeUndefined();
    expect(judge('wire', answer('closed'))).toBeUndefined();
  });

  it('finds server errors, silence, wrong refusals and refusals that are no problem documents', () => {
    expect(judge('sane', answer(500))).toContain('500');
    expect(judge('wire', answer(503))).toContain('503');
    expect(judge('sane', answer('unanswered'))).toBeDefined();
    expect(judge('sane', answer('closed'))).toBeDefined();
    expect(judge('success', answer(400))).toContain('400');
    expect(judge('refused', answer(200))).toContain('200');
    expect(judge('not-found', answer(403))).toContain('403');
    expect(judge('sane', answer(404, problem, 'text/plain'))).toContain('no problem document');
    expect(judge('sane', answer(404, '{'))).toContain('no JSON');
    expect(judge('sane', answer(404, '{"status":404}'))).toContain('incomplete');
    expect(judge('sane', answer(403))).toContain('incomplete');
  });
});
