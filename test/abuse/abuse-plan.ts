import type { AbuseRequest } from './abuse-request.js';
import { BODY_MUTATIONS, JSON_MUTATIONS, type Mutation } from './body-mutations.js';
import { type OpenApiDocument, type Operation, operationsOf } from './openapi.js';
import { HEADER_MUTATIONS, TARGET_MUTATIONS } from './request-mutations.js';
import { Seeded } from '../support/seeded.js';
import { ValidRequests } from './valid-request.js';
import { WIRE_MUTATIONS } from './wire-mutations.js';

/** Of all requests, those that are left as they are: the work that the bad ones must not disturb. */
const VALID_SHARE = 0.3;
/** Families of mutations by how often they are taken. */
const FAMILIES: readonly { readonly weight: number; readonly mutations: Readonly<Record<string, Mutation>> }[] = [
  { weight: 36, mutations: JSON_MUTATIONS },
  { weight: 16, mutations: BODY_MUTATIONS },
  { weight: 26, mutations: TARGET_MUTATIONS },
  { weight: 14, mutations: HEADER_MUTATIONS },
  { weight: 8, mutations: WIRE_MUTATIONS },
];
/** Slow clients and large bodies cost time: these mutations are taken less often. */
const SLOW: Readonly<Record<string, number>> = {
  'slow-headers': 0.2,
  'slow-body': 0.2,
  'many-keys': 0.3,
  'deep-nesting': 0.5,
  'long-text': 0.3,
};
/** Routes that are tried for one mutation. */
const TRIES_MAX = 20;

/**
 * The requests of a seed: first each route once as it should be, then valid and bad ones as chance has it. They depend on the seed and
 * the document alone.
 */
export function* planAbuse(document: OpenApiDocument, seed: number, count: number): Generator<AbuseRequest> {
  const random = new Seeded(seed);
  const valid = new ValidRequests(document, random);
  const operations = operationsOf(document);
  for (let index = 0; index < count; index += 1) {
    const operation = operations[index] ?? random.pick(operations);
    yield index < operations.length || random.chance(VALID_SHARE)
      ? valid.make(operation, index).request
      : mutate(operations, valid, random, index);
  }
}

/** Picks a mutation, and then a route that it can be applied to. */
function mutate(operations: readonly Operation[], valid: ValidRequests, random: Seeded, index: number): AbuseRequest {
  for (;;) {
    const [name, mutation] = random.pick(Object.entries(pickFamily(random)));
    if (!random.chance(SLOW[name] ?? 1)) continue;
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const base = valid.make(random.pick(operations), index);
      const change = mutation(base, random);
      if (change !== undefined) return { ...base.request, ...change, mutation: name };
    }
  }
}

function pickFamily(random: Seeded): Readonly<Record<string, Mutation>> {
  const total = FAMILIES.reduce((sum, { weight }) => sum + weight, 0);
  let at = random.next() * total;
  for (const { weight, mutations } of FAMILIES) {
    at -= weight;
    if (at < 0) return mutations;
  }
  return JSON_MUTATIONS;
}
