import { Injectable } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { inboxConfig } from '../inbox.config.js';
import { InboxStreamCapacityError, InboxStreamLimitError } from '../inbox.errors.js';
import type { InboxOwner } from '../message.store.js';

/** One event of a stream. An event with an id moves the position from which a reconnecting tab goes on. */
export interface TabEvent {
  readonly id?: string;
  readonly event: 'message.delivered' | 'message.updated' | 'unread_count' | 'resync';
  readonly data: object;
}

/** Where a tab's events go: an open SSE stream. */
export interface TabSink {
  send(event: TabEvent): void;
  close(): void;
}

/** Live events that wait while a tab catches up; a tab that would need more is closed and comes back with its position. */
export const CATCH_UP_EVENTS_MAX = 500;

/**
 * One connected tab. Life: catching up (live events wait, so that nothing older is shown after something newer) -> live -> closed.
 * It is registered before it catches up: what is committed after the catch-up's read therefore arrives as a live event.
 */
export class Tab {
  #waiting: TabEvent[] = [];
  #sink: TabSink | undefined;
  #closed = false;

  constructor(readonly owner: InboxOwner) {}

  /** Sends a live event, or keeps it until the tab has caught up. */
  send(event: TabEvent): void {
    if (this.#closed) return;
    if (this.#sink !== undefined) this.#sink.send(event);
    else if (this.#waiting.length < CATCH_UP_EVENTS_MAX) this.#waiting.push(event);
    else this.close();
  }

  /** Ends the catching up: first what was missed, then what came meanwhile. */
  goLive(sink: TabSink, missed: readonly TabEvent[]): void {
    if (this.#closed) return sink.close();
    this.#sink = sink;
    for (const event of [...missed, ...this.#waiting]) this.send(event);
    this.#waiting = [];
  }

  /** Ends the stream; repeats are harmless. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#sink?.close();
  }
}

/**
 * The tabs connected to this process, by subscriber. Lives in memory only: after a restart the tabs come back by themselves, to any
 * gateway. Both limits are settings, because each open stream costs memory and a socket.
 */
@Injectable()
export class TabRegistry {
  /** By environment and subscriber: a subscriber id alone must never open another tenant's stream. */
  readonly #tabs = new Map<string, Map<string, Set<Tab>>>();
  readonly #limits: { perSubscriber: number; perProcess: number };
  #count = 0;

  constructor(config: BelfryConfig) {
    const { streamsPerSubscriberMax, streamsPerProcessMax } = config.of(inboxConfig);
    this.#limits = { perSubscriber: streamsPerSubscriberMax, perProcess: streamsPerProcessMax };
  }

  /** How many tabs are connected. */
  get count(): number {
    return this.#count;
  }

  /**
   * Takes a tab in. Call it before the answer's head is sent, so that a refusal is an answer of its own.
   * @throws InboxStreamLimitError, InboxStreamCapacityError
   */
  add(tab: Tab): void {
    if (this.#count >= this.#limits.perProcess) throw new InboxStreamCapacityError();
    const { environmentId, subscriberId } = tab.owner;
    const ofEnvironment = this.#tabs.get(environmentId) ?? new Map<string, Set<Tab>>();
    const tabs = ofEnvironment.get(subscriberId) ?? new Set();
    if (tabs.size >= this.#limits.perSubscriber) throw new InboxStreamLimitError(this.#limits.perSubscriber);
    this.#tabs.set(environmentId, ofEnvironment.set(subscriberId, tabs.add(tab)));
    this.#count += 1;
  }

  /** Forgets a tab; repeats are harmless. */
  remove(tab: Tab): void {
    const { environmentId, subscriberId } = tab.owner;
    const ofEnvironment = this.#tabs.get(environmentId);
    const tabs = ofEnvironment?.get(subscriberId);
    if (ofEnvironment === undefined || tabs === undefined || !tabs.delete(tab)) return;
    if (tabs.size === 0) ofEnvironment.delete(subscriberId);
    if (ofEnvironment.size === 0) this.#tabs.delete(environmentId);
    this.#count -= 1;
  }

  /** The connected tabs of one subscriber; empty for most subscribers. */
  tabsOf(owner: InboxOwner): ReadonlySet<Tab> {
    return this.#tabs.get(owner.environmentId)?.get(owner.subscriberId) ?? NO_TABS;
  }

  /** The connected subscribers of an environment from one id to another, both included. */
  subscribersIn(environmentId: string, { firstId, lastId }: { firstId: string; lastId: string }): readonly string[] {
    const ofEnvironment = this.#tabs.get(environmentId);
    if (ofEnvironment === undefined) return [];
    if (firstId === lastId) return ofEnvironment.has(firstId) ? [firstId] : [];
    return [...ofEnvironment.keys()].filter((subscriberId) => subscriberId >= firstId && subscriberId <= lastId);
  }

  /** Sends an event to each tab of a subscriber. */
  send(owner: InboxOwner, event: TabEvent): void {
    for (const tab of this.tabsOf(owner)) tab.send(event);
  }
}

const NO_TABS: ReadonlySet<Tab> = new Set();
