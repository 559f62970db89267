import { randomBytes } from 'node:crypto';
import { newUuid, encodeId } from '#contracts';
import { DeadLetterStore, Outbox } from '#event-log';
import { waitFor } from '#testing';
import { ApiClient, openInbox } from '../support/api-client.js';
import type { AbuseTarget, TargetKeys } from './abuse-target.js';
import { CURVE_POINT, RENEWABLE_AUTH } from './valid-request.js';

/** People in the segment that campaigns go to. */
const SUBSCRIBERS = 12;
const RUN_MS_MAX = 60_000;
/** Few enough to leave the caller's own key, the oldest of at most a hundred. */
const KEYS_MADE_ROOM_FOR = 50;
const RULE = { attribute: 'cohort', operator: 'equals', value: 'abuse' };
const MESSAGE = { title: 'Hello', body: 'There', url: 'https://example.com/there' };

interface Identified {
  readonly id: string;
}

/** One environment with one of everything, and what is put into the places of requests. */
export class Fixtures {
  readonly places = new Map<string, string>();
  private deadLetters = 0;
  private sessions = 0;

  constructor(
    private readonly target: AbuseTarget,
    readonly prefix: 'home' | 'foreign',
    readonly keys: TargetKeys,
  ) {}

  get api(): ApiClient {
    return new ApiClient(this.target.url, this.keys.apiKey);
  }

  /** Makes one of everything, and waits until the run is over. */
  async create(): Promise<void> {
    const { api, prefix } = this;
    const lines = Array.from(
      { length: SUBSCRIBERS },
      (_, index) =>
        `${JSON.stringify({ external_id: `${prefix}-${index}`, attributes: { cohort: 'abuse', plan: 'pro', seats: index } })}\n`,
    );
    await (await api.upload('/v1/subscribers/bulk', 'application/x-ndjson', lines)).text();
    await api.call('PUT', '/v1/attributes/seats', { body: { type: 'number' } });
    await api.call('PUT', `/v1/companies/${prefix}-company`, { body: { attributes: { plan: 'pro' } } });
    const segment = await api.post<Identified>('/v1/segments', { body: { name: prefix, rule: RULE } });
    const spare = await api.post<Identified>('/v1/segments', { body: { name: `${prefix} spare`, rule: RULE } });
    const campaign = await api.post<Identified>('/v1/campaigns', { body: { ...MESSAGE, audience: { segment_id: segment.id } } });
    const run = await api.post<Identified>(`/v1/campaigns/${campaign.id}/trigger`);
    const imported = (await (
      await api.upload('/v1/imports?id_column=id', 'text/csv', [`id,plan\n${prefix}-csv,free\n`])
    ).json()) as Identified;
    await waitFor(async () => (await api.get<{ state: string }>(`/v1/runs/${run.id}`)).state === 'finished', {
      what: 'the run of the fixtures',
      timeoutMs: RUN_MS_MAX,
    });
    const inbox = await this.openInbox();
    const [message] = (await inbox.get<{ data: { id: string; receipt: string }[] }>('/v1/inbox/messages')).data;
    if (message === undefined) throw new Error('The run of the fixtures delivered nothing.');
    this.set('id', this.keys.publicId);
    this.set('key', this.keys.apiKey);
    this.set('publicKey', this.keys.publicKey);
    this.set('subscriber', `${prefix}-0`);
    this.set('company', `${prefix}-company`);
    this.set('segment', segment.id);
    this.set('spare.segment', spare.id);
    this.set('campaign', campaign.id);
    this.set('run', run.id);
    this.set('import', imported.id);
    this.set('attribute', 'seats');
    this.set('sdkFile', 'belfry.js');
    this.set('pageFile', 'inbox.js');
    this.set('message', message.id);
    this.set('receipt', message.receipt);
    this.set('developmentKey', this.keys.developmentKey);
    this.set('soon', soon());
    for (const kind of ['device', 'apiKey', 'identitySecret', 'deadLetter', 'breakGlass'] as const)
      this.set(kind, await this.makeFresh(kind));
    await this.openSession();
    await waitFor(async () => (await this.countKeyUses()) >= this.sessions, { what: 'the uses of the key to be written' });
    await waitFor(async () => (await this.countVerdicts()) >= this.sessions, { what: 'the verdicts to be written' });
  }

  /** A session lasts for minutes; a long run opens it again. */
  async openSession(): Promise<void> {
    const inbox = await this.openInbox();
    this.set('session', inbox.token ?? '');
    const hash = await this.target.hash(this.keys.identitySecret, `${this.prefix}-0`);
    this.set('basic', Buffer.from(`${this.keys.publicKey}:${this.prefix}-0:${hash}`).toString('base64'));
    this.set('subscriberHash', hash);
    this.set('companyHash', await this.target.hash(this.keys.identitySecret, `${this.prefix}-company`));
  }

  /** Makes a resource for one request that uses it up. @returns its public id */
  async makeFresh(kind: string): Promise<string> {
    const { api } = this;
    const name = randomBytes(6).toString('hex');
    switch (kind) {
      case 'subscriber':
        await api.call('PUT', `/v1/subscribers/fresh-${name}`, { body: {} });
        return `fresh-${name}`;
      case 'company':
        await api.call('PUT', `/v1/companies/fresh-${name}`, { body: {} });
        return `fresh-${name}`;
      case 'segment':
        return (await api.post<Identified>('/v1/segments', { body: { name, rule: RULE } })).id;
      case 'run':
        return (await api.post<Identified>(`/v1/campaigns/${this.place('campaign')}/trigger`)).id;
      case 'apiKey':
        return this.makeApiKey(name);
      case 'identitySecret':
        return this.makeIdentitySecret();
      case 'device':
        return (await (await this.openInbox()).post<Identified>('/v1/push/subscriptions', { body: subscription() })).id;
      case 'renewable': {
        const device = { ...subscription(), keys: { p256dh: CURVE_POINT, auth: RENEWABLE_AUTH } };
        await (await this.openInbox()).post('/v1/push/subscriptions', { body: device });
        return device.endpoint;
      }
      case 'deadLetter':
        return this.setAside();
      case 'breakGlass':
        return this.openSurface();
      default:
        throw new Error(`Nobody said how to make a ${kind}.`);
    }
  }

