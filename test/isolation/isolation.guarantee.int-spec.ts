/**
 * Guarantee: nobody reads or changes what is another person's, by no route that a browser can call. The routes come from the OpenAPI
 * document, so that a new one is attacked from its first day. Each is called validly first, with credentials that are good, and then with
 * everything by which a victim and what is the victim's can be named in every place that takes a text. Whatever comes back, nothing of the
 * victim stands in it, a name of the victim is answered as a name of nobody, and every row that names the victim stays the same byte for
 * byte.
 *
 * Three try it: a neighbour in the same environment, a namesake in another one, and the same namesake under the victim's public key.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeMessageId, encodeId, newUuid } from '#contracts';
import { waitFor, WebSocketClient } from '#testing';
import { SseClient } from '../../libs/inbox/src/testing/sse-client.js';
import { type AbuseRequest, type Fill, placesOf, toBytes } from '../abuse/abuse-request.js';
import type { OpenApiDocument, Operation } from '../abuse/openapi.js';
import { type Answer, sendBytes } from '../abuse/send-bytes.js';
import { type ValidRequest, ValidRequests } from '../abuse/valid-request.js';
import { inParallel } from '../support/in-parallel.js';
import { Seeded } from '../support/seeded.js';
import { browserOperations, type Intrusion, intrusionsOf, keyedOperations } from './intrusions.js';
import { baitsFor, fillOf, forgeSessions, type Intruder, lookalikesOf, makeIntruder } from './intruders.js';
import { hashOf, IsolationFixture, type Person } from './isolation-fixture.js';
import { snapshotRows } from './row-snapshot.js';

const DOCUMENT = JSON.parse(readFileSync('docs/openapi.json', 'utf8')) as OpenApiDocument;
const OPERATIONS = browserOperations(DOCUMENT);
/** Answers of these never end; what comes through them is looked at on its own. */
const LIVE_ROUTES = ['GET /', 'GET /v1/inbox/socket', 'GET /v1/inbox/stream'];
const VICTIM_MARK = 'victimsown7f3a';
/** A number that no other count is. */
const VICTIM_UNREAD = 37;
const WIDTH = 4;
/** Of each route so many valid requests are made until one is let in: some choices of a schema do not go with each other. */
const SEEDS = Array.from({ length: 20 }, (_, index) => index + 1);
/** It holds no personal data, and this process collects no metrics. */
const NOT_SERVED_HERE = 'GET /metrics';
const SWITCHING_PROTOCOLS = 101;
const FAULTS_SHOWN_MAX = 20;
const LIVE_MS_MAX = 30_000;
const UNREAD_OF_VICTIM = new RegExp(`[cC]ount"?:(\\{"count":)?${VICTIM_UNREAD}\\b`);
/** Whoever shows one of these for another environment is refused. */
const PROOFS = ['home.subscriberHash', 'home.companyHash', 'home.basic'];

let attempts = 0;
/** What people told us themselves, by subscriber id: to get it back is no leak. */
const written = new Map<string, string>();

let fixture: IsolationFixture;
let victim: Person;
let neighbour: Person;
let intruders: readonly Intruder[];
/** What stands in rows that are not the victim's although they name the victim. */
const strangers: string[] = [];

beforeAll(async () => {
  fixture = await IsolationFixture.open();
  const [home, elsewhere] = [await fixture.seedTenant(), await fixture.seedTenant()];
  victim = await fixture.addPerson(home, { externalId: 'victim-7f3a', mark: VICTIM_MARK, unread: VICTIM_UNREAD });
  neighbour = await fixture.addPerson(home, { externalId: 'neighbour-1', mark: 'neighbours', unread: 2 });
  const namesake = await fixture.addPerson(elsewhere, { externalId: victim.externalId, mark: 'namesakes', unread: 2 });
  strangers.push(neighbour.subscriberId, neighbour.companyId);
  intruders = [
    makeIntruder('a neighbour', neighbour),
    makeIntruder('a namesake in another environment', namesake),
    makeIntruder('that namesake, under the public key of the victim', namesake, { publicKey: home.publicKey }),
  ];
});
afterAll(async () => fixture?.close());

const rows = (): Promise<readonly string[]> => snapshotRows(fixture.test.database, { ...victim, ...victim.tenant }, strangers);

