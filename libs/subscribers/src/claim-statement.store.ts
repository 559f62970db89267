import { newUuid } from '#contracts';
import type { Attributes, AttributeValue } from './profile/attribute-value.js';
import type { AttributeProofs, ClaimedProfile, Provenance, UnverifiedAttributes, UnverifiedValue } from './profile/claimed-profile.js';
import { ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, UNVERIFIED_ATTRIBUTES_BYTES_MAX, UNVERIFIED_ATTRIBUTES_MAX } from './subscribers.limits.js';

/** Columns that say how far attributes can be trusted, of people and companies alike. */
export const PROVENANCE_COLUMNS = 'verified, unverified_attributes, attribute_proofs';

/** The columns of {@link PROVENANCE_COLUMNS}. */
export interface ProvenanceRow {
  readonly verified: boolean;
  readonly unverified_attributes: UnverifiedAttributes | null;
  readonly attribute_proofs: AttributeProofs | null;
}

/** Reads the columns of provenance. */
export function toProvenance(row: ProvenanceRow): Provenance {
  return {
    verified: row.verified,
    unverifiedAttributes: row.unverified_attributes ?? {},
    attributeProofs: row.attribute_proofs ?? {},
  };
}

const MERGED = 'subscribers.merge_attributes(present.attributes, excluded.attributes, $8::jsonb)';
const MERGED_UNVERIFIED = `nullif((coalesce(present.unverified_attributes, '{}') - $9::text[]) || coalesce(excluded.unverified_attributes, '{}'), '{}')`;
const MERGED_PROOFS = `nullif((coalesce(present.attribute_proofs, '{}') - $10::text[]) || coalesce(excluded.attribute_proofs, '{}'), '{}')`;

/**
 * Writes one claim into a table of people or companies: verified values into `attributes`, all others beside them. $9 are the names
 * whose unverified values go, $10 those whose proofs are replaced: what nobody proved never touches the proof of a verified value. A claim never takes the mark `verified` away. A row that would grow too large is not touched and not returned; for a
 * new one the caller has checked the parts.
 */
export function claimStatement(table: 'subscribers.subscriber' | 'subscribers.company', returning: string): string {
  return `
    INSERT INTO ${table} AS present (environment_id, id, external_id, attributes, unverified_attributes, attribute_proofs, verified)
    VALUES ($1, $2, $3, $4::jsonb, nullif($5::jsonb, '{}'), nullif($6::jsonb, '{}'), $7)
    ON CONFLICT (environment_id, external_id) DO UPDATE SET
      attributes = ${MERGED},
      unverified_attributes = ${MERGED_UNVERIFIED},
      attribute_proofs = ${MERGED_PROOFS},
      verified = present.verified OR excluded.verified,
      updated_at = now()
    WHERE pg_column_size(${MERGED}) <= ${ATTRIBUTES_BYTES_MAX}
      AND (SELECT count(*) FROM jsonb_object_keys(${MERGED})) <= ${ATTRIBUTES_MAX}
      AND coalesce(pg_column_size(${MERGED_UNVERIFIED}), 0) <= ${UNVERIFIED_ATTRIBUTES_BYTES_MAX}
      AND (SELECT count(*) FROM jsonb_object_keys(coalesce(${MERGED_UNVERIFIED}, '{}'))) <= ${UNVERIFIED_ATTRIBUTES_MAX}
    RETURNING ${returning}`;
}

/** The values of {@link claimStatement}; `undefined` when the claim alone is larger than what may be kept unverified. */
export function claimValues(environmentId: string, claim: ClaimedProfile): unknown[] | undefined {
  const note = { grade: claim.grade, at: claim.at.toISOString() };
  const written = withoutNulls(claim.verified);
  const unverified: Record<string, UnverifiedValue> = {};
  for (const [name, value] of Object.entries(withoutNulls(claim.unverified))) unverified[name] = { value, ...note };
  const unverifiedText = JSON.stringify(unverified);
  if (Object.keys(unverified).length > UNVERIFIED_ATTRIBUTES_MAX) return undefined;
  if (Buffer.byteLength(unverifiedText, 'utf8') > UNVERIFIED_ATTRIBUTES_BYTES_MAX) return undefined;
  return [
    environmentId,
    newUuid(),
    claim.externalId,
    JSON.stringify(written),
    unverifiedText,
    JSON.stringify(Object.fromEntries(Object.keys(written).map((name) => [name, note]))),
    claim.grade !== 'none',
    removedOf(claim.verified),
    [...Object.keys(claim.verified), ...namesOfNulls(claim.unverified)],
    Object.keys(claim.verified),
  ];
}

function withoutNulls(attributes: ClaimedProfile['verified']): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter((entry): entry is [string, AttributeValue] => entry[1] !== null));
}

function namesOfNulls(attributes: ClaimedProfile['verified']): string[] {
  return Object.keys(attributes).filter((name) => attributes[name] === null);
}

/** As `merge_attributes` takes it: an object of names with null values, or NULL. */
function removedOf(attributes: ClaimedProfile['verified']): string | null {
  const names = namesOfNulls(attributes);
  return names.length === 0 ? null : JSON.stringify(Object.fromEntries(names.map((name) => [name, null])));
}
