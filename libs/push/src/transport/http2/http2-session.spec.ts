import { createServer, type Http2Server } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '#testing';
import { CLIENT_PREFACE, FLAG, FRAME, type Frame, H2_ERROR, makeFrame, makeNumberFrame, makeSettingsFrame, SETTING } from './frames.js';
import { FrameReader } from './frame-reader.js';
import { HpackDecoder } from './hpack-decoder.js';
import { HpackEncoder, type OutgoingField } from './hpack-encoder.js';
import type { Http2StreamFailure } from './http2-listeners.js';
import { Http2Session } from './http2-session.js';

const POST: readonly OutgoingField[] = [
  [':method', 'POST', 'indexed'],
  [':path', '/push/x', 'secret'],
];
const BODY = Buffer.from('body');
const EMPTY = Buffer.alloc(0);

/** What a stream told, in order. */
class Told {
  readonly heads: number[] = [];
  readonly headers: Record<string, string>[] = [];
  body = '';
  ends = 0;
  readonly failures: Http2StreamFailure[] = [];

  readonly listener = {
    onHead: (fields: readonly (readonly [string, string])[], status: number) => {
      this.heads.push(status);
      this.headers.push(Object.fromEntries(fields));
    },
    onData: (chunk: Buffer) => {
      this.body += chunk.toString('latin1');
    },
    onEnd: () => {
      this.ends += 1;
    },
    onFailed: (failure: Http2StreamFailure) => {
      this.failures.push(failure);
    },
  };
}

/** A session whose peer is played by the test, frame by frame. */
class Stage {
  readonly received: Frame[] = [];
  readonly events: string[] = [];
  readonly session: Http2Session;
  readonly encoder = new HpackEncoder();
  readonly decoder = new HpackDecoder();
  readonly #peer: Duplex;
  readonly #reader = new FrameReader();
  #preface = EMPTY;

