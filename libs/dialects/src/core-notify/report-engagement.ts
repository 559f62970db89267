import { Injectable } from '@nestjs/common';
import type { EngagementKind } from '#contracts';
import { RecordEngagement } from '#engagement';
import { ReceiptTokens } from '#identity';
import { PushEnvironmentNotFoundError } from '#push';
import { type Environment, EnvironmentDirectory } from '#tenancy';
import { PixelEventRefusedError } from './core-notify.errors.js';

/** "With the message of this receipt the visitor did that." */
export interface PixelReport {
  readonly publicKey: string;
  readonly receipt: string;
  readonly kind: EngagementKind;
  readonly occurredAt?: Date;
  /** @throws OriginNotAllowedError */
  readonly admitOrigin: (environment: Environment) => void;
}

/** Takes in one click or event. The signed receipt says whose message it was; the request cannot. */
@Injectable()
export class ReportEngagement {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly receipts: ReceiptTokens,
    private readonly engagement: RecordEngagement,
  ) {}

  /** @throws PushEnvironmentNotFoundError, OriginNotAllowedError, PixelEventRefusedError */
  async run({ publicKey, admitOrigin, receipt, kind, occurredAt }: PixelReport): Promise<void> {
    const environment = await this.environments.findByPublicKey(publicKey);
    if (environment === undefined) throw new PushEnvironmentNotFoundError();
    admitOrigin(environment);
    const verification = this.receipts.verify(receipt);
    if (verification.verdict === 'valid' && verification.receipt.environmentId !== environment.id)
      throw new PixelEventRefusedError('receipt_invalid');
    const [refusal] = await this.engagement.record([{ receipt, kind, ...(occurredAt === undefined ? {} : { occurredAt }) }]);
    if (refusal !== undefined) throw new PixelEventRefusedError(refusal);
  }
}
