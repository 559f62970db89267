import { Injectable } from '@nestjs/common';
import { Clock, newUuid } from '#contracts';
import { WideLogger } from '#telemetry';
import { BreakGlassNotFoundError, PolicyEndInvalidError } from '../identity.errors.js';
import type { ProofSurface } from '../verify/proof.js';
import { type BreakGlass, type OlderPage, PolicyStore } from './policy.store.js';
import { SurfacePolicies } from './surface-policies.js';

/** How long a surface may stay open by hand. */
export const BREAK_GLASS_HOURS_MAX = 24;

const MS_PER_HOUR = 3_600_000;

/** What somebody opens, and why. */
export interface Opening {
  readonly surface: ProofSurface;
  readonly reason: string;
  readonly endsAt: Date;
}

/**
 * Opens a surface by hand, for an emergency: until the end nothing is refused there for want of a proof. Every opening has a reason and
 * an end, is written down for good, and can be ended before its time. Openings of one surface may overlap; it is closed when all are over.
 */
@Injectable()
export class BreakGlasses {
  constructor(
    private readonly store: PolicyStore,
    private readonly policies: SurfacePolicies,
    private readonly clock: Clock,
    private readonly logger: WideLogger,
  ) {}

  /** @throws PolicyEndInvalidError for an end that is over or more than {@link BREAK_GLASS_HOURS_MAX} hours ahead */
  async open(environmentId: string, { surface, reason, endsAt }: Opening, openedBy: string | null): Promise<BreakGlass> {
    const openedAt = this.clock.now();
    const latest = new Date(openedAt.getTime() + BREAK_GLASS_HOURS_MAX * MS_PER_HOUR);
    if (endsAt <= openedAt || endsAt > latest) throw new PolicyEndInvalidError(latest);
    const glass = { id: newUuid(openedAt.getTime()), surface, reason, openedAt, openedBy, endsAt, endedAt: null, endedBy: null };
    await this.store.insertBreakGlass(environmentId, glass);
    this.policies.forget(environmentId);
    const facts = { environment_id: environmentId, api_key_id: openedBy, break_glass_id: glass.id, surface };
    this.logger.warn('identity.break_glass.opened', { ...facts, reason, ends_at: endsAt.toISOString() });
    return glass;
  }

  /** Openings, the newest first; one more than asked for tells that there is another page. */
  list(environmentId: string, page: OlderPage): Promise<BreakGlass[]> {
    return this.store.listBreakGlasses(environmentId, { ...page, limit: page.limit + 1 });
  }

  /**
   * Ends an opening now; repeating it changes nothing.
   * @throws BreakGlassNotFoundError for an unknown or foreign id
   */
  async end(environmentId: string, id: string | undefined, endedBy: string | null): Promise<BreakGlass> {
    const ended = id === undefined ? undefined : await this.store.endBreakGlass(environmentId, id, this.clock.now(), endedBy);
    if (ended === undefined) throw new BreakGlassNotFoundError();
    this.policies.forget(environmentId);
    const facts = { environment_id: environmentId, api_key_id: endedBy, break_glass_id: ended.id, surface: ended.surface };
    this.logger.info('identity.break_glass.ended', facts);
    return ended;
  }
}
