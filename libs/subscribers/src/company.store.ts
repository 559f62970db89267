import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database, type Sql } from '#database';
import { claimStatement, claimValues, PROVENANCE_COLUMNS, type ProvenanceRow, toProvenance } from './claim-statement.store.js';
import type { Attributes, AttributeValue } from './profile/attribute-value.js';
import type { ClaimedProfile, Provenance } from './profile/claimed-profile.js';
import { externalIdFault } from './profile/external-id.js';
import { AttributesTooManyError } from './subscribers.errors.js';
import { ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, MEMBERSHIPS_MAX } from './subscribers.limits.js';

/** A company that subscribers belong to, known by the customer's own id. */
export interface Company extends Provenance {
  /** UUID. */
  readonly id: string;
  readonly externalId: string;
  readonly attributes: Attributes;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A company as one of its members sees it. */
export interface Membership {
  readonly companyExternalId: string;
  /** The pair was proven; otherwise a page only said so. */
  readonly verified: boolean;
  readonly createdAt: Date;
}

interface CompanyRow extends ProvenanceRow {
  readonly id: string;
  readonly external_id: string;
  readonly attributes: Attributes;
  readonly created_at: Date;
  readonly updated_at: Date;
}

const COLUMNS = `id, external_id, attributes, created_at, updated_at, ${PROVENANCE_COLUMNS}`;
const MERGED = 'subscribers.merge_attributes(present.attributes, excluded.attributes, $5::jsonb)';

/** All SQL over subscribers.company and subscribers.membership. */
@Injectable()
export class CompanyStore {
  constructor(private readonly database: Database) {}

  /**
   * Writes what a page says of a company, creating it where there is none.
   *
   * @throws AttributesTooManyError
   */
  async applyClaim(environmentId: string, claim: ClaimedProfile, tx: Sql = this.database): Promise<Company> {
    const values = claimValues(environmentId, claim);
    if (values === undefined) throw new AttributesTooManyError();
    const [row] = await tx.query<CompanyRow>({
      name: 'subscribers.apply-company-claim',
      text: claimStatement('subscribers.company', COLUMNS),
      values,
    });
    if (row === undefined) throw new AttributesTooManyError();
    return toCompany(row);
  }

  /**
   * Creates or changes a company on behalf of the customer's server; null removes an attribute.
   *
   * @throws AttributesTooManyError
   */
  async upsert(
    environmentId: string,
    { externalId, attributes }: { readonly externalId: string; readonly attributes: Readonly<Record<string, AttributeValue | null>> },
    tx: Sql = this.database,
  ): Promise<{ readonly company: Company; readonly created: boolean }> {
    const proposedId = newUuid();
    const written = Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null));
    const removed = Object.fromEntries(Object.entries(attributes).filter(([, value]) => value === null));
    const [row] = await tx.query<CompanyRow>({
      name: 'subscribers.upsert-company',
      text: `INSERT INTO subscribers.company AS present (environment_id, id, external_id, attributes) VALUES ($1, $2, $3, $4::jsonb)
        ON CONFLICT (environment_id, external_id) DO UPDATE SET
          attributes = ${MERGED},
          verified = true,
          unverified_attributes = subscribers.drop_notes(present.unverified_attributes, excluded.attributes, $5::jsonb),
          attribute_proofs = subscribers.drop_notes(present.attribute_proofs, excluded.attributes, $5::jsonb),
          updated_at = now()
        WHERE pg_column_size(${MERGED}) <= ${ATTRIBUTES_BYTES_MAX} AND (SELECT count(*) FROM jsonb_object_keys(${MERGED})) <= ${ATTRIBUTES_MAX}
        RETURNING ${COLUMNS}`,
      values: [environmentId, proposedId, externalId, JSON.stringify(written), JSON.stringify(removed)],
    });
    if (row === undefined) throw new AttributesTooManyError();
    return { company: toCompany(row), created: row.id === proposedId };
  }

  /** The company with this external id; `undefined` when this environment has none. */
  async findByExternalId(environmentId: string, externalId: string, tx: Sql = this.database): Promise<Company | undefined> {
    if (externalIdFault(externalId) !== undefined) return undefined;
    const [row] = await tx.query<CompanyRow>({
      name: 'subscribers.find-company',
      text: `SELECT ${COLUMNS} FROM subscribers.company WHERE environment_id = $1 AND external_id = $2`,
      values: [environmentId, externalId],
    });
    return row === undefined ? undefined : toCompany(row);
  }

  /** Deletes a company with its memberships; false when this environment has none of that id. */
  async remove(environmentId: string, externalId: string, tx: Sql = this.database): Promise<boolean> {
    if (externalIdFault(externalId) !== undefined) return false;
    const removed = await tx.execute({
      name: 'subscribers.remove-company',
      text: `DELETE FROM subscribers.company WHERE environment_id = $1 AND external_id = $2`,
      values: [environmentId, externalId],
    });
    return removed > 0;
  }

  /**
   * Makes a subscriber a member of a company. A membership that was proven once stays so. False when the subscriber has as many companies
   * as one may: two concurrent ones can pass the limit by one, which does no harm.
   */
  async join(
    environmentId: string,
    membership: { readonly subscriberId: string; readonly companyId: string; readonly verified: boolean },
    tx: Sql = this.database,
  ): Promise<boolean> {
    const joined = await tx.execute({
      name: 'subscribers.join-company',
      text: `INSERT INTO subscribers.membership AS present (environment_id, subscriber_id, company_id, verified)
        SELECT $1::uuid, $2::uuid, $3::uuid, $4
        WHERE (SELECT count(*) FROM subscribers.membership WHERE environment_id = $1 AND subscriber_id = $2 AND company_id <> $3) < ${MEMBERSHIPS_MAX}
        ON CONFLICT (environment_id, subscriber_id, company_id) DO UPDATE
          SET verified = present.verified OR excluded.verified, updated_at = now()`,
      values: [environmentId, membership.subscriberId, membership.companyId, membership.verified],
    });
    return joined > 0;
  }

  /** The companies of a subscriber, by external id; at most `MEMBERSHIPS_MAX`, give or take one. */
  async listOfSubscriber(environmentId: string, subscriberId: string, tx: Sql = this.database): Promise<Membership[]> {
    return tx.query<Membership>({
      name: 'subscribers.list-memberships',
      text: `SELECT company.external_id AS "companyExternalId", membership.verified, membership.created_at AS "createdAt"
        FROM subscribers.membership JOIN subscribers.company USING (environment_id)
        WHERE environment_id = $1 AND membership.subscriber_id = $2 AND company.id = membership.company_id
        ORDER BY company.external_id LIMIT ${2 * MEMBERSHIPS_MAX}`,
      values: [environmentId, subscriberId],
    });
  }
}

function toCompany(row: CompanyRow): Company {
  return {
    id: row.id,
    externalId: row.external_id,
    attributes: row.attributes,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ...toProvenance(row),
  };
}
