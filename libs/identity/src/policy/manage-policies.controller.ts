import { Body, Controller, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { decodeId } from '#contracts';
import { listCursor, type Page, type PageQuery, pageQuerySchema, pageSchema, Returns, textSchema, Throws, toPage } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { BreakGlassNotFoundError, PolicyEndInvalidError, PolicyOffNotAllowedError, SurfaceUnknownError } from '../identity.errors.js';
import { PROOF_GRADES, PROOF_SURFACES, type ProofSurface } from '../verify/proof.js';
import { BREAK_GLASS_HOURS_MAX, BreakGlasses } from './break-glass.js';
import { ManagePolicies, WEAKENED_DAYS_MAX } from './manage-policies.js';
import {
  breakGlassSchema,
  type BreakGlassView,
  policyChangeSchema,
  type PolicyChangeView,
  policySchema,
  type PolicyView,
  presentBreakGlass,
  presentChange,
  presentPolicy,
} from './policy.resource.js';
import { POLICY_MODES } from './surface-policy.js';

const REASON_LENGTH_MAX = 500;

const reasonSchema = textSchema({ min: 1, max: REASON_LENGTH_MAX }).regex(/\S/, 'must not be blank');

const setPolicySchema = z
  .strictObject({
    mode: z.enum(POLICY_MODES).meta({ description: '`off` is for development environments.' }),
    ramp_percent: z
      .int()
      .min(0)
      .max(100)
      .optional()
      .meta({ description: 'Share of the subscribers for whom `enforced` is enforced, by a hash of their id; 100 where it is left out.' }),
    grade_min: z.enum(PROOF_GRADES).optional().meta({ description: 'The weakest proof that is enough; as it was where it is left out.' }),
    ends_at: z.iso
      .datetime({ offset: true })
      .optional()
      .meta({
        description: `When a policy that does not enforce for everybody gives way to one that does; at most ${WEAKENED_DAYS_MAX} days ahead, and then in production where it is left out.`,
      }),
    reason: reasonSchema.optional().meta({ description: 'Kept with the change.' }),
  })
  .meta({ id: 'SetIdentityPolicy' });

const openSchema = z
  .strictObject({
    surface: z.enum(PROOF_SURFACES),
    reason: reasonSchema.meta({ description: 'Kept for good.' }),
    ends_at: z.iso.datetime({ offset: true }).meta({ description: `At most ${BREAK_GLASS_HOURS_MAX} hours ahead.` }),
  })
  .meta({ id: 'OpenBreakGlass' });

const policiesSchema = z.object({ data: z.array(policySchema) }).meta({ id: 'IdentityPolicies' });

const changeCursors = listCursor('policy-changes');
const changeQuerySchema = pageQuerySchema(changeCursors);
const glassCursors = listCursor('break-glass');
const glassQuerySchema = pageQuerySchema(glassCursors);

/** What each surface of the environment asks of a proof of identity. */
@ApiTags('Identity policies')
@Controller('v1/identity')
export class ManagePoliciesController {
  constructor(
    private readonly policies: ManagePolicies,
    private readonly glasses: BreakGlasses,
  ) {}

  @Get('policies')
  @RequireScope('keys:read')
  @ApiOperation({ summary: 'Read the policies of all surfaces' })
  @Returns(200, policiesSchema, 'All five surfaces; one that nobody changed is enforced for everybody at grade static.')
  async list(@CurrentEnvironment() { environmentId }: EnvironmentContext): Promise<z.infer<typeof policiesSchema>> {
    return { data: (await this.policies.list(environmentId)).map(presentPolicy) };
  }

  @Put('policies/:surface')
  @RequireScope('keys:write')
  @ApiOperation({
    summary: 'Set the policy of a surface',
    description: `On every gateway within five seconds. In production \`report-only\` and a ramp below 100 end by themselves, after ${WEAKENED_DAYS_MAX} days at the latest, and the surface is enforced then.`,
  })
  @Returns(200, policySchema, 'The surface with its new policy.')
  @Throws(SurfaceUnknownError, PolicyOffNotAllowedError, PolicyEndInvalidError)
  async set(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('surface') surface: string,
    @Body({ schema: setPolicySchema }) body: z.infer<typeof setPolicySchema>,
  ): Promise<PolicyView> {
    if (!isSurface(surface)) throw new SurfaceUnknownError();
    const { mode, ramp_percent: rampPercent, grade_min: gradeMin, reason } = body;
    const endsAt = body.ends_at === undefined ? undefined : new Date(body.ends_at);
    return presentPolicy(await this.policies.set(environment, surface, { mode, rampPercent, gradeMin, endsAt, reason }));
  }

  @Get('policy-changes')
  @RequireScope('keys:read')
  @ApiOperation({ summary: 'List the changes of policies', description: 'Who changed what, when and why; nothing is ever taken out.' })
  @Returns(200, pageSchema(policyChangeSchema, 'IdentityPolicyChangePage'), 'The newest first.')
  async listChanges(
    @CurrentEnvironment() { environmentId }: EnvironmentContext,
    @Query({ schema: changeQuerySchema }) query: PageQuery,
  ): Promise<Page<PolicyChangeView>> {
    const beforeId = changeCursors.decode(query.cursor);
    const rows = await this.policies.listChanges(environmentId, { limit: query.limit, beforeId });
    return toPage(rows, query.limit, presentChange, ({ id }) => changeCursors.encode(id));
  }

  @Get('break-glass')
  @RequireScope('keys:read')
  @ApiOperation({ summary: 'List the surfaces that were opened by hand' })
  @Returns(200, pageSchema(breakGlassSchema, 'BreakGlassPage'), 'The newest first, those that are over included.')
  async listGlasses(
    @CurrentEnvironment() { environmentId }: EnvironmentContext,
    @Query({ schema: glassQuerySchema }) query: PageQuery,
  ): Promise<Page<BreakGlassView>> {
    const beforeId = glassCursors.decode(query.cursor);
    const rows = await this.glasses.list(environmentId, { limit: query.limit, beforeId });
    return toPage(rows, query.limit, presentBreakGlass, ({ id }) => glassCursors.encode(id));
  }

  @Post('break-glass')
  @RequireScope('keys:write')
  @ApiOperation({
    summary: 'Open a surface in an emergency',
    description: `Until ends_at, at most ${BREAK_GLASS_HOURS_MAX} hours, nothing is refused there for want of a proof. It is written down for good, and ends by itself.`,
  })
  @Returns(201, breakGlassSchema, 'The opening.')
  @Throws(PolicyEndInvalidError)
  async open(
    @CurrentEnvironment() { environmentId, apiKeyId }: EnvironmentContext,
    @Body({ schema: openSchema }) { surface, reason, ends_at: endsAt }: z.infer<typeof openSchema>,
  ): Promise<BreakGlassView> {
    return presentBreakGlass(await this.glasses.open(environmentId, { surface, reason, endsAt: new Date(endsAt) }, apiKeyId));
  }

  @Post('break-glass/:break_glass_id/end')
  @HttpCode(200)
  @RequireScope('keys:write')
  @ApiOperation({
    summary: 'End an opening before its time',
    description: 'On every gateway within five seconds; repeating it changes nothing.',
  })
  @Returns(200, breakGlassSchema, 'The opening with its end.')
  @Throws(BreakGlassNotFoundError)
  async end(
    @CurrentEnvironment() { environmentId, apiKeyId }: EnvironmentContext,
    @Param('break_glass_id') id: string,
  ): Promise<BreakGlassView> {
    return presentBreakGlass(await this.glasses.end(environmentId, decodeId('breakGlass', id), apiKeyId));
  }
}

function isSurface(text: string): text is ProofSurface {
  return (PROOF_SURFACES as readonly string[]).includes(text);
}
