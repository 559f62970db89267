import { BelfryClient, BelfryClientError, type SubscriberProof } from '../client/index.js';
import { byId } from './dom.js';

/** What the page's server offers. */
interface PageOptions {
  readonly demo: { readonly public_key: string; readonly subscriber_id: string } | null;
}

/** Who is logged in, kept for this tab alone, so that a reload does not ask again. */
interface Visitor {
  readonly publicKey: string;
  readonly subscriberId: string;
  /** Absent in the demo, whose server signs the id anew each time. */
  readonly subscriberHash?: string;
}

/** A client and the name under which it is logged in. */
export interface LoggedIn {
  readonly client: BelfryClient;
  readonly name: string;
}

const VISITOR_KEY = 'belfry:visitor';
const DEMO_LOGIN_PATH = '/demo/login';

/**
 * Logs a person in. On a real site its own server makes the proof after its own login; here the demo's server does, or the person pastes
 * one. The identity secret is known to neither the page nor the browser.
 */
export class LoginForm {
  readonly #section = byId('login');
  readonly #form = byId<HTMLFormElement>('login-form');
  readonly #error = byId('login-error');
  #options: PageOptions = { demo: null };

  constructor(private readonly onLogin: (loggedIn: LoggedIn) => void) {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#submit();
    });
  }

  /** Goes on as whoever is logged in in this tab, or asks. */
  async start(): Promise<void> {
    this.#options = await readOptions();
    const { demo } = this.#options;
    byId('login-proof').hidden = demo !== null;
    byId('login-note').textContent =
      demo === null
        ? 'Use a proof of identity that your server made for this person.'
        : 'This is a demo: the server on this machine signs you in as any of its subscribers.';
    const visitor = readVisitor();
    if (visitor !== undefined && (visitor.subscriberHash !== undefined || visitor.publicKey === demo?.public_key)) {
      return this.onLogin({ client: makeClient(visitor), name: visitor.subscriberId });
    }
    this.show();
  }

  show(): void {
    const wanted = new URLSearchParams(location.search);
    this.#input('subscriber').value ||= wanted.get('subscriber') ?? this.#options.demo?.subscriber_id ?? '';
    this.#input('public-key').value ||= wanted.get('environment') ?? '';
    this.#section.hidden = false;
    this.#input('subscriber').focus();
  }

  /** Forgets who was logged in and asks again. */
  forget(): void {
    sessionStorage.removeItem(VISITOR_KEY);
    this.show();
  }

  async #submit(): Promise<void> {
    const visitor = this.#readVisitor();
    const missing = (['subscriber', 'public-key', 'hash'] as const).find((id) => this.#isMissing(id));
    if (missing !== undefined) return this.#refuse('Fill in this field.', missing);
    const button = this.#form.querySelector('button') as HTMLButtonElement;
    button.disabled = true;
    this.#error.hidden = true;
    const client = makeClient(visitor);
    try {
      await client.open();
      sessionStorage.setItem(VISITOR_KEY, JSON.stringify(visitor));
      this.#section.hidden = true;
      this.onLogin({ client, name: visitor.subscriberId });
    } catch (error) {
      client.close();
      this.#refuse(error instanceof BelfryClientError ? `${error.title}. ${error.hint}` : 'That did not work.', 'subscriber');
    } finally {
      button.disabled = false;
    }
  }

  #readVisitor(): Visitor {
    const { demo } = this.#options;
    const subscriberId = this.#input('subscriber').value.trim();
    if (demo !== null) return { publicKey: demo.public_key, subscriberId };
    return { publicKey: this.#input('public-key').value.trim(), subscriberId, subscriberHash: this.#input('hash').value.trim() };
  }

  #isMissing(id: 'subscriber' | 'public-key' | 'hash'): boolean {
    return (id === 'subscriber' || this.#options.demo === null) && this.#input(id).value.trim() === '';
  }

  #refuse(words: string, focusedId: string): void {
    this.#error.textContent = words;
    this.#error.hidden = false;
    this.#input(focusedId).focus();
  }

  #input(id: string): HTMLInputElement {
    return byId<HTMLInputElement>(id);
  }
}

function makeClient({ publicKey, subscriberId, subscriberHash }: Visitor): BelfryClient {
  const identity = subscriberHash === undefined ? { proof: () => askDemo(publicKey, subscriberId) } : { subscriberId, subscriberHash };
  return new BelfryClient({ publicKey, identity });
}

/** What a page of a real site asks its own server for after the login. */
async function askDemo(publicKey: string, subscriberId: string): Promise<SubscriberProof> {
  const response = await fetch(DEMO_LOGIN_PATH, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ public_key: publicKey, subscriber_id: subscriberId }),
  }).catch((cause: unknown) => {
    throw new BelfryClientError('network_failed', { title: 'The demo cannot be reached', hint: 'Look whether it still runs.', cause });
  });
  const answer = (await response.json()) as { subscriber_hash?: string; code?: string; title?: string; hint?: string };
  if (answer.subscriber_hash !== undefined) return { subscriberId, subscriberHash: answer.subscriber_hash };
  const { code = 'answer_unreadable', title = 'The demo did not sign the id', hint = 'Start it anew.' } = answer;
  throw new BelfryClientError(code, { title, hint, status: response.status });
}

async function readOptions(): Promise<PageOptions> {
  try {
    return (await (await fetch('/inbox/options')).json()) as PageOptions;
  } catch {
    return { demo: null };
  }
}

function readVisitor(): Visitor | undefined {
  try {
    return (JSON.parse(sessionStorage.getItem(VISITOR_KEY) ?? 'null') as Visitor | null) ?? undefined;
  } catch {
    return undefined;
  }
}
