import { Body, Controller, HttpCode, HttpStatus, Post, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Public, Returns, TakesAnyText, Throws } from '#http';
import { AttributesTooManyError, CLAIM_GRADES, MembershipsTooManyError, SubscriberInvalidError } from '#subscribers';
import { BrowserFacing } from '../browser-origins/browser-facing.js';
import { admitOrigin, pageOriginOf } from '../browser-origins/browser-origins.js';
import { OriginNotAllowedError, ProofAmbiguousError, RateLimitedError } from '../identity.errors.js';
import type { Admission } from '../policy/admit-claim.js';
import { sdkOf } from '../policy/sdk-header.js';
import { PROOF_REFUSALS, refusalError } from '../verify/refusal-error.js';
import type { ClaimSource } from './admit-profile.js';
import { type GroupBody, groupBodySchema, type IdentifyBody, identifyBodySchema } from './identify-body.js';
import { IdentifyCompany } from './identify-company.js';
import { type IdentifiedProfile, IdentifySubscriber } from './identify-subscriber.js';
import { readGroup, readIdentify } from './read-claim.js';

const outcomeShape = {
  verified: z.boolean().meta({ description: 'The proof holds. Otherwise the policy let the call in without one.' }),
  grade: z.enum(CLAIM_GRADES),
  verification: z.string().meta({
    description: '`valid`, or the code that an enforced policy would have refused the call with.',
    examples: ['valid', 'identity_missing', 'identity_mismatch'],
  }),
  traits: z
    .object({ verified: z.array(z.string()), unverified: z.array(z.string()) })
    .meta({ description: 'By name: what is believed, and what is kept beside it without overwriting anything.' }),
};

const identifiedSchema = z.object({ subscriber: z.object({ external_id: z.string() }), ...outcomeShape }).meta({ id: 'Identified' });

const groupedSchema = z
  .object({
    subscriber: z.object({ external_id: z.string() }),
    company: z.object({ external_id: z.string() }),
    membership: z.enum(['verified', 'unverified']).meta({ description: '`verified`: one proof covers person and company together.' }),
    ...outcomeShape,
  })
  .meta({ id: 'Grouped' });

const ROUTE_ERRORS = [
  ...PROOF_REFUSALS,
  ProofAmbiguousError,
  OriginNotAllowedError,
  RateLimitedError,
  SubscriberInvalidError,
  AttributesTooManyError,
] as const;

/** What pages say of the people in front of them and of their companies. */
@ApiTags('Identify')
@Controller('v1')
export class IdentifyController {
  constructor(
    private readonly identifySubscriber: IdentifySubscriber,
    private readonly identifyCompany: IdentifyCompany,
  ) {}

  @Post('identify')
  @TakesAnyText()
  @HttpCode(HttpStatus.OK)
  @BrowserFacing()
  @Public('The proof of identity in the body is the permission; without one the policy of the surface identify decides.')
  @ApiOperation({
    summary: 'Identify a subscriber',
    description:
      'Writes what a page says of a person. What the proof covers is verified; the rest, and protected traits that no proof covers, are kept as unverified and overwrite nothing.',
  })
  @Returns(200, identifiedSchema, 'What became of it.')
  @Throws(...ROUTE_ERRORS)
  async identify(
    @Body({ schema: identifyBodySchema }) body: IdentifyBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof identifiedSchema>> {
    const identified = await this.identifySubscriber.run(readIdentify(body), sourceOf(body.public_key, request, reply));
    return { subscriber: { external_id: identified.externalId }, ...presentOutcome(identified) };
  }

  @Post('group')
  @TakesAnyText()
  @HttpCode(HttpStatus.OK)
  @BrowserFacing()
  @Public('The proof of the company in the body is the permission; without one the policy of the surface identify decides.')
  @ApiOperation({
    summary: 'Put a subscriber into a company',
    description:
      'Writes what a page says of a company and that a person belongs to it. Only a proof that covers both makes the membership verified.',
  })
  @Returns(200, groupedSchema, 'What became of it.')
  @Throws(...ROUTE_ERRORS, MembershipsTooManyError)
  async group(
    @Body({ schema: groupBodySchema }) body: GroupBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof groupedSchema>> {
    const grouped = await this.identifyCompany.run(readGroup(body), sourceOf(body.public_key, request, reply));
    return {
      subscriber: { external_id: grouped.admission.externalId },
      company: { external_id: grouped.externalId },
      membership: grouped.membershipVerified ? 'verified' : 'unverified',
      ...presentOutcome(grouped),
    };
  }
}

function sourceOf(publicKey: string, request: FastifyRequest, reply: FastifyReply): ClaimSource {
  return {
    publicKey,
    address: request.ip,
    page: pageOriginOf(request),
    sdk: sdkOf(request),
    admitOrigin: (environment) => admitOrigin(environment, request, reply),
  };
}

function presentOutcome({ admission, verifiedNames, unverifiedNames }: IdentifiedProfile) {
  return {
    verified: admission.verified,
    grade: admission.grade,
    verification: verificationOf(admission),
    traits: { verified: [...verifiedNames], unverified: [...unverifiedNames] },
  };
}

/** Never more than the refusal would have told. */
function verificationOf({ verdict }: Admission): string {
  return verdict.valid ? 'valid' : refusalError(verdict, 'identify').facts.code;
}
