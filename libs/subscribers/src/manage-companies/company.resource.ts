import { z } from 'zod';
import { encodeId } from '#contracts';
import type { Company, Membership } from '../company.store.js';
import { presentProvenance, provenanceShape } from '../profile/claimed-profile.js';

/** A company as the API shows one. */
export const companySchema = z
  .object({
    id: z.string().meta({ examples: ['cpy_01jd8x0000e5q8xkq3gq0v2m6n'] }),
    external_id: z.string().meta({ description: "The customer's own id.", examples: ['acme-corp'] }),
    attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
    ...provenanceShape,
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'Company' });

export type CompanyView = z.infer<typeof companySchema>;

/** Shows a company. */
export function presentCompany(company: Company): CompanyView {
  return {
    id: encodeId('company', company.id),
    external_id: company.externalId,
    attributes: company.attributes as CompanyView['attributes'],
    ...presentProvenance(company),
    created_at: company.createdAt.toISOString(),
    updated_at: company.updatedAt.toISOString(),
  };
}

/** The companies of a subscriber. */
export const membershipsSchema = z
  .object({
    data: z.array(
      z.object({
        external_id: z.string().meta({ description: "The customer's own id of the company." }),
        verified: z.boolean().meta({ description: 'The pair was proven; otherwise a page only said so.' }),
        created_at: z.string(),
      }),
    ),
  })
  .meta({ id: 'Memberships' });

/** Shows the companies of a subscriber. */
export function presentMemberships(memberships: readonly Membership[]): z.infer<typeof membershipsSchema> {
  return {
    data: memberships.map(({ companyExternalId, verified, createdAt }) => ({
      external_id: companyExternalId,
      verified,
      created_at: createdAt.toISOString(),
    })),
  };
}
