import { createHash } from 'node:crypto';
import { ProxyTracerProvider, trace } from '@opentelemetry/api';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BelfryConfig } from '#config';
import { encodeMessageId } from '#contracts';
import { DeliverySampler } from './delivery-sampler.js';
import { telemetryConfig } from './telemetry.config.js';

const MESSAGES = 10_000;

/** The same ids at each run of the test; their first half is that of ids made in the same second. */
function uuidOf(number: number): string {
  const random = createHash('sha256').update(String(number)).digest('hex');
  return `01a21451-4c2e-7${random.slice(0, 3)}-8${random.slice(3, 6)}-${random.slice(6, 18)}`;
}

function samplerOf(perMille: number): DeliverySampler {
  return new DeliverySampler(BelfryConfig.load([telemetryConfig], { TRACE_DELIVERIES_PER_MILLE: String(perMille) }));
}

describe('DeliverySampler', () => {
  afterEach(() => vi.restoreAllMocks());

  it('chooses nothing while nothing is traced', () => {
    vi.spyOn(trace, 'getTracerProvider').mockReturnValue(new ProxyTracerProvider());
    expect(samplerOf(1_000).covers('msg_1')).toBe(false);
  });

  it('chooses the share that is configured, of one run with ids that resemble each other, and the same in every process', () => {
    vi.spyOn(trace, 'getTracerProvider').mockReturnValue({ getTracer: () => expect.fail('no span is made here') });
    const ids = Array.from({ length: MESSAGES }, (_, index) => encodeMessageId(uuidOf(-1), uuidOf(index)));
    for (const perMille of [10, 100, 500]) {
      const [sampler, elsewhere] = [samplerOf(perMille), samplerOf(perMille)];
      const chosen = ids.filter((id) => sampler.covers(id));
      expect(chosen.length / MESSAGES).toBeGreaterThan((perMille / 1_000) * 0.75);
      expect(chosen.length / MESSAGES).toBeLessThan((perMille / 1_000) * 1.25);
      expect(chosen.every((id) => elsewhere.covers(id))).toBe(true);
    }
    const [none, all] = [samplerOf(0), samplerOf(1_000)];
    expect(ids.some((id) => none.covers(id))).toBe(false);
    expect(ids.every((id) => all.covers(id))).toBe(true);
  });
});