  /** An environment has so many live keys: where there is no room, the younger ones of the requests before are revoked. */
  private async makeApiKey(name: string): Promise<string> {
    const make = async () => (await this.api.post<Identified>('/v1/api-keys', { body: { name, scopes: ['campaigns:read'] } })).id;
    try {
      return await make();
    } catch {
      const youngest = await this.target.database.query<{ id: string }>({
        text: 'SELECT id FROM tenancy.api_key WHERE environment_id = $1 AND revoked_at IS NULL ORDER BY id DESC LIMIT $2',
        values: [this.keys.environmentId, KEYS_MADE_ROOM_FOR],
      });
      for (const { id } of youngest) await this.api.call('DELETE', `/v1/api-keys/${encodeId('apiKey', id)}`).catch(() => undefined);
      return make();
    }
  }

  private async openSurface(): Promise<string> {
    const development = new ApiClient(this.target.url, this.keys.developmentKey);
    const opening = { surface: 'track', reason: 'abuse', ends_at: soon() };
    return (await development.post<Identified>('/v1/identity/break-glass', { body: opening })).id;
  }

  private async openInbox(): Promise<ApiClient> {
    this.sessions += 1;
    return openInbox(this.target.url, this.keys, `${this.prefix}-0`);
  }

  /** They are written every few seconds, not with each proof. */
  private async countKeyUses(): Promise<number> {
    const [row] = await this.target.database.query<{ uses: number }>({
      text: 'SELECT coalesce(sum(uses), 0)::integer AS uses FROM identity.key_use WHERE environment_id = $1',
      values: [this.keys.environmentId],
    });
    return row?.uses ?? 0;
  }

  private async countVerdicts(): Promise<number> {
    const [row] = await this.target.database.query<{ verdicts: number }>({
      text: `SELECT coalesce(sum(verdicts), 0)::integer AS verdicts FROM identity.verdict_count
        WHERE environment_id = $1 AND surface = 'track' AND admitted`,
      values: [this.keys.environmentId],
    });
    return row?.verdicts ?? 0;
  }

  /** An environment has few of them at once: where there is no room, it is the youngest of them, which proves nobody. */
  private async makeIdentitySecret(): Promise<string> {
    try {
      return (await this.api.post<Identified>('/v1/identity-secrets')).id;
    } catch {
      return (await this.youngestSecret()) ?? encodeId('identitySecret', newUuid());
    }
  }

  /** The oldest one stays: sessions are opened with it. */
  private async youngestSecret(): Promise<string | undefined> {
    const { data } = await this.api.get<{ data: (Identified & { created_at: string; algorithm: string; state: string })[] }>(
      '/v1/identity-secrets',
    );
    const live = data.filter(({ algorithm, state }) => algorithm === 'HMAC-SHA256' && state !== 'retired');
    const [, ...younger] = live.toSorted((left, right) => left.created_at.localeCompare(right.created_at));
    return younger.at(-1)?.id;
  }

  /** Takes the youngest of the identity secrets away where there is no room for another one. */
  async makeRoomForSecret(): Promise<void> {
    const youngest = await this.youngestSecret();
    if (youngest !== undefined) await this.api.call('DELETE', `/v1/identity-secrets/${youngest}`).catch(() => undefined);
  }

  /** Lets a paused run go on. @param runId its UUID */
  async resume(runId: string): Promise<void> {
    await this.api.post(`/v1/runs/${encodeId('run', runId)}/resume`);
  }

  private async setAside(): Promise<string> {
    this.deadLetters += 1;
    const { database } = this.target;
    const value = Buffer.from(
      JSON.stringify({ environment_id: this.keys.environmentId, run_id: newUuid(), nonce: randomBytes(8).toString('hex') }),
    );
    const place = {
      group: 'segmenter.plan-run',
      topic: 'campaign.run.triggered.v1',
      partition: 0,
      offset: BigInt(this.deadLetters),
      key: 'k',
      headers: {},
    };
    await new DeadLetterStore(database, new Outbox(database)).put({
      ...place,
      value,
      appendedAt: new Date(),
      reasonCode: 'abuse',
      reasonMessage: 'abuse',
      attempts: 1,
    });
    const [row] = await database.query<{ id: string }>({ text: 'SELECT id FROM event_log.dead_letter WHERE value = $1', values: [value] });
    return encodeId('deadLetter', row?.id ?? '');
  }

  private set(name: string, value: string): void {
    this.places.set(`${this.prefix}.${name}`, value);
  }

  private place(name: string): string {
    return this.places.get(`${this.prefix}.${name}`) ?? '';
  }
}

/** An end that openings may have: ahead for longer than a run takes, and not too far. */
function soon(): string {
  return new Date(Date.now() + 12 * 3_600_000).toISOString();
}

function subscription() {
  const endpoint = `https://updates.push.services.mozilla.com/wpush/v2/${randomBytes(24).toString('hex')}`;
  return { endpoint, keys: { p256dh: CURVE_POINT, auth: randomBytes(16).toString('base64url') } };
}
