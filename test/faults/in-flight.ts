import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '#database';
import { waitFor } from '#testing';

const READ_MS_MAX = 60_000;
/** Senders that live have written the results of what they were sending by then. */
const OTHERS_MS = 1_000;
/** Later than that a lease may have ended meanwhile. */
const LOOKED_AGAIN_MS_MAX = 8_000;

/** A message on its way to its device. */
export interface DeliveryKey {
  readonly messageKey: string;
  readonly subscriberId: string;
}

interface SendingRow extends DeliveryKey {
  /** Counts who took it: the row is another sender's when it grows. */
  readonly claim: number;
}

/**
 * Which push messages were in flight when their sender was killed or stopped: no other may reach its device twice. They are read right
 * after the blow, and again a moment later: the rows of a sender that is gone stay as they are until their lease ends, those of the
 * others do not.
 */
export class InFlight {
  private readonly keys = new Set<string>();
  /** Rows that an earlier blow left behind are there at the next one: each claim counts once. */
  private readonly claims = new Set<string>();

  constructor(private readonly database: Database) {}

  /** Over all blows. */
  get total(): number {
    return this.claims.size;
  }

  /** Notes what the sender that was just hit was sending. */
  async note(): Promise<void> {
    const startedMs = performance.now();
    const first = await this.read();
    await pause(OTHERS_MS);
    const again = new Set((await this.read()).map(claimOf));
    const isSure = performance.now() - startedMs < LOOKED_AGAIN_MS_MAX;
    for (const row of first) {
      if (isSure && !again.has(claimOf(row))) continue;
      this.keys.add(nameOf(row));
      this.claims.add(claimOf(row));
    }
  }

  has(key: DeliveryKey): boolean {
    return this.keys.has(nameOf(key));
  }

  private async read(): Promise<SendingRow[]> {
    return waitFor(
      () =>
        this.database.query<SendingRow>({
          text: `SELECT message_key AS "messageKey", subscriber_id AS "subscriberId", claim FROM push.delivery WHERE state = 'sending'`,
        }),
      { what: 'the deliveries in flight', timeoutMs: READ_MS_MAX },
    );
  }
}

function claimOf(row: SendingRow): string {
  return `${nameOf(row)} ${row.claim}`;
}

function nameOf({ messageKey, subscriberId }: DeliveryKey): string {
  return `${messageKey} ${subscriberId}`;
}
