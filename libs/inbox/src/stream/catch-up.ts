import { Injectable } from '@nestjs/common';
import { MessagePresenter } from '../message.js';
import { MessageStore, type InboxOwner } from '../message.store.js';
import { parseEventId } from './event-id.js';
import { messageEvent, resyncEvent, unreadCountEvent } from './message-events.js';
import type { TabEvent } from './tab-registry.js';

/**
 * How far before its position a tab is replayed. A row carries the instant of its statement but is visible only from its commit on,
 * so a row may appear behind a position that was handed out before. Between the two lie the last statements of a delivery, each
 * bounded by DATABASE_STATEMENT_TIMEOUT_MS and DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS: with their defaults less than this in all.
 */
export const REPLAY_OVERLAP_SECONDS = 300;

/** Messages replayed to a returning tab; one that missed more is told to read its list again. */
export const REPLAY_MESSAGES_MAX = 200;

const MICROS_PER_SECOND = 1_000_000n;

/**
 * Works out what a tab has to be told when it connects. Every catch-up ends with the unread count at a fresh position, so that a tab
 * which then loses its connection before the first message still knows from where to go on.
 *
 * Because of the overlap a tab may get a message twice; message ids are stable and each event carries the whole message, so clients
 * merge by id.
 */
@Injectable()
export class CatchUp {
  constructor(
    private readonly messages: MessageStore,
    private readonly presenter: MessagePresenter,
  ) {}

  /** @param lastEventId the id of the last event that the tab got; absent for a new tab, which reads its list by itself. */
  async read(owner: InboxOwner, lastEventId: string | undefined): Promise<TabEvent[]> {
    const nowMicros = await this.messages.readNowMicros();
    const missed = lastEventId === undefined ? [] : await this.readMissed(owner, lastEventId);
    return [...missed, unreadCountEvent(await this.messages.countUnread(owner), nowMicros)];
  }

  private async readMissed(owner: InboxOwner, lastEventId: string): Promise<TabEvent[]> {
    const position = parseEventId(lastEventId);
    if (position === undefined) return [resyncEvent('position_invalid')];
    const since = { micros: withOverlap(position.micros), limit: REPLAY_MESSAGES_MAX + 1 };
    const rows = await this.messages.readSince(owner, since);
    if (rows.length > REPLAY_MESSAGES_MAX) return [resyncEvent('too_much_missed')];
    const presented = await this.presenter.present(owner.environmentId, rows);
    return presented.map(({ row, message }) => messageEvent(row.is_new ? 'message.delivered' : 'message.updated', row, message));
  }
}

function withOverlap(micros: string): string {
  const start = BigInt(micros) - BigInt(REPLAY_OVERLAP_SECONDS) * MICROS_PER_SECOND;
  return (start < 0n ? 0n : start).toString();
}