describe('another person', () => {
  it('has what would be seen if it came back, and rows that would be seen if they changed', async () => {
    const own = await call('GET', '/v1/inbox/messages?limit=100', victim.session);
    expect(leaksIn(own, '')).toEqual(expect.arrayContaining([VICTIM_MARK, 'the number of unread messages']));
    const tables = new Set((await rows()).map((row) => row.split(':', 1)[0]));
    const expected = ['inbox.message', 'push.device', 'subscribers.subscriber', 'subscribers.company', 'subscribers.membership'];
    expect([...tables]).toEqual(expect.arrayContaining(expected));
  });

  it.each(OPERATIONS)('cannot be reached by $name', async (operation) => {
    const before = await rows();
    const valid = await findValid(operation);
    const faults: string[] = [];
    for (const intruder of intruders) faults.push(...(await intrude(intruder, valid)));
    expect(faults.slice(0, FAULTS_SHOWN_MAX)).toEqual([]);
    expect(await rows()).toEqual(before);
  });

  it('cannot be reached with a forged session', async () => {
    const before = await rows();
    const behindSessions = OPERATIONS.filter(({ security }) => security === 'Session');
    expect(behindSessions.length).toBeGreaterThan(0);
    for (const operation of behindSessions) {
      for (const session of forgeSessions(neighbour, victim)) {
        const intruder = withPlaces(makeIntruder('forger', neighbour), { session });
        const answer = await send(intruder, makeValid(operation).request);
        expect({ route: operation.name, status: answer.status, leaks: leaksIn(answer, '') }).toMatchObject({ status: 401, leaks: [] });
      }
    }
    expect(await rows()).toEqual(before);
  });

  it('cannot be reached by management routes with the session of a browser', async () => {
    const before = await rows();
    const named = {
      subscriber: victim.externalId,
      company: victim.companyId,
      message: victim.messageIds[0] ?? '',
      device: victim.deviceId,
    };
    for (const operation of keyedOperations(DOCUMENT)) {
      const { request } = makeValid(operation);
      const places = Object.fromEntries(placesOf(request).map((place) => [place.split('.').at(-1) ?? '', encodeId('run', newUuid())]));
      const intruder = withPlaces(makeIntruder('browser', neighbour), { ...places, ...named });
      const headers = request.headers.filter(([name]) => name !== 'Authorization');
      const answer = await send(intruder, { ...request, headers: [...headers, ['Authorization', `Bearer ${neighbour.session}`]] });
      expect({ route: operation.name, status: answer.status, leaks: leaksIn(answer, '') }).toMatchObject({ status: 401, leaks: [] });
    }
    expect(await rows()).toEqual(before);
  });

  it('is not reached by those whose ids look alike, escaped or not', async () => {
    const before = await rows();
    const naming = OPERATIONS.filter((operation) => placesOf(makeValid(operation).request).includes('home.subscriber'));
    expect(naming.length).toBeGreaterThan(0);
    const ids = lookalikesOf(victim.externalId);
    strangers.push(...ids);
    for (const id of ids) {
      const person = { ...neighbour, externalId: id };
      const asThemselves = makeIntruder(id, person);
      const asTheVictim = makeIntruder(id, person, { externalId: victim.externalId });
      const faults = await inParallel(naming, WIDTH, async (operation) => {
        const { request } = makeValid(operation);
        const escaped = makeIntruder(id, person, { externalId: encodeURIComponent(id) });
        const found: string[] = [];
        for (const intruder of [asThemselves, escaped, asTheVictim]) {
          const answer = await send(intruder, request);
          found.push(...faultsOf(`${id} at ${operation.name}`, answer, id === victim.externalId ? '' : victim.externalId));
          if (intruder === asTheVictim && Number(answer.status) < 400) found.push(`${id} was let in as the victim at ${operation.name}`);
        }
        return found;
      });
      expect(faults.flat()).toEqual([]);
    }
    expect(await rows()).toEqual(before);
  });
});

