import type { FakePushServiceProcess } from '#testing';
import { isAccepted } from '../../libs/testing/src/push-service/push-journal.js';

/** What the page of a device finds in a message. */
interface Payload {
  readonly notification: { readonly data: { readonly belfry: { readonly message_id: string; readonly receipt: string } } };
}

/** A message as its device read it. */
export interface ReadMessage {
  readonly messageId: string;
  readonly receipt: string;
}

/** The push service's own record of a campaign: read from it again and again, because it keeps only the newest requests. */
export class SinkRecord {
  /** Accepted requests by device and Topic: one for each message, unless it was sent again. */
  readonly accepted = new Map<string, number>();
  /** Messages that nobody has reported on yet. */
  readonly unreported: ReadMessage[] = [];
  /** All requests that were in order, also those that were answered with a refusal. */
  requests = 0;
  private lastId = '0';
  private reading: Promise<void> = Promise.resolve();

  constructor(private readonly service: Pick<FakePushServiceProcess, 'attemptsAfter'>) {}

  /** The name of a message in `accepted`. */
  static keyOf(deviceId: string, topic: string): string {
    return `${deviceId} ${topic}`;
  }

  /** Takes in everything that the service got until now. */
  async read(): Promise<void> {
    this.reading = this.reading.then(() => this.readOn());
    return this.reading;
  }

  private async readOn(): Promise<void> {
    for (;;) {
      const attempts = await this.service.attemptsAfter(this.lastId);
      if (attempts.length === 0) return;
      for (const { requestId, deviceId, topic = '', outcome, payload } of attempts) {
        this.lastId = requestId;
        this.requests += 1;
        if (!isAccepted(outcome)) continue;
        const key = SinkRecord.keyOf(deviceId, topic);
        this.accepted.set(key, (this.accepted.get(key) ?? 0) + 1);
        if (payload !== undefined && payload !== '') this.unreported.push(readPayload(payload));
      }
    }
  }
}

function readPayload(payload: string): ReadMessage {
  const { message_id: messageId, receipt } = (JSON.parse(payload) as Payload).notification.data.belfry;
  return { messageId, receipt };
}
