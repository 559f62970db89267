import type { PushResponse } from '../deliver/classify-push-response.js';
import { onAbort } from './on-abort.js';
import { PushTransportError } from './push-transport.errors.js';
import type { PushRequest } from './push-transport.js';

/** Bytes of an answer's body that are kept; vendors say why within the first few hundred. */
export const RESPONSE_BODY_BYTES_MAX = 1_024;

/** The part of an answer's head that the sender reads. */
export interface ResponseHead {
  readonly status: number;
  readonly retryAfter?: string;
  /** The vendor's reason where it stands in a header instead of the body (WNS). */
  readonly reason?: string;
}

/**
 * One request on its way and its one outcome.
 *
 * Life cycle: made -> waits for a connection, or is carried by one -> over, by an answer or an error. The first outcome counts; later
 * ones are ignored, so that carriers report whatever they see without asking. Time limit and signal end it at any moment and tell its
 * carrier by `onCancelled`. Once the head of an answer is there it is the answer: what breaks afterwards costs the body only, for
 * another try of an accepted message would be a duplicate.
 */
export class PushExchange {
  readonly answer: Promise<PushResponse>;
  /** How often a connection took the request on. */
  attempts = 0;
  /** The connection that refused the request; it is not asked again. */
  refusedBy: object | undefined;
  /** Set by the present carrier: called at most once, when the exchange ends before the carrier ended it. */
  onCancelled: (() => void) | undefined;
  /** Called once, when the exchange is over. */
  onOver: (() => void) | undefined;

  #resolve!: (response: PushResponse) => void;
  #reject!: (error: PushTransportError) => void;
  #isOver = false;
  #head: ResponseHead | undefined;
  #body: Buffer[] | undefined;
  #bodyBytes = 0;
  readonly #deadline: NodeJS.Timeout;
  readonly #forgetSignal: () => void;

  constructor(
    readonly request: PushRequest,
    timeoutMs: number,
  ) {
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#deadline = setTimeout(() => this.#onDeadline(), timeoutMs);
    this.#forgetSignal = onAbort(request.signal, () => this.cancel(new PushTransportError('aborted', { cause: request.signal.reason })));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get hasHead(): boolean {
    return this.#head !== undefined;
  }

  /** Where the request goes: path and query of the canonical endpoint, byte for byte. */
  get path(): string {
    const { href, origin } = this.request.endpoint;
    return href.slice(origin.length);
  }

  receiveHead(head: ResponseHead): void {
    this.#head ??= head;
  }

  /** Keeps what fits of the body. @returns whether more of it would be kept */
  receiveBody(chunk: Buffer): boolean {
    const kept = chunk.subarray(0, RESPONSE_BODY_BYTES_MAX - this.#bodyBytes);
    if (kept.length > 0) (this.#body ??= []).push(kept);
    this.#bodyBytes += kept.length;
    return this.#bodyBytes < RESPONSE_BODY_BYTES_MAX;
  }

  /** The answer is there as far as it is wanted. Only after its head. */
  finish(): void {
    if (this.#head === undefined || !this.#end()) return;
    const { status, retryAfter, reason } = this.#head;
    const body = this.#body === undefined ? (reason ?? '') : Buffer.concat(this.#body).toString('utf8');
    this.#resolve({ status, retryAfter, body });
  }

  /** There will be no answer, or no more of it. */
  fail(error: PushTransportError): void {
    if (this.#head !== undefined) this.finish();
    else if (this.#end()) this.#reject(error);
  }

  /** Ends the exchange from outside of its carrier. */
  cancel(error: PushTransportError): void {
    if (this.#isOver) return;
    const release = this.onCancelled;
    this.fail(error);
    release?.();
  }

  #onDeadline(): void {
    this.cancel(new PushTransportError(this.attempts === 0 ? 'capacity_timeout' : 'response_timeout'));
  }

  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    this.#forgetSignal();
    this.onOver?.();
    this.onOver = undefined;
    this.onCancelled = undefined;
    return true;
  }
}

/** The headers of a push request in lower case, as both versions of HTTP take them (RFC 8030 section 5, RFC 8291 section 4). */
export function pushHeaders({ authorization, body, ttlSeconds, urgency, topic }: PushRequest): Record<string, string | number> {
  return {
    authorization,
    ttl: ttlSeconds,
    urgency,
    topic,
    'content-encoding': 'aes128gcm',
    'content-type': 'application/octet-stream',
    'content-length': body.length,
  };
}

/** Reads what the sender needs from an answer's headers. */
export function toResponseHead(status: number, headers: NodeJS.Dict<string | string[]>): ResponseHead {
  return { status, retryAfter: first(headers['retry-after']), reason: first(headers['x-wns-error-description']) };
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
