import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Wire } from './abuse-request.js';

/** What came back. `closed`: the connection ended before an answer; `unanswered`: nothing came for {@link ANSWER_MS_MAX}. */
export interface Answer {
  readonly status: number | 'closed' | 'unanswered';
  /** By lower-case name; the last value of each. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Far beyond any time-out of the server. */
export const ANSWER_MS_MAX = 30_000;
/** Bytes of an answer that are read; streams never end by themselves. */
const ANSWER_BYTES_MAX = 1_000_000;
/** Nothing but a WebSocket comes after it. */
const SWITCHING_PROTOCOLS = 101;
/** How long a client that stopped half-way stays connected. */
const GIVE_UP_MS = 8_000;

/** Sends bytes on a connection of their own, in the way that `wire` says, and waits for the answer or the end. */
export async function sendBytes(port: number, bytes: Buffer, wire: Wire): Promise<Answer> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const received: Buffer[] = [];
  const ended = new Promise<'ended' | 'unanswered'>((resolve) => {
    const timer = setTimeout(() => resolve('unanswered'), ANSWER_MS_MAX);
    let size = 0;
    socket.on('data', (data) => {
      received.push(data);
      size += data.length;
      if (size > ANSWER_BYTES_MAX || isStreamHead(received)) finish();
    });
    socket.on('end', finish);
    socket.on('close', finish);
    socket.on('error', finish);
    function finish(): void {
      clearTimeout(timer);
      resolve('ended');
    }
  });
  const givenUp = write(socket, bytes, wire);
  const outcome = await Promise.race([ended, givenUp]);
  socket.destroy();
  const answer = parseAnswer(Buffer.concat(received));
  return answer ?? { status: outcome === 'unanswered' ? 'unanswered' : 'closed', headers: new Map(), body: '' };
}

/** Resolves when the client itself ends the exchange; never when it waits for the server. */
async function write(socket: Socket, bytes: Buffer, wire: Wire): Promise<'ended'> {
  const { sliceBytes = bytes.length, pauseMs = 0, stopAfterBytes = bytes.length, end } = wire;
  const sent = bytes.subarray(0, stopAfterBytes);
  for (let start = 0; start < sent.length && !socket.destroyed; start += sliceBytes) {
    socket.write(sent.subarray(start, start + sliceBytes));
    if (pauseMs > 0) await pause(pauseMs);
  }
  if (end === 'half-close') socket.end();
  if (end === 'reset') {
    await new Promise<void>((resolve) => {
      socket.once('close', resolve);
      if (socket.connecting) socket.once('connect', () => socket.resetAndDestroy());
      else socket.resetAndDestroy();
    });
    return 'ended';
  }
  if (stopAfterBytes < bytes.length) {
    await pause(GIVE_UP_MS);
    return 'ended';
  }
  return new Promise(() => undefined);
}

function isStreamHead(received: readonly Buffer[]): boolean {
  const first = received[0]?.toString('latin1') ?? '';
  const isStream = first.startsWith(`HTTP/1.1 ${SWITCHING_PROTOCOLS} `) || /\r\ncontent-type: text\/event-stream/i.test(first);
  return isStream && first.includes('\r\n\r\n');
}

/** The first answer that is no interim one; `undefined` when there is none. */
function parseAnswer(bytes: Buffer): Answer | undefined {
  const text = bytes.toString('utf8');
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1]);
  if (Number.isNaN(status)) return undefined;
  const end = text.indexOf('\r\n\r\n');
  const rest = end === -1 ? '' : text.slice(end + 4);
  if (status < 200 && status !== SWITCHING_PROTOCOLS) return parseAnswer(Buffer.from(rest));
  const lines = text
    .slice(0, end === -1 ? undefined : end)
    .split('\r\n')
    .slice(1);
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
  return { status, headers, body: headers.get('transfer-encoding') === 'chunked' ? unchunk(rest) : rest };
}

function unchunk(text: string): string {
  let rest = Buffer.from(text, 'utf8');
  const parts: Buffer[] = [];
  for (;;) {
    const lineEnd = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.subarray(0, Math.max(0, lineEnd)).toString('latin1'), 16);
    if (lineEnd === -1 || !(size > 0)) return Buffer.concat(parts).toString('utf8');
    parts.push(rest.subarray(lineEnd + 2, lineEnd + 2 + size));
    rest = rest.subarray(lineEnd + 2 + size + 2);
  }
}
