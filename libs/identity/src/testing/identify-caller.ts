import { createHash, createHmac } from 'node:crypto';
import { CompanyStore, SubscriberStore } from '#subscribers';
import { PolicyStore } from '../policy/policy.store.js';
import { POLICY_DEFAULT, type SurfacePolicy } from '../policy/surface-policy.js';
import { SurfacePolicies } from '../policy/surface-policies.js';
import { canonicalJson } from '../verify/canonical-json.js';
import { clock, type SeededTenant, type SessionApp } from './session-app.js';

/** For tests: calls `POST /v1/identify` and `/v1/group` of one environment, and reads what they left. */
export class IdentifyCaller {
  constructor(
    private readonly gateway: SessionApp,
    readonly tenant: SeededTenant,
  ) {}

  /** Now, in Unix seconds. */
  get now(): number {
    return Math.floor(clock.now().getTime() / 1_000);
  }

  /** Sets the policy of the surface identify. */
  async setPolicy(facts: Partial<SurfacePolicy>): Promise<void> {
    const { app } = this.gateway;
    const policy = { ...POLICY_DEFAULT, ...facts, surface: 'identify' as const, changedAt: clock.now(), changedBy: null };
    await app.get(PolicyStore).savePolicy(this.tenant.environmentId, policy);
    app.get(SurfacePolicies).forget(this.tenant.environmentId);
  }

  identify(body: object, headers?: Record<string, string>) {
    return this.gateway.call({ url: '/v1/identify', payload: { public_key: this.tenant.publicKey, ...body }, headers });
  }

  group(body: object) {
    return this.gateway.call({ url: '/v1/group', payload: { public_key: this.tenant.publicKey, ...body } });
  }

  /** The MAC of a text under the secret of the environment, in hex. */
  mac(text: string): string {
    return createHmac('sha256', this.tenant.secret).update(text, 'utf8').digest('hex');
  }

  /** The MAC of a v2 text of this environment. */
  v2(kind: 'subscriber' | 'company', ids: readonly string[], { at = this.now, traits }: { at?: number; traits?: object } = {}): string {
    const digest =
      traits === undefined
        ? []
        : [
            createHash('sha256')
              .update(canonicalJson(traits) ?? '', 'utf8')
              .digest('hex'),
          ];
    return this.mac([`v2:${kind}`, this.tenant.publicKey, at, ...ids, ...digest].join('\n'));
  }

  person(externalId: string) {
    return this.gateway.app.get(SubscriberStore).findByExternalId(this.tenant.environmentId, externalId);
  }

  company(externalId: string) {
    return this.gateway.app.get(CompanyStore).findByExternalId(this.tenant.environmentId, externalId);
  }

  async companiesOf(externalId: string) {
    const person = await this.person(externalId);
    if (person === undefined) return [];
    return this.gateway.app.get(CompanyStore).listOfSubscriber(this.tenant.environmentId, person.id);
  }

  /** Every row that a call could have left or changed. */
  async rows(): Promise<string[]> {
    const found = await this.gateway.test.database.query<{ row: string }>({
      text: `SELECT 'subscriber ' || subscriber::text AS row FROM subscribers.subscriber WHERE environment_id = $1
        UNION ALL SELECT 'company ' || company::text FROM subscribers.company WHERE environment_id = $1
        UNION ALL SELECT 'membership ' || membership::text FROM subscribers.membership WHERE environment_id = $1 ORDER BY 1`,
      values: [this.tenant.environmentId],
    });
    return found.map(({ row }) => row);
  }
}
