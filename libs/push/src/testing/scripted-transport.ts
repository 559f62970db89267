import type { PushResponse } from '../deliver/classify-push-response.js';
import { type PushRequest, PushTransport } from '../transport/push-transport.js';

/** What a push service does with one request. */
export type ScriptedAnswer = (request: PushRequest) => PushResponse | Promise<PushResponse>;

/** For tests: push services that answer as the test says, 201 unless told otherwise, and remember what was asked. */
export class ScriptedTransport extends PushTransport {
  readonly requests: PushRequest[] = [];
  private readonly scripts = new Map<string, ScriptedAnswer[]>();
  private fallback: ScriptedAnswer = () => ACCEPTED;

  /** The answers to the next requests for one endpoint; the last one is repeated. */
  script(href: string, ...answers: readonly ScriptedAnswer[]): void {
    this.scripts.set(href, [...answers]);
  }

  /** The answer to every request that has no script of its own. */
  answerAll(scripted: ScriptedAnswer): void {
    this.fallback = scripted;
  }

  /** Requests for one endpoint. */
  requestsTo(href: string): PushRequest[] {
    return this.requests.filter((request) => request.endpoint.href === href);
  }

  async send(request: PushRequest): Promise<PushResponse> {
    this.requests.push(request);
    const script = this.scripts.get(request.endpoint.href) ?? [];
    const scripted = (script.length > 1 ? script.shift() : script[0]) ?? this.fallback;
    return scripted(request);
  }

  async close(): Promise<void> {}
}

const ACCEPTED: PushResponse = { status: 201, body: '' };

/** An answer with the given status. */
export function answer(status: number, more: Partial<PushResponse> = {}): ScriptedAnswer {
  return () => ({ status, body: '', ...more });
}

/** No answer: the transport fails. */
export function fail(error: Error): ScriptedAnswer {
  return () => {
    throw error;
  };
}

/** A request that hangs until the test ends it, or the sender gives it up. */
export function hang(): { answer: ScriptedAnswer; release: (status: number) => void } {
  let release = (_status: number): void => undefined;
  const released = new Promise<PushResponse>((resolve) => (release = (status) => resolve({ status, body: '' })));
  return { answer: () => released, release: (status) => release(status) };
}
