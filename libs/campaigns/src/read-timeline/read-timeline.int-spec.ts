import { randomBytes } from 'node:crypto';
import { campaignChunkPlannedV1, decodeId, encodeId, encodeMessageId, newUuid, SystemClock } from '#contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Pipeline } from '../testing/pipeline.js';
import { TestApi } from '../testing/test-api.js';
import type { TimelineResource } from './timeline-resource.js';

/** People of the audience; every tenth has unsubscribed. */
const PEOPLE = 10;

describe('GET /v1/messages/{id}/timeline', () => {
  let api: TestApi;
  let pipeline: Pipeline;
  /** Internal ids by external id. */
  let people: ReadonlyMap<string, string>;

  beforeAll(async () => {
    api = await TestApi.start();
    pipeline = new Pipeline(api.test.database, new SystemClock(), api.home.environmentId);
    await pipeline.standIn.prepare();
    await pipeline.standIn.seedSubscribers(api.home.environmentId, PEOPLE);
    const rows = await api.test.database.query<{ id: string; external_id: string }>({
      text: 'SELECT id, external_id FROM subscribers.subscriber WHERE environment_id = $1',
      values: [api.home.environmentId],
    });
    people = new Map(rows.map((row) => [row.external_id, row.id]));
    await addDevice('sub-1');
  });
  afterAll(() => api?.close());

  const idOf = (externalId: string) => people.get(externalId) ?? '';

  async function addDevice(externalId: string): Promise<void> {
    await api.test.database.execute({
      text: `INSERT INTO push.device (environment_id, id, subscriber_id, vapid_key_id, vendor, endpoint_hash, ciphertext, p256dh)
        VALUES ($1, $2, $3, $2, 'fcm', $4, $4, $5)`,
      values: [api.home.environmentId, newUuid(), idOf(externalId), randomBytes(32), randomBytes(65)],
    });
  }

  async function triggerRun(payload: object = {}): Promise<{ runId: string; messageKey: string }> {
    const fields = { title: 'Hello', audience: { all: true }, channels: ['inbox', 'push'], ...payload };
    const campaign = await api.call({ method: 'POST', url: '/v1/campaigns', payload: fields });
    const run = await api.call({ method: 'POST', url: `/v1/campaigns/${String(campaign.body['id'])}/trigger` });
    const runId = decodeId('run', String(run.body['id'])) ?? '';
    return { runId, messageKey: (await pipeline.runs.find(api.home.environmentId, runId))?.messageKey ?? '' };
  }

  async function fanOut(runId: string): Promise<void> {
    await pipeline.planRun.plan({ environmentId: api.home.environmentId, runId });
    await pipeline.handle(pipeline.take(campaignChunkPlannedV1));
  }

  async function read(messageId: string, as = api.home) {
    const { status, body } = await api.call({ url: `/v1/messages/${messageId}/timeline`, as });
    return { status, body: body as unknown as TimelineResource, code: body['code'] };
  }

  const hopsOf = ({ body }: { body: TimelineResource }) =>
    body.hops.map(({ hop, channel, reason, kind, http_status: status }) =>
      [hop, channel, reason ?? kind ?? status].filter(Boolean).join(' '),
    );

  it('follows the message of a run, for those who were asked for and those who were skipped', async () => {
    const { runId, messageKey } = await triggerRun();
    await fanOut(runId);
    await writeDelivery(messageKey, idOf('sub-1'));
    const reached = await read(encodeMessageId(messageKey, idOf('sub-1')));
    expect(reached.status).toBe(200);
    expect(reached.body).toMatchObject({ subscriber_id: 'sub-1', run_id: encodeId('run', runId), channels: ['inbox', 'push'] });
    expect(reached.body.trace_id).toMatch(/^[0-9a-f]{32}$/);
    expect(reached.body.trace_id).toBe((await pipeline.read(runId)).trace_id);
    expect(hopsOf(reached)).toEqual([
      'accepted',
      'planned',
      'fanned_out',
      'requested inbox',
      'requested push',
      'queued push',
      'attempted push status_503',
      'attempted push 201',
      'delivered push',
      'delivered inbox',
      'reported push shown',
    ]);
    expect(reached.body.hops.map(({ at }) => at)).toEqual(reached.body.hops.map(({ at }) => at).toSorted());
    expect(hopsOf(await read(encodeMessageId(messageKey, idOf('sub-2')))).slice(3)).toEqual(['requested inbox', 'skipped push no_device']);
    expect(hopsOf(await read(encodeMessageId(messageKey, idOf('sub-10')))).slice(3)).toEqual([
      'skipped inbox unsubscribed',
      'skipped push unsubscribed',
    ]);
  });

  it('tells why somebody failed, by the report of the channel', async () => {
    const { runId, messageKey } = await triggerRun({ channels: ['inbox'] });
    await fanOut(runId);
    const [failed, ...others] = ['sub-1', 'sub-2'].map(idOf);
    const report = { environment_id: api.home.environmentId, run_id: runId, chunk_no: 0, channel: 'inbox' as const };
    await pipeline.tallyDelivery.tally([
      {
        ...report,
        delivered: 0,
        failed: { subscriber_gone: 1 },
        failed_recipients: { subscriber_gone: [failed ?? ''] },
        expired: 8,
        cancelled: 0,
        pending: 0,
      },
    ]);
    expect(hopsOf(await read(encodeMessageId(messageKey, failed ?? ''))).at(-1)).toBe('failed inbox subscriber_gone');
    expect(hopsOf(await read(encodeMessageId(messageKey, others[0] ?? ''))).at(-1)).toBe('expired inbox');
  });

  it('follows a single message', async () => {
    const payload = { subscriber_id: 'sub-2', channels: ['push'], title: 'Your code is 1234' };
    const sent = await api.call({ method: 'POST', url: '/v1/messages', payload });
    const timeline = await read(String(sent.body['id']));
    expect(timeline.body).toMatchObject({
      id: sent.body['id'],
      subscriber_id: 'sub-2',
      run_id: null,
      campaign_id: null,
      channels: ['push'],
    });
    expect(hopsOf(timeline)).toEqual(['accepted', 'requested push']);
    expect(JSON.stringify(timeline.body)).not.toContain('1234');
  });

  it('knows no message of another environment, of people whom the run did not address, or before the fan-out', async () => {
    const { runId, messageKey } = await triggerRun({ audience: { rule: { attribute: 'even', operator: 'equals', value: true } } });
    const early = encodeMessageId(messageKey, idOf('sub-2'));
    expect(await read(early)).toMatchObject({ status: 404, code: 'message_not_found' });
    await fanOut(runId);
    expect((await read(early)).status).toBe(200);
    expect(await read(early, api.foreign)).toMatchObject({ status: 404, code: 'message_not_found' });
    const sent = await api.call({ method: 'POST', url: '/v1/messages', payload: { subscriber_id: 'sub-1', title: 'Hello' } });
    const foreignPerson = String(sent.body['id']).slice(0, -26) + encodeMessageId(newUuid(), idOf('sub-3')).slice(-26);
    const unknown = [
      encodeMessageId(messageKey, idOf('sub-1')),
      encodeMessageId(newUuid(), idOf('sub-2')),
      encodeMessageId(messageKey, newUuid()),
      foreignPerson,
      'msg_x',
      'x'.repeat(300),
      encodeId('run', runId),
    ];
    for (const id of unknown) expect(await read(id), id).toMatchObject({ status: 404, code: 'message_not_found' });
    expect(await read(String(sent.body['id']), api.foreign)).toMatchObject({ status: 404, code: 'message_not_found' });
  });

  /** What push, inbox and engagement write down, a second apart. */
  async function writeDelivery(messageKey: string, subscriberId: string): Promise<void> {
    const values = [api.home.environmentId, messageKey, subscriberId];
    const earlier = `jsonb_build_array(jsonb_build_object('at', now() + interval '1 s', 'outcome', 'transient', 'http_status', 503, 'reason', 'status_503'))`;
    await api.test.database.execute({
      text: `INSERT INTO push.delivery (environment_id, message_key, chunk_no, subscriber_id, device_id, vendor, lane, state, outcome, http_status,
          earlier_attempts, next_attempt_at, created_at, finished_at)
        VALUES ($1, $2, 0, $3, $3, 'fcm', 'bulk', 'accepted', 'accepted', 201, ${earlier}, now(), now() + interval '0.5 s', now() + interval '2 s')`,
      values,
    });
    await api.test.database.execute({
      text: `INSERT INTO inbox.message (environment_id, message_key, subscriber_id, content_id, delivered_at, expires_at)
        VALUES ($1, $2, $3, $3, now() + interval '3 s', now() + interval '1 h')`,
      values,
    });
    await api.test.database.execute({
      text: `INSERT INTO engagement.receipt (environment_id, message_key, subscriber_id, channel, kind, occurred_at)
        VALUES ($1, $2, $3, 'push', 'shown', now() + interval '4 s')`,
      values,
    });
  }
});
