import { createHmac } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { InboxMessage } from '#inbox';
import type { PushPerson } from '../support/push-audience.js';
import { Seeded } from '../support/seeded.js';
import type { Stack } from '../support/stack.js';
import { PersistentClient } from './persistent-client.js';
import type { ReadMessage, SinkRecord } from './sink-record.js';

/** What the API answered with a success: each has to be found in the tables. */
export interface AcceptedCalls {
  readonly runIds: string[];
  /** Ids of single messages. */
  readonly messageIds: string[];
  /** `<message id> <kind>`, reported from push messages. */
  readonly reports: Set<string>;
  /** Ids of inbox messages by what was done with them. */
  readonly inboxChanges: { readonly read: Set<string>; readonly archive: Set<string> };
  /** The attribute that was written last for a person, by external id. */
  readonly marks: Map<string, string>;
}

export interface TrafficParts {
  readonly stack: Stack;
  readonly people: readonly PushPerson[];
  readonly sink: SinkRecord;
  readonly seed: number;
}

const WORKERS = 3;
const PAUSE_MS = 60;
const ITEMS_PER_REPORT = 50;
/** A browser that got no answer reports again. */
const REPEATED_SHARE = 0.2;
export const CAMPAIGN = {
  name: 'Faults',
  channels: ['inbox', 'push'],
  audience: { all: true },
  title: '{{ subscriber.first_name | default: "Hello" }} of {{ subscriber.city }}',
  url: 'https://shop.example/faults',
};

/** What customers and their people do while the system is disturbed: messages, changes of people, receipts, reading in the inbox. */
export class Traffic {
  readonly accepted: AcceptedCalls = {
    runIds: [],
    messageIds: [],
    reports: new Set(),
    inboxChanges: { read: new Set(), archive: new Set() },
    marks: new Map(),
  };
  readonly client: PersistentClient;
  /** Calls that were refused or never accepted. There should be none: each is in order. */
  readonly failures: string[] = [];
  private readonly marked = new Set<string>();
  private readonly random: Seeded;
  private readonly workers: Promise<void>[] = [];
  private campaignId: string | undefined;
  private number = 0;
  private isOver = false;

  constructor(private readonly parts: TrafficParts) {
    this.client = new PersistentClient(parts.stack);
    this.random = new Seeded(parts.seed);
  }

  start(): void {
    const steps = [() => this.sendMessage(), () => this.report(), () => this.mark(), () => this.report(), () => this.useInbox()];
    for (let worker = 0; worker < WORKERS; worker += 1) this.workers.push(this.work(steps, worker));
  }

  /** Lets the last calls be accepted and reports everything that devices still have read. */
  async stop(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.workers);
    await this.parts.sink.read();
    while (this.parts.sink.unreported.length > 0) await this.report();
  }

  /** Starts another run. @returns its id */
  async trigger(): Promise<string> {
    this.number += 1;
    const idempotencyKey = `faults-run-${this.number}`;
    this.campaignId ??= (
      await this.client.call<{ id: string }>('POST', '/v1/campaigns', { body: CAMPAIGN, idempotencyKey: 'faults-campaign' })
    ).id;
    const { id } = await this.client.call<{ id: string }>('POST', `/v1/campaigns/${this.campaignId}/trigger`, { idempotencyKey });
    this.accepted.runIds.push(id);
    return id;
  }

  private async work(steps: readonly (() => Promise<void>)[], first: number): Promise<void> {
    for (let turn = first; !this.isOver; turn += 1) {
      await steps[turn % steps.length]?.().catch((error: unknown) => this.failures.push(String(error)));
      await pause(PAUSE_MS);
    }
  }

  private async sendMessage(): Promise<void> {
    this.number += 1;
    const idempotencyKey = `faults-message-${this.number}`;
    const body = {
      subscriber_id: this.random.pick(this.parts.people).externalId,
      channels: ['inbox', 'push'],
      title: `Code ${this.number}`,
    };
    this.accepted.messageIds.push((await this.client.call<{ id: string }>('POST', '/v1/messages', { body, idempotencyKey })).id);
  }

  /** A person is marked once: a repeat of an earlier call, which a frozen gateway answers late, must not undo a later one. */
  private async mark(): Promise<void> {
    this.number += 1;
    const { externalId } = this.random.pick(this.parts.people);
    if (this.marked.has(externalId)) return;
    this.marked.add(externalId);
    const mark = `mark ${this.number}`;
    await this.client.call('PUT', `/v1/subscribers/${externalId}`, { body: { attributes: { mark } } });
    this.accepted.marks.set(externalId, mark);
  }

  private async report(): Promise<void> {
    await this.parts.sink.read();
    const messages = this.parts.sink.unreported.splice(0, ITEMS_PER_REPORT);
    if (messages.length === 0) return;
    const items = messages.flatMap((message, index) => this.kindsOf(index).map((kind) => ({ message, kind })));
    const body = { items: items.map(({ message, kind }) => ({ receipt: message.receipt, kind })) };
    const times = this.random.chance(REPEATED_SHARE) ? 2 : 1;
    for (let time = 0; time < times; time += 1) {
      const { results } = await this.client.call<{ results: { status: string }[] }>('POST', '/v1/engagement', { body });
      for (const [index, { status }] of results.entries()) this.noteReport(items[index], status);
    }
  }

  private noteReport(item: { message: ReadMessage; kind: string } | undefined, status: string): void {
    if (item === undefined || status !== 'accepted') throw new Error('A genuine receipt was refused.');
    this.accepted.reports.add(`${item.message.messageId} ${item.kind}`);
  }

  private kindsOf(index: number): string[] {
    return ['delivered', ...(index % 5 === 0 ? ['clicked'] : this.random.chance(0.5) ? ['shown'] : [])];
  }

  /** Somebody opens the inbox and reads or archives the newest message. */
  private async useInbox(): Promise<void> {
    const { keys } = this.parts.stack;
    const { externalId } = this.random.pick(this.parts.people);
    const action = this.random.pick(['read', 'archive'] as const);
    const subscriber_hash = createHmac('sha256', keys.identitySecret).update(externalId).digest('hex');
    const body = { public_key: keys.publicKey, subscriber_id: externalId, subscriber_hash };
    const { token } = await this.client.call<{ token: string }>('POST', '/v1/session', { body });
    const { data } = await this.client.call<{ data: InboxMessage[] }>('GET', '/v1/inbox/messages', { token });
    const [newest] = data;
    if (newest === undefined) return;
    await this.client.call('POST', `/v1/inbox/messages/${newest.id}/${action}`, { token });
    this.accepted.inboxChanges[action].add(newest.id);
  }
}
