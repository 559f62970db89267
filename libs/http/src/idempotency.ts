import { createHash } from 'node:crypto';
import { createParamDecorator, type ExecutionContext, Injectable } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import type { Transaction } from '#database';
import { IdempotencyKeyInvalidError, IdempotencyKeyReusedError } from './http.errors.js';
import { type IdempotentRequest, IdempotencyStore } from './idempotency.store.js';

/** Hours after which a key is forgotten and may be used again. */
export const IDEMPOTENCY_RETENTION_HOURS = 24;

const IDEMPOTENCY_KEY_HEADER = 'idempotency-key';
const IDEMPOTENCY_KEY_PATTERN = /^[\x21-\x7e]{1,255}$/;

/** A request as `Idempotency.run` takes it; without a key the work simply runs. */
export type IdempotentCall = Omit<IdempotentRequest, 'key'> & { readonly key: string | undefined };

/**
 * Makes a writing route safe to repeat: the same key with the same request gives the same answer and the work runs once, even
 * when all repeats arrive at the same time.
 *
 * The record is written in the caller's transaction, so answer and effect are committed together. Repeats wait on the record's
 * primary key until the first one has committed (they then return its answer) or rolled back (one of them runs the work).
 */
@Injectable()
export class Idempotency {
  constructor(private readonly store: IdempotencyStore) {}

  /**
   * @param work everything the request does, inside `tx`. Its answer must be JSON: it is stored and given to repeats.
   * @throws IdempotencyKeyReusedError when the key belongs to another request.
   * @throws IdempotencyKeyInvalidError when the key has a wrong form.
   */
  async run<Answer>(call: IdempotentCall, tx: Transaction, work: () => Promise<Answer>): Promise<Answer> {
    if (call.key === undefined) return work();
    const request: IdempotentRequest = { ...call, key: parseIdempotencyKey(call.key) };
    if (!(await this.store.claim(request, IDEMPOTENCY_RETENTION_HOURS, tx))) return this.replay<Answer>(request, tx);
    const answer = await work();
    await this.store.complete(request, JSON.stringify(answer ?? null), tx);
    return answer;
  }

  private async replay<Answer>(request: IdempotentRequest, tx: Transaction): Promise<Answer> {
    const record = await this.store.find(request, tx);
    if (record === undefined) throw new Error('An idempotency record vanished between the claim and the read.');
    if (!record.requestHash.equals(request.requestHash)) throw new IdempotencyKeyReusedError();
    return record.response as Answer;
  }
}

/** The hash of what a request says: the ids of its path and its body. Equal for bodies that differ in blanks or key order only. */
export function hashRequest(request: unknown): Buffer {
  return createHash('sha256').update(canonicalJson(request)).digest();
}

/**
 * The request's Idempotency-Key, or `undefined`. A key of a wrong form is refused with 400 `idempotency_key_invalid`. The header is
 * documented with the route.
 */
export const IdempotencyKey = createParamDecorator(
  (_: unknown, context: ExecutionContext): string | undefined => {
    const header = context.switchToHttp().getRequest<FastifyRequest>().headers[IDEMPOTENCY_KEY_HEADER];
    return header === undefined ? undefined : parseIdempotencyKey(header);
  },
  [documentHeader],
);

function documentHeader(target: object, method: string | symbol | undefined): void {
  if (method === undefined) throw new Error('@IdempotencyKey() belongs to a parameter of a route.');
  const header = {
    name: 'Idempotency-Key',
    required: false,
    description: `Makes the request safe to repeat for ${IDEMPOTENCY_RETENTION_HOURS} hours: the same key with the same body gives the same answer.`,
    schema: { type: 'string', pattern: IDEMPOTENCY_KEY_PATTERN.source },
  };
  ApiHeader(header)(target, method, Object.getOwnPropertyDescriptor(target, method) as PropertyDescriptor);
}

function parseIdempotencyKey(key: string | readonly string[]): string {
  if (typeof key !== 'string' || !IDEMPOTENCY_KEY_PATTERN.test(key)) throw new IdempotencyKeyInvalidError();
  return key;
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => (isPlainObject(member) ? sortedCopy(member) : member)) ?? 'null';
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sortedCopy(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).sort(([left], [right]) => (left < right ? -1 : 1)));
}
