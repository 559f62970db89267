import { z } from 'zod';
import type { AttributeValue } from './attribute-value.js';

/** What came with a claim: no proof at all, or a proof of this grade (docs/identity). */
export const CLAIM_GRADES = ['none', 'static', 'fresh', 'traits'] as const;

export type ClaimGrade = (typeof CLAIM_GRADES)[number];

/** Where a value of a page comes from. */
export interface ClaimNote {
  readonly grade: ClaimGrade;
  /** RFC 3339, in UTC. */
  readonly at: string;
}

/** A value that a page told of and that no proof covers. */
export interface UnverifiedValue extends ClaimNote {
  readonly value: AttributeValue;
}

/** Attributes that nobody vouches for, by name. They stand beside the verified ones and are never read in their place. */
export type UnverifiedAttributes = Readonly<Record<string, UnverifiedValue>>;

/** By name of a verified attribute: the proof that it came with. An attribute without one was written with an API key or by an import. */
export type AttributeProofs = Readonly<Record<string, ClaimNote>>;

/** How far the attributes of a person or a company can be trusted. */
export interface Provenance {
  /** False for those whom nothing but an unproven call of a page ever named. */
  readonly verified: boolean;
  readonly unverifiedAttributes: UnverifiedAttributes;
  readonly attributeProofs: AttributeProofs;
}

/** What a page says of a person or a company, already parted by what its proof covers. */
export interface ClaimedProfile {
  readonly externalId: string;
  /** What the id itself was proven with; `none` never makes anybody verified. */
  readonly grade: ClaimGrade;
  readonly at: Date;
  /** Written as verified; null removes. They take the place of what was unverified under the same names. */
  readonly verified: Readonly<Record<string, AttributeValue | null>>;
  /** Written beside the verified ones, whatever those are; null removes an unverified value only. */
  readonly unverified: Readonly<Record<string, AttributeValue | null>>;
}

const noteShape = {
  grade: z.enum(CLAIM_GRADES).meta({ description: 'Grade of the proof that it came with; `none`: nobody proved anything.' }),
  at: z.string().meta({ description: 'RFC 3339.' }),
};

/** The members of a resource that show its provenance. */
export const provenanceShape = {
  verified: z.boolean().meta({ description: 'False while nothing but unproven calls of pages ever named it.' }),
  unverified_attributes: z
    .record(z.string(), z.object({ value: z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]), ...noteShape }))
    .meta({ description: 'What pages told without a proof that covers it. Segments, campaigns and templates never read it.' }),
  attribute_proofs: z
    .record(z.string(), z.object(noteShape))
    .meta({ description: 'Attributes that a page brought with a proof. All others were written with an API key or by an import.' }),
};

const provenanceSchema = z.object(provenanceShape);

/** Shows the provenance of a person or a company. */
export function presentProvenance({ verified, unverifiedAttributes, attributeProofs }: Provenance): z.infer<typeof provenanceSchema> {
  return {
    verified,
    unverified_attributes: unverifiedAttributes as z.infer<typeof provenanceSchema>['unverified_attributes'],
    attribute_proofs: { ...attributeProofs },
  };
}