describe('what comes live', () => {
  it('has an event stream for its person alone, from whatever event on it is asked for', async () => {
    const positions = [victim.eventId, `1:${decodeMessageId(victim.messageIds[0] ?? '')?.messageKey ?? ''}`];
    const authorization = `Bearer ${neighbour.session}`;
    const streams = await Promise.all(
      positions.flatMap((position) => [
        SseClient.open(`${fixture.url}/v1/inbox/stream`, { authorization, 'last-event-id': position }),
        SseClient.open(`${fixture.url}/v1/inbox/stream?last_event_id=${position}`, { authorization }),
      ]),
    );
    const ownId = await deliverToBoth();
    for (const stream of streams) {
      await waitFor(() => JSON.stringify(stream.events).includes(ownId), { what: 'the own message', timeoutMs: LIVE_MS_MAX });
      expect(leaksInText(JSON.stringify(stream.events), '')).toEqual([]);
    }
    await Promise.all(streams.map((stream) => stream.close()));
  });

  it('has WebSockets for their person alone, whatever they are asked', async () => {
    const hash = hashOf(neighbour.tenant, neighbour.externalId);
    const query = new URLSearchParams({ envId: neighbour.tenant.publicKey, userId: neighbour.externalId, userIdHash: hash });
    const origin = fixture.url.replace('http', 'ws');
    const notificationApi = await WebSocketClient.open(`${origin}/?${query.toString()}`);
    const novu = await WebSocketClient.open(`${origin}/v1/inbox/socket?token=${neighbour.session}`);
    const before = await rows();
    for (const notificationId of victim.messageIds.slice(0, 2)) {
      notificationApi.send({ route: 'inapp_web/unread_clear', payload: { notificationId } });
      notificationApi.send({
        route: 'inapp_web/notifications',
        payload: { count: 100, before: new Date().toISOString(), userId: victim.externalId },
      });
      notificationApi.send({ route: 'inapp_web/unread_count', payload: { userId: victim.externalId } });
    }
    await notificationApi.waitWhere('route', 'inapp_web/unread_count', 2);
    expect(await rows()).toEqual(before);
    const ownId = await deliverToBoth();
    for (const socket of [notificationApi, novu]) {
      await waitFor(() => JSON.stringify(socket.messages).includes(ownId), { what: 'the own message', timeoutMs: LIVE_MS_MAX });
      expect(leaksInText(JSON.stringify(socket.messages), '')).toEqual([]);
      socket.terminate();
    }
  });
});

/** The victim gets a message, and the neighbour after it. @returns the id of the neighbour's */
async function deliverToBoth(): Promise<string> {
  const recipients = [victim, neighbour].map(({ subscriberId }) => subscriberId);
  let id = '';
  for (const { tenant, subscriberId, secrets } of [victim, neighbour]) {
    [id = ''] = await fixture.deliver(tenant, subscriberId, { mark: secrets[0] ?? '', count: 1 });
    await fixture.announce(tenant, decodeMessageId(id)?.messageKey ?? '', recipients);
  }
  return id;
}

function makeValid(operation: Operation, seed = 1): ValidRequest {
  return new ValidRequests(DOCUMENT, new Seeded(seed)).make(operation, 0);
}

/** A request of the route that the neighbour may send; else the baits would be refused for another fault. */
async function findValid(operation: Operation): Promise<ValidRequest> {
  const refusals = new Set<string>();
  const [neighbours] = intruders;
  if (neighbours === undefined) throw new Error('There is nobody.');
  for (const seed of SEEDS) {
    const valid = makeValid(operation, seed);
    const answer = await send(neighbours, valid.request);
    if (isLive(answer) !== LIVE_ROUTES.includes(operation.name))
      throw new Error(`Whether ${operation.name} is live, nobody said: see LIVE_ROUTES.`);
    if (!isRefused(answer) || operation.name === NOT_SERVED_HERE) return valid;
    refusals.add(`${answer.status} ${answer.body}`);
  }
  throw new Error(`No request of ${operation.name} was let in: ${[...refusals].join('; ')}`);
}

/** Calls a route validly, and then with every bait in every place. @returns what went wrong, one sentence each */
async function intrude(intruder: Intruder, valid: ValidRequest): Promise<string[]> {
  const { name } = valid.operation;
  const where = `${intruder.name} at ${name}`;
  const isPretender = intruder.places.get('home.publicKey') !== intruder.person.tenant.publicKey;
  const base = await send(intruder, valid.request);
  const faults = faultsOf(where, base, written.get(intruder.person.subscriberId) ?? '');
  if (!isPretender && isRefused(base) && name !== NOT_SERVED_HERE) faults.push(`${where}: refused with ${base.status}: ${base.body}`);
  const isProven = placesOf(valid.request).some((place) => PROOFS.includes(place));
  if (isPretender && isProven && !isRefused(base)) faults.push(`${where}: let in with ${base.status}`);
  const intrusions = [...intrusionsOf(DOCUMENT, valid, baitsFor(victim, intruder))];
  // One after the other: what an attempt wrote into the own attributes may come back in the answer to the next one.
  for (const intrusion of intrusions) faults.push(...(await judge(intruder, where, intrusion)));
  return faults;
}

