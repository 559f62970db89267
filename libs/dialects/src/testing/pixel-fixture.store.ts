import { createECDH, randomBytes, randomUUID } from 'node:crypto';
import { engagementRecordedSchema, newUuid, type EngagementRecorded } from '#contracts';
import type { Database } from '#database';
import type { Receipt } from '#identity';

/** A browser's subscription, as its `toJSON()` gives it. */
export interface PixelSubscription {
  readonly endpoint: string;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}

/** A device as it is kept, with its owner. */
export interface PixelDevice {
  readonly id: string;
  readonly state: string;
  readonly externalId: string;
  readonly verified: boolean;
}

/** For tests: what the routes of core-notify leave behind in one environment. Reads the tables that other libs own. */
export class PixelFixture {
  constructor(
    private readonly database: Database,
    readonly environmentId: string,
  ) {}

  /** A subscription of a new browser. */
  static subscription(endpoint = `https://fcm.googleapis.com/fcm/send/${randomUUID()}`): PixelSubscription {
    const p256dh = createECDH('prime256v1').generateKeys().toString('base64url');
    return { endpoint, keys: { p256dh, auth: randomBytes(16).toString('base64url') } };
  }

  /** A receipt of a message of this environment. */
  receipt(facts: Partial<Receipt> = {}): Receipt {
    const ids = { messageKey: newUuid(), subscriberId: newUuid(), contentId: newUuid() };
    return { environmentId: this.environmentId, ...ids, channel: 'push', ...facts };
  }

  /** The devices, oldest first. */
  async devices(): Promise<PixelDevice[]> {
    return this.database.query<PixelDevice>({
      text: `SELECT device.id, device.state, subscriber.external_id AS "externalId", subscriber.verified
        FROM push.device AS device JOIN subscribers.subscriber AS subscriber
          ON subscriber.environment_id = device.environment_id AND subscriber.id = device.subscriber_id
        WHERE device.environment_id = $1 ORDER BY device.id`,
      values: [this.environmentId],
    });
  }

  async countSubscribers(): Promise<number> {
    const [row] = await this.database.query<{ count: number }>({
      text: 'SELECT count(*)::integer AS count FROM subscribers.subscriber WHERE environment_id = $1',
      values: [this.environmentId],
    });
    return row?.count ?? 0;
  }

  /** The engagement of this environment that waits in the outbox, in the order of its insertion. */
  async engagement(): Promise<EngagementRecorded[]> {
    const rows = await this.database.query<{ value: Buffer }>({
      text: `-- every environment: the outbox has no such column, the events have
        SELECT value FROM event_log.outbox WHERE topic = 'engagement.recorded.v1' ORDER BY outbox_id`,
    });
    return rows
      .map(({ value }) => engagementRecordedSchema.parse(JSON.parse(value.toString('utf8'))))
      .filter((event) => event.environment_id === this.environmentId);
  }
}
