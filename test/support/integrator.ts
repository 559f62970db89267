import { createHmac } from 'node:crypto';
import { SseClient } from '../../libs/inbox/src/testing/sse-client.js';
import { WebSocketClient } from '#testing';
import type { EnvironmentKeys } from './api-client.js';
import type { AppProcess } from './app-process.js';

/** The page of the customer, an allowed origin of the environment. */
export const PAGE_ORIGIN = 'https://app.example.com';

/** What came back; the body is that of the dialect that was asked. */
export interface Heard {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** One request. */
export interface Asked {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  /** The whole Authorization header. */
  readonly authorization?: string;
  readonly body?: object;
  /** The page that asks; servers have none. */
  readonly origin?: string;
}

/** Sends one request to one gateway and reads the answer, whatever its status. */
export async function ask(gateway: AppProcess, { method = 'GET', path, authorization, body, origin }: Asked): Promise<Heard> {
  const answer = await fetch(`${gateway.url}${path}`, {
    method,
    headers: {
      ...(authorization !== undefined && { authorization }),
      ...(origin !== undefined && { origin }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

/** The customer's server: it knows the secrets, makes proofs by the published recipes, and calls the management API. */
export class CustomerServer {
  constructor(readonly keys: EnvironmentKeys) {}

  /** A call of the management API. */
  manage(gateway: AppProcess, asked: Omit<Asked, 'authorization' | 'origin'>): Promise<Heard> {
    return ask(gateway, { ...asked, authorization: `Bearer ${this.keys.apiKey}` });
  }

  /** HMAC of the id alone. */
  staticProof(id: string, secret = this.keys.identitySecret) {
    return { subscriber_id: id, subscriber_hash: hmac(secret, id).toString('hex') };
  }

  /** HMAC of the v2 text of a moment. */
  freshProof(id: string, seconds: number, secret = this.keys.identitySecret) {
    const text = ['v2:subscriber', this.keys.publicKey, seconds, id].join('\n');
    return { subscriber_id: id, subscriber_hash: hmac(secret, text).toString('hex'), timestamp: seconds };
  }

  /** What the page of a person gets, to speak for the person with NotificationAPI's clients; without a secret there is no hash. */
  basic(id: string, secret?: string): string {
    const parts = [this.keys.publicKey, id, ...(secret === undefined ? [] : [hmac(secret, id).toString('base64')])];
    return `Basic ${Buffer.from(parts.join(':'), 'utf8').toString('base64')}`;
  }

  /** The same in the query of NotificationAPI's WebSocket. */
  socketQuery(id: string, secret: string): string {
    const hash = hmac(secret, id).toString('base64');
    return new URLSearchParams({ envId: this.keys.publicKey, userId: id, userIdHash: hash }).toString();
  }
}

/** The page of the customer in a browser: it has proofs and tokens, and no secret. */
export class Page {
  constructor(
    private readonly gateway: AppProcess,
    private readonly keys: Pick<EnvironmentKeys, 'publicKey'>,
  ) {}

  openSession(proof: object): Promise<Heard> {
    return this.ask({ method: 'POST', path: '/v1/session', body: { public_key: this.keys.publicKey, ...proof } });
  }

  /** @returns the token of a session that must open */
  async tokenOf(proof: object): Promise<string> {
    const { status, body } = await this.openSession(proof);
    if (status !== 201) throw new Error(`The session was answered with ${status}: ${JSON.stringify(body)}`);
    return String(body['token']);
  }

  listInbox(token: string): Promise<Heard> {
    return this.ask({ path: '/v1/inbox/messages', authorization: `Bearer ${token}` });
  }

  refresh(token: string): Promise<Heard> {
    return this.ask({ method: 'POST', path: '/v1/session/refresh', authorization: `Bearer ${token}` });
  }

  /** Asks for a ticket of a stream. */
  ticket(token: string): Promise<Heard> {
    return this.ask({ method: 'POST', path: '/v1/session/ticket', authorization: `Bearer ${token}` });
  }

  /** Opens the stream by a ticket in the URL, as EventSource does, which sends no header of ours. */
  redeem(ticket: string): Promise<SseClient> {
    return SseClient.open(`${this.gateway.url}/v1/inbox/stream?ticket=${ticket}`, { origin: PAGE_ORIGIN });
  }

  /** The inbox as `@notificationapi/core` asks for it. */
  listNotificationApi(id: string, authorization: string): Promise<Heard> {
    const path = `/${this.keys.publicKey}/users/${encodeURIComponent(id)}/notifications/INAPP_WEB`;
    return this.ask({ path, authorization });
  }

  /** The WebSocket of NotificationAPI's clients. */
  openNotificationApiSocket(query: string): Promise<WebSocketClient> {
    return WebSocketClient.open(`${this.gateway.url.replace('http', 'ws')}/?${query}`, { origin: PAGE_ORIGIN });
  }

  /** A session as `@novu/js` opens it. */
  openNovuSession({ subscriber_id: subscriberId, subscriber_hash: subscriberHash }: ReturnType<CustomerServer['staticProof']>) {
    const body = { applicationIdentifier: this.keys.publicKey, subscriber: { subscriberId }, subscriberHash };
    return this.ask({ method: 'POST', path: '/v1/inbox/session', body });
  }

  /** The WebSocket of `@novu/js`. */
  openNovuSocket(token: string): Promise<WebSocketClient> {
    return WebSocketClient.open(`${this.gateway.url.replace('http', 'ws')}/v1/inbox/socket?token=${token}`, { origin: PAGE_ORIGIN });
  }

  listNovu(token: string): Promise<Heard> {
    return this.ask({ path: '/v1/inbox/notifications', authorization: `Bearer ${token}` });
  }

  private ask(asked: Omit<Asked, 'origin'>): Promise<Heard> {
    return ask(this.gateway, { ...asked, origin: PAGE_ORIGIN });
  }
}

function hmac(secret: string, text: string): Buffer {
  return createHmac('sha256', secret).update(text, 'utf8').digest();
}