async function judge(intruder: Intruder, where: string, { what, request, twin }: Intrusion): Promise<string[]> {
  const answer = await send(intruder, request);
  const { subscriberId } = intruder.person;
  const known = `${request.target} ${JSON.stringify(request.headers)} ${String(request.body)} ${written.get(subscriberId) ?? ''}`;
  const faults = faultsOf(`${where}, ${what}`, answer, known);
  if (!isRefused(answer) && request.body !== undefined)
    written.set(subscriberId, `${written.get(subscriberId) ?? ''} ${request.body.toString()}`);
  if (twin === undefined) return faults;
  const ofNobody = await send(intruder, twin);
  if (!isRefused(answer) && !isRefused(ofNobody)) return faults;
  const [told, toldOfNobody] = [toldBy(answer), toldBy(ofNobody)];
  return told === toldOfNobody ? faults : [...faults, `${where}, ${what}: ${told}, and ${toldOfNobody} of nobody`];
}

/** @param sent what the intruder knew: to get it back is no leak */
function faultsOf(where: string, answer: Answer, sent: string): string[] {
  const isJudged = typeof answer.status === 'number' && answer.status < 500 && answer.status !== 429;
  return [
    ...(isJudged ? [] : [`${where}: not judged, but answered with ${answer.status}: ${answer.body}`]),
    ...leaksIn(answer, sent).map((leak) => `${where}: ${leak} in the answer`),
  ];
}

function leaksIn({ headers, body }: Answer, sent: string): string[] {
  return leaksInText(`${JSON.stringify([...headers])} ${body}`, sent);
}

/** What of the victim a text shows, and the intruder did not know. */
function leaksInText(text: string, sent: string): string[] {
  const known = `${sent} ${decodeLeniently(sent)}`;
  const leaks = victim.secrets.filter((secret) => text.includes(secret) && !known.includes(secret));
  return UNREAD_OF_VICTIM.test(text) ? [...leaks, 'the number of unread messages'] : leaks;
}

function decodeLeniently(text: string): string {
  return text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (escaped) => Buffer.from(escaped.replaceAll('%', ''), 'hex').toString('utf8'));
}

/** Each attempt comes from an address of its own. */
async function send(intruder: Intruder, request: AbuseRequest): Promise<Answer> {
  const fill: Fill = await fillOf(fixture, intruder, placesOf(request));
  attempts += 1;
  const address = `10.${(attempts >> 16) & 0xff}.${(attempts >> 8) & 0xff}.${attempts & 0xff}`;
  const headers: AbuseRequest['headers'] = [...request.headers, ['X-Forwarded-For', address]];
  return sendBytes(fixture.port, toBytes({ ...request, headers }, `127.0.0.1:${fixture.port}`, fill), request.wire);
}

async function call(method: string, target: string, session: string): Promise<Answer> {
  const bytes = `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer ${session}\r\n\r\n`;
  return sendBytes(fixture.port, Buffer.from(bytes, 'latin1'), { end: 'wait' });
}

/** Other values in places of an intruder. */
function withPlaces(intruder: Intruder, values: Readonly<Record<string, string>>): Intruder {
  const prefixes = ['home.', 'home.spare.', 'fresh.'];
  const others = Object.entries(values).flatMap(([place, value]) =>
    prefixes.map((prefix): [string, string] => [`${prefix}${place}`, value]),
  );
  return { ...intruder, places: new Map([...intruder.places, ...others]) };
}

function isRefused({ status }: Answer): boolean {
  return typeof status !== 'number' || status >= 400;
}

function isLive({ status, headers }: Answer): boolean {
  return status === SWITCHING_PROTOCOLS || headers.get('content-type')?.startsWith('text/event-stream') === true;
}

/** Status and reason. */
function toldBy({ status, body }: Answer): string {
  const { code, message } = body.startsWith('{') ? (JSON.parse(body) as { code?: unknown; message?: unknown }) : {};
  return `${status} ${String(code ?? message)}`;
}