  constructor() {
    const [ours, theirs] = duplexPair();
    this.#peer = theirs;
    theirs.on('data', (chunk: Buffer) => this.#onBytes(chunk));
    theirs.on('end', () => theirs.end());
    theirs.on('error', () => undefined);
    this.session = new Http2Session(ours, {
      onSettings: (streamsMax) => this.events.push(`settings ${streamsMax}`),
      onClosing: () => this.events.push('closing'),
      onClosed: () => this.events.push('closed'),
    });
  }

  /** With the peer's settings exchanged. */
  static async open(settings: readonly (readonly [number, number])[] = []): Promise<Stage> {
    const stage = new Stage();
    await stage.send(makeSettingsFrame(settings));
    return stage;
  }

  async send(...frames: readonly Buffer[]): Promise<void> {
    this.#peer.write(Buffer.concat(frames));
    // Both directions of the pair and the write that waits for the end of a turn.
    for (let turn = 0; turn < 4; turn += 1) await nextTurn();
  }

  async request(body = BODY): Promise<Told> {
    const told = new Told();
    this.session.request(POST, body, told.listener);
    await this.send();
    return told;
  }

  head(streamId: number, flags: number, status = '201'): Buffer {
    return makeFrame(FRAME.headers, flags | FLAG.endHeaders, streamId, this.encoder.encode([[':status', status, 'literal']]));
  }

  framesOf(type: number): Frame[] {
    return this.received.filter((frame) => frame.type === type);
  }

  #onBytes(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#preface.length < CLIENT_PREFACE.length) {
      const missing = CLIENT_PREFACE.length - this.#preface.length;
      this.#preface = Buffer.concat([this.#preface, bytes.subarray(0, missing)]);
      bytes = bytes.subarray(missing);
      if (this.#preface.length === CLIENT_PREFACE.length) expect(this.#preface).toEqual(CLIENT_PREFACE);
    }
    for (const frame of this.#reader.read(bytes)) this.received.push({ ...frame, payload: Buffer.from(frame.payload) });
  }
}

describe('Http2Session', () => {
  it('begins with its settings, answers those of the peer and says how many streams it allows', async () => {
    const stage = await Stage.open([[SETTING.maxConcurrentStreams, 7]]);
    expect(stage.received.map(({ type, flags }) => [type, flags])).toEqual([
      [FRAME.settings, 0],
      [FRAME.settings, FLAG.ack],
    ]);
    expect(stage.events).toEqual(['settings 7']);
    await stage.send(makeSettingsFrame([[SETTING.maxConcurrentStreams, 3]]), makeSettingsFrame([]));
    expect(stage.events).toEqual(['settings 7', 'settings 3']);
  });

  it('sends a request and its body, and gives the answer', async () => {
    const stage = await Stage.open();
    const told = await stage.request();
    const [headers, data] = stage.received.slice(-2);
    expect(headers).toMatchObject({ type: FRAME.headers, flags: FLAG.endHeaders, streamId: 1 });
    expect(stage.decoder.decode((headers as Frame).payload)).toEqual(POST.map(([name, value]) => [name, value]));
    expect(data).toMatchObject({ type: FRAME.data, flags: FLAG.endStream, streamId: 1, payload: BODY });
    await stage.send(
      stage.head(1, 0, '429'),
      makeFrame(FRAME.data, 0, 1, Buffer.from('too ')),
      makeFrame(FRAME.data, FLAG.endStream, 1, Buffer.from('many')),
    );
    expect(told).toMatchObject({ heads: [429], body: 'too many', ends: 1, failures: [] });
  });

  it('reads padding, priorities, blocks in several frames, informational heads and trailers', async () => {
    const stage = await Stage.open();
    const told = await stage.request();
    const block = stage.encoder.encode([[':status', '201', 'literal']]);
    await stage.send(
      stage.head(1, 0, '103'),
      makeFrame(
        FRAME.headers,
        FLAG.padded | FLAG.priority,
        1,
        Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 9]), block.subarray(0, 1), Buffer.alloc(2)]),
      ),
      makeFrame(FRAME.continuation, 0, 1, block.subarray(1, 3)),
      makeFrame(FRAME.continuation, FLAG.endHeaders, 1, block.subarray(3)),
      makeFrame(FRAME.data, FLAG.padded, 1, Buffer.from([1, 0x61, 0])),
      makeFrame(FRAME.priority, 0, 1, Buffer.alloc(5)),
      makeFrame(0x42, 0, 0, Buffer.from('an extension')),
      makeFrame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, stage.encoder.encode([['x-trailer', 'one', 'literal']])),
    );
    expect(told).toMatchObject({ heads: [201], body: 'a', ends: 1, failures: [] });
  });

  it('holds a body back until the windows let it through', async () => {
    const stage = await Stage.open([[SETTING.initialWindowSize, 3]]);
    await stage.request(Buffer.from('0123456789'));
    const sent = () => stage.framesOf(FRAME.data).map(({ flags, payload }) => [flags, payload.toString()]);
    expect(sent()).toEqual([[0, '012']]);
    await stage.send(makeNumberFrame(FRAME.windowUpdate, 1, 2));
    expect(sent().at(-1)).toEqual([0, '34']);
    await stage.send(makeSettingsFrame([[SETTING.initialWindowSize, 0]]), makeNumberFrame(FRAME.windowUpdate, 1, 3));
    expect(sent()).toHaveLength(2);
    await stage.send(makeSettingsFrame([[SETTING.initialWindowSize, 100]]));
    expect(sent().at(-1)).toEqual([FLAG.endStream, '56789']);
  });

  it('shares the window of the connection among its streams', async () => {
    const stage = await Stage.open();
    for (let stream = 0; stream < 5; stream += 1) await stage.request(Buffer.alloc(16_000));
    const bytes = () => stage.framesOf(FRAME.data).reduce((sum, { payload }) => sum + payload.length, 0);
    expect(bytes()).toBe(65_535);
    await stage.send(makeNumberFrame(FRAME.windowUpdate, 0, 100_000));
    expect(bytes()).toBe(80_000);
    expect(stage.framesOf(FRAME.data).filter(({ flags }) => flags === FLAG.endStream)).toHaveLength(5);
  });

  it('enlarges the window of the connection while answers come, also those that nobody waits for any more', async () => {
    const stage = await Stage.open();
    await stage.request();
    await stage.send(stage.head(1, 0));
    stage.session.cancel(1);
    await stage.send();
    expect(stage.framesOf(FRAME.resetStream)).toMatchObject([{ streamId: 1, payload: Buffer.from([0, 0, 0, H2_ERROR.cancel]) }]);
    const told = await stage.request();
    for (let frame = 0; frame < 20; frame += 1) await stage.send(makeFrame(FRAME.data, 0, 1, Buffer.alloc(16_000)));
    const grown = stage.framesOf(FRAME.windowUpdate).reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0);
    expect(grown).toBeGreaterThan(20 * 16_000 - 65_535);
    await stage.send(stage.head(3, FLAG.endStream));
    expect(told).toMatchObject({ heads: [201], ends: 1 });
  });

  it('takes an answer before the whole request was sent, and stops sending', async () => {
    const stage = await Stage.open([[SETTING.initialWindowSize, 1]]);
    const told = await stage.request();
    await stage.send(stage.head(1, FLAG.endStream, '413'));
    expect(told).toMatchObject({ heads: [413], ends: 1 });
    expect(stage.framesOf(FRAME.resetStream)).toHaveLength(1);
  });

  it.each([
    [H2_ERROR.refusedStream, { isUnprocessed: true, code: H2_ERROR.refusedStream }],
    [H2_ERROR.internal, { isUnprocessed: false, code: H2_ERROR.internal }],
  ])('tells a stream that the peer ends with code %i', async (code, failure) => {
    const stage = await Stage.open();
    const [told, other] = [await stage.request(), await stage.request()];
    await stage.send(makeNumberFrame(FRAME.resetStream, 1, code), stage.head(3, FLAG.endStream));
    expect(told).toMatchObject({ ends: 0, failures: [failure] });
    expect(other).toMatchObject({ ends: 1, failures: [] });
  });

  it('lets the streams finish that a GOAWAY leaves, gives the others back, and ends', async () => {
    const stage = await Stage.open();
    const [told, other] = [await stage.request(), await stage.request()];
    await stage.send(makeFrame(FRAME.goAway, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, 0])));
    expect(other.failures).toEqual([{ isUnprocessed: true }]);
    expect(stage.events).toEqual(['settings Infinity', 'closing']);
    await stage.send(stage.head(1, FLAG.endStream));
    expect(told).toMatchObject({ ends: 1, failures: [] });
    await waitFor(() => stage.events.at(-1) === 'closed');
    expect(stage.session.error).toBeUndefined();
  });

  it('answers pings and hears the answer to its own', async () => {
    const stage = await Stage.open();
    let answers = 0;
    stage.session.ping(() => {
      answers += 1;
    });
    await stage.send(makeFrame(FRAME.ping, 0, 0, Buffer.from('12345678')), makeFrame(FRAME.ping, FLAG.ack, 0, Buffer.alloc(8)));
    expect(answers).toBe(1);
    expect(stage.framesOf(FRAME.ping).at(-1)).toMatchObject({ flags: FLAG.ack, payload: Buffer.from('12345678') });
  });

  it('tells every stream when the connection is lost', async () => {
    const stage = await Stage.open();
    const told = await stage.request();
    const error = new Error('lost');
    stage.session.destroy(error);
    expect(told.failures).toEqual([{ isUnprocessed: false }]);
    expect(stage.events).toEqual(['settings Infinity', 'closing', 'closed']);
    expect(stage.session.error).toBe(error);
  });

  const twice = (frame: Buffer, times: number) => Buffer.concat(Array.from({ length: times }, () => frame));
  it.each<[string, Buffer, RegExp]>([
    ['a frame that is too large', Buffer.from([0, 0x40, 1, 0, 0, 0, 0, 0, 1]), /too large/],
    ['a push', makeFrame(FRAME.pushPromise, FLAG.endHeaders, 1, Buffer.alloc(4)), /pushes/],
    ['settings that would push', makeSettingsFrame([[SETTING.enablePush, 1]]), /would push/],
    ['a frame size that does not exist', makeSettingsFrame([[SETTING.maxFrameSize, 10]]), /frame size/],
    ['an impossible window', makeSettingsFrame([[SETTING.initialWindowSize, 2 ** 31]]), /too large/],
    ['settings of another size', makeFrame(FRAME.settings, 0, 0, Buffer.alloc(5)), /another size/],
    ['an acknowledgement with content', makeFrame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(6)), /says something/],
    ['settings of a stream', makeFrame(FRAME.settings, 0, 1, EMPTY), /of a stream/],
    ['a ping of another size', makeFrame(FRAME.ping, 0, 0, Buffer.alloc(7)), /another size/],
    ['a ping of a stream', makeFrame(FRAME.ping, 0, 1, Buffer.alloc(8)), /of a stream/],
    ['a GOAWAY of another size', makeFrame(FRAME.goAway, 0, 0, Buffer.alloc(7)), /another size/],
    ['a GOAWAY of a stream', makeFrame(FRAME.goAway, 0, 1, Buffer.alloc(8)), /of a stream/],
    ['a RST_STREAM of another size', makeFrame(FRAME.resetStream, 0, 1, Buffer.alloc(3)), /another size/],
    ['a stream that nobody opened', makeFrame(FRAME.data, 0, 3, EMPTY), /nobody opened/],
    ['a stream of the peer', makeFrame(FRAME.headers, FLAG.endHeaders, 2, EMPTY), /nobody opened/],
    ['data of the connection', makeFrame(FRAME.data, 0, 0, EMPTY), /nobody opened/],
    ['more padding than bytes', makeFrame(FRAME.data, FLAG.padded, 1, Buffer.from([1])), /padding/],
    ['the same in a header block', makeFrame(FRAME.headers, FLAG.endHeaders | FLAG.padded, 1, EMPTY), /padding/],
    ['a window that grows by nothing', makeNumberFrame(FRAME.windowUpdate, 0, 0), /by nothing/],
    ['a window that grows too large', makeNumberFrame(FRAME.windowUpdate, 0, 2 ** 31 - 1), /too large/],
    ['a window update of another size', makeFrame(FRAME.windowUpdate, 0, 0, Buffer.alloc(3)), /another size/],
    ['a block that goes on without a beginning', makeFrame(FRAME.continuation, 0, 1, EMPTY), /did not begin/],
    [
      'a block that another frame interrupts',
      Buffer.concat([makeFrame(FRAME.headers, 0, 1, EMPTY), makeFrame(FRAME.ping, 0, 0, Buffer.alloc(8))]),
      /interrupted/,
    ],
    [
      'a block without an end',
      Buffer.concat([makeFrame(FRAME.headers, 0, 1, EMPTY), twice(makeFrame(FRAME.continuation, 0, 1, EMPTY), 20)]),
      /no end/,
    ],
    ['a header block that is none', makeFrame(FRAME.headers, FLAG.endHeaders, 1, Buffer.from([0xff, 0xff])), /header block/],
    ['nothing but pings', twice(makeFrame(FRAME.ping, FLAG.ack, 0, Buffer.alloc(8)), 10_001), /bring nothing/],
    ['nothing but settings', twice(makeSettingsFrame([]), 10_001), /bring nothing/],
    [
      'nothing but empty data',
      Buffer.concat([makeFrame(FRAME.headers, FLAG.endHeaders, 1, Buffer.from([0x89])), twice(makeFrame(FRAME.data, 0, 1, EMPTY), 10_001)]),
      /bring nothing/,
    ],
  ])('leaves a peer that sends %s', async (_, bytes, why) => {
    const stage = await Stage.open();
    const told = await stage.request();
    await stage.send(bytes);
    expect(told.failures).toEqual([{ isUnprocessed: false }]);
    expect(stage.events.slice(-2)).toEqual(['closing', 'closed']);
    expect(String(stage.session.error)).toMatch(why);
  });

  it('leaves a peer that does not begin with its settings', async () => {
    const stage = new Stage();
    await stage.send(makeFrame(FRAME.ping, 0, 0, Buffer.alloc(8)));
    expect(stage.events).toEqual(['closing', 'closed']);
    expect(String(stage.session.error)).toMatch(/no SETTINGS/);
  });

  it.each<[string, (stage: Stage) => Buffer]>([
    ['data before its head', () => makeFrame(FRAME.data, 0, 1, BODY)],
    [
      'a head without a status',
      (stage) => makeFrame(FRAME.headers, FLAG.endHeaders, 1, stage.encoder.encode([['date', 'today', 'literal']])),
    ],
    ['a status that is no number', (stage) => stage.head(1, 0, 'ok')],
    ['an informational head as its whole answer', (stage) => stage.head(1, FLAG.endStream, '103')],
    ['two heads', (stage) => Buffer.concat([stage.head(1, 0), stage.head(1, 0)])],
    [
      'more data than its window',
      (stage) => Buffer.concat([stage.head(1, 0), makeFrame(FRAME.data, 0, 1, Buffer.alloc(16_384)), makeFrame(FRAME.data, 0, 1, BODY)]),
    ],
    ['a window that grows by nothing', () => makeNumberFrame(FRAME.windowUpdate, 1, 0)],
    ['a window that grows too large', () => makeNumberFrame(FRAME.windowUpdate, 1, 2 ** 31 - 1)],
  ])('gives up a stream alone that gets %s', async (_, make) => {
    const stage = await Stage.open();
    const [told, other] = [await stage.request(), await stage.request()];
    await stage.send(make(stage), stage.head(3, FLAG.endStream));
    expect(told).toMatchObject({ ends: 0, failures: [{ isUnprocessed: false }] });
    expect(stage.framesOf(FRAME.resetStream)).toMatchObject([{ streamId: 1 }]);
    expect(other).toMatchObject({ ends: 1, failures: [] });
  });

  it('ends each stream exactly once, whatever the peer sends', async () => {
    const frame = fc.tuple(
      fc.integer({ min: 0, max: 10 }),
      fc.integer({ min: 0, max: 63 }),
      fc.integer({ min: 0, max: 7 }),
      fc.uint8Array({ maxLength: 20 }),
    );
    const frames = fc.array(
      fc.oneof(
        frame.map(([type, flags, streamId, payload]) => makeFrame(type, flags, streamId, Buffer.from(payload))),
        fc.constantFrom(...[1, 3, 5].map((id) => makeFrame(FRAME.headers, FLAG.endHeaders, id, Buffer.from([0x88])))),
        fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
      ),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(frames, async (bytes) => {
        const stage = await Stage.open();
        const all = [await stage.request(), await stage.request(), await stage.request()];
        await stage.send(...bytes);
        stage.session.destroy(new Error('over'));
        for (const { ends, failures, heads } of all) {
          expect(ends + failures.length).toBe(1);
          expect(heads.length).toBeLessThanOrEqual(1);
        }
        expect(stage.events.filter((event) => event === 'closed')).toHaveLength(1);
      }),
      { numRuns: 200 },
    );
  });
});

