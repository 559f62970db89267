import { setTimeout as pause } from 'node:timers/promises';
import type { Stack } from '../support/stack.js';

/** What a call adds to method and path. */
export interface PersistentCall {
  readonly body?: object;
  readonly idempotencyKey?: string;
  /** Instead of the API key. */
  readonly token?: string;
}

/** An answer that no repeat will change. */
export class CallRefusedError extends Error {}

const ANSWER_MS_MAX = 5_000;
const ACCEPTED_MS_MAX = 240_000;
const PAUSE_MS = 100;
/** Refusals of the moment: too slow, in progress, too many. */
const REPEATED_STATUSES = new Set([408, 409, 425, 429]);

/**
 * A customer's server that does not give up: it repeats a call, at another gateway and with the same idempotency key, until it is
 * answered. Only then does the call count as accepted.
 */
export class PersistentClient {
  /** Calls beyond the first of each. */
  repeats = 0;

  constructor(private readonly stack: Pick<Stack, 'gateway' | 'keys'>) {}

  /** @throws CallRefusedError, and an Error when nothing accepts the call for minutes */
  async call<Answer>(method: string, path: string, options: PersistentCall = {}): Promise<Answer> {
    const deadlineMs = performance.now() + ACCEPTED_MS_MAX;
    for (let last: unknown; ; this.repeats += 1) {
      try {
        return await this.tryOnce<Answer>(method, path, options);
      } catch (error) {
        if (error instanceof CallRefusedError) throw error;
        last = error;
      }
      if (performance.now() > deadlineMs) throw new Error(`Nobody accepted ${method} ${path} in ${ACCEPTED_MS_MAX} ms.`, { cause: last });
      await pause(PAUSE_MS);
    }
  }

  private async tryOnce<Answer>(method: string, path: string, { body, idempotencyKey, token }: PersistentCall): Promise<Answer> {
    const { gateway, keys } = { gateway: this.stack.gateway(), keys: this.stack.keys };
    const response = await fetch(new URL(path, gateway.url), {
      method,
      headers: {
        authorization: `Bearer ${token ?? keys.apiKey}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    if (response.ok) return (await response.json()) as Answer;
    const answer = `${method} ${path} was answered with ${response.status}: ${await response.text()}`;
    if (response.status < 500 && !REPEATED_STATUSES.has(response.status)) throw new CallRefusedError(answer);
    throw new Error(answer);
  }
}
