import { Injectable } from '@nestjs/common';
import type { Sql } from '#database';
import { SegmentStore, type Rule } from '#segments';
import type { Audience } from './audience.js';
import { AudienceSegmentNotFoundError } from './campaigns.errors.js';

/** Turns an audience into the rule it means at this moment. */
@Injectable()
export class ResolveAudience {
  constructor(private readonly segments: SegmentStore) {}

  /**
   * @returns the rule; `null` for everybody
   * @throws AudienceSegmentNotFoundError when the segment does not exist in this environment, or not any more
   */
  async resolve(environmentId: string, audience: Audience, tx: Sql): Promise<Rule | null> {
    if ('rule' in audience) return audience.rule;
    if (!('segment_id' in audience)) return null;
    const segment = await this.segments.find(environmentId, audience.segment_id, tx);
    if (segment === undefined) throw new AudienceSegmentNotFoundError();
    return segment.rule;
  }
}
