import { CompressionTypes, type ProducerRecord } from 'kafkajs';
import { beforeEach, describe, expect, it } from 'vitest';
import { RECORD_VALUE_BYTES_MAX } from '#contracts';
import { EventLogClosedError, EventLogUnavailableError, RecordTooLargeError } from '../event-log.errors.js';
import { SEND_BYTES_MAX, SEND_RECORDS_MAX, SendQueue } from './send-queue.js';

/** A producer whose answers the test gives. */
class FakeSender {
  readonly sent: ProducerRecord[] = [];
  private readonly answers: { resolve: () => void; reject: (error: Error) => void }[] = [];
  disconnects = 0;

  async send(request: ProducerRecord): Promise<[]> {
    this.sent.push(request);
    await new Promise<void>((resolve, reject) => this.answers.push({ resolve, reject }));
    return [];
  }

  async disconnect(): Promise<void> {
    this.disconnects += 1;
  }

  /** Answers the oldest request that waits, and lets what follows from it happen. */
  async answer(error?: Error): Promise<void> {
    const next = this.answers.shift();
    if (error === undefined) next?.resolve();
    else next?.reject(error);
    await tick();
  }
}

let sender: FakeSender;
let connects: number;
let queue: SendQueue;

function record(text: string) {
  return { key: text, value: Buffer.from(text) };
}

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function keysSent(): string[][] {
  return sender.sent.map((request) => request.messages.map((message) => String(message.key)));
}

beforeEach(() => {
  sender = new FakeSender();
  connects = 0;
  queue = new SendQueue(async () => {
    connects += 1;
    return sender;
  }, CompressionTypes.None);
});

describe('SendQueue', () => {
  it('sends a single append at once and asks for all replicas', async () => {
    const appended = queue.append('t', [record('a')]);
    await tick();
    expect(sender.sent[0]).toMatchObject({ topic: 't', acks: -1, compression: CompressionTypes.None });
    await sender.answer();
    await expect(appended).resolves.toBeUndefined();
  });

  it('joins appends of one topic that wait while all requests are on the way', async () => {
    const appends = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((key) => queue.append('t', [record(key)]));
    await tick();
    expect(keysSent()).toEqual([['a'], ['b'], ['c'], ['d']]);
    await sender.answer();
    expect(keysSent().slice(4)).toEqual([['e', 'f', 'g']]);
    for (let answers = 0; answers < 4; answers += 1) await sender.answer();
    await expect(Promise.all(appends)).resolves.toHaveLength(7);
  });

  it('never joins two topics, so that the failure of one does not touch the other', async () => {
    const busy = ['1', '2', '3', '4'].map((key) => queue.append('busy', [record(key)]));
    const settled = Promise.allSettled([queue.append('bad', [record('x')]), queue.append('good', [record('y')])]);
    await tick();
    await sender.answer();
    await sender.answer();
    expect(sender.sent.slice(4).map((request) => request.topic)).toEqual(['bad', 'good']);
    await sender.answer();
    await sender.answer();
    await sender.answer(new Error('no leader'));
    await sender.answer();
    const [bad, good] = await settled;
    expect(bad).toMatchObject({ status: 'rejected', reason: expect.any(EventLogUnavailableError) });
    expect(good.status).toBe('fulfilled');
    await Promise.all(busy);
  });

  it('cuts a large append by count and by bytes, and sends its parts one after the other', async () => {
    const many = queue.append(
      't',
      Array.from({ length: SEND_RECORDS_MAX + 1 }, (_, index) => record(String(index))),
    );
    await tick();
    expect(keysSent().map((keys) => keys.length)).toEqual([SEND_RECORDS_MAX]);
    await sender.answer();
    expect(keysSent().map((keys) => keys.length)).toEqual([SEND_RECORDS_MAX, 1]);
    await sender.answer();
    await many;

    const large = { key: 'large', value: Buffer.alloc(RECORD_VALUE_BYTES_MAX) };
    const bytes = queue.append('t', [large, large]);
    await tick();
    await sender.answer();
    await sender.answer();
    await bytes;
    expect(keysSent().slice(2)).toEqual([['large'], ['large']]);
  });

  it('refuses a record that is too large before it sends any of the append', async () => {
    const large = { key: 'large', value: Buffer.alloc(RECORD_VALUE_BYTES_MAX + 1) };
    await expect(queue.append('t', [record('a'), large])).rejects.toThrow(RecordTooLargeError);
    const headers = { name: 'x'.repeat(SEND_BYTES_MAX) };
    await expect(queue.append('t', [{ ...record('a'), headers }])).rejects.toThrow(RecordTooLargeError);
    expect(sender.sent).toEqual([]);
  });

  it('connects again after a failed attempt and after a refresh', async () => {
    let isDown = true;
    queue = new SendQueue(async () => {
      if (isDown) throw new Error('refused');
      connects += 1;
      return sender;
    }, CompressionTypes.None);
    await expect(queue.append('t', [record('a')])).rejects.toThrow(EventLogUnavailableError);
    isDown = false;
    const appended = queue.append('t', [record('b')]);
    await tick();
    await sender.answer();
    await appended;
    await queue.refresh();
    expect([connects, sender.disconnects]).toEqual([1, 1]);
  });

  it('refuses what waits, and what comes later, when it is closed', async () => {
    const appends = Array.from({ length: 5 }, (_, index) => queue.append('t', [record(String(index))]));
    const settled = Promise.allSettled(appends);
    await tick();
    const closed = queue.close();
    for (let answers = 0; answers < 4; answers += 1) await sender.answer();
    await closed;
    expect((await settled).map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
    await expect(queue.append('t', [record('late')])).rejects.toThrow(EventLogClosedError);
  });
});