describe('Http2Session and the server of Node', () => {
  let server: Http2Server;

  beforeEach(async () => {
    server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
  });

  afterEach(async () => {
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });

  it('understands its Huffman codes and tables: random fields come back as they were sent', async () => {
    const values = fc
      .sample(fc.string({ unit: 'binary-ascii', maxLength: 60 }), { numRuns: 300, seed: 7 })
      .map((text) => text.replaceAll(/[^\x21-\x7e]/g, '-'));
    let next = 0;
    server.on('stream', (stream, headers) => {
      const value = values[next++] ?? '';
      stream.respond(
        { ':status': 201, 'x-value': value, location: `/m/${value.length}`, 'x-path': String(headers[':path']) },
        { endStream: true },
      );
    });
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const events: string[] = [];
    const session = new Http2Session(socket, {
      onSettings: () => events.push('settings'),
      onClosing: () => undefined,
      onClosed: () => events.push('closed'),
    });
    await waitFor(() => events.length > 0);
    const fields: OutgoingField[] = [...POST, [':scheme', 'http', 'indexed'], [':authority', 'push.example', 'indexed']];
    const told = values.map(() => new Told());
    for (const { listener } of told) session.request(fields, BODY, listener);
    await waitFor(() => told.every(({ ends }) => ends === 1));
    const expected = values.map((value) => ({ 'x-value': value, location: `/m/${value.length}`, 'x-path': '/push/x' }));
    expect(told.map(({ headers }) => headers[0])).toMatchObject(expected);
    session.close();
    await waitFor(() => events.includes('closed'));
  });
});
