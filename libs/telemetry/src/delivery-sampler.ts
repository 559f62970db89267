import { Injectable } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { telemetryConfig } from './telemetry.config.js';
import { isTracing } from './tracing.js';

const PER_MILLE = 1_000;
/** FNV-1a, 32 bits. */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * Chooses the messages of a campaign whose deliveries and engagement get spans of their own, by a hash of the message id: every process
 * makes the same choice, so the whole way of a chosen message is seen, to the click. Single messages and failures are always seen and not
 * asked about here.
 */
@Injectable()
export class DeliverySampler {
  private readonly perMille: number;

  constructor(config: BelfryConfig) {
    this.perMille = config.of(telemetryConfig).deliveriesPerMille;
  }

  /** False while nobody collects spans. @param messageId as the API shows it */
  covers(messageId: string): boolean {
    return isTracing() && hashOf(messageId) % PER_MILLE < this.perMille;
  }
}

function hashOf(text: string): number {
  let hash = FNV_OFFSET;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), FNV_PRIME);
  // The last steps of the hash reach the low bits first: mix them before a remainder is taken.
  return (hash ^ (hash >>> 15)) >>> 0;
}
