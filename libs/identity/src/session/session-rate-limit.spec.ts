import { describe, expect, it } from 'vitest';
import { BelfryConfig } from '#config';
import { identityConfig } from '../identity.config.js';
import { RateLimitedError } from '../identity.errors.js';
import { SessionRateLimit } from './session-rate-limit.js';

function makeLimit(): SessionRateLimit {
  const env = { IDENTITY_SESSION_ATTEMPTS_PER_MINUTE: '2', IDENTITY_SESSION_REJECTIONS_PER_MINUTE: '2' };
  return new SessionRateLimit(BelfryConfig.load([identityConfig], env));
}

describe('SessionRateLimit', () => {
  it('lets an address through up to its attempts and then says how long to wait', async () => {
    const limit = makeLimit();
    await limit.countAttempt('192.0.2.1', 'a');
    await limit.countAttempt('192.0.2.1', 'a');
    const refusal = await limit.countAttempt('192.0.2.1', 'a').catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(RateLimitedError);
    expect((refusal as RateLimitedError).details['retry_after_seconds']).toSatisfy(
      (seconds) => Number.isInteger(seconds) && Number(seconds) <= 60,
    );
  });

  it('counts environments and addresses apart', async () => {
    const limit = makeLimit();
    for (const environmentId of ['a', 'a', 'b', 'b', undefined, undefined]) await limit.countAttempt('192.0.2.1', environmentId);
    await limit.countAttempt('192.0.2.2', 'a');
    await expect(limit.countAttempt('192.0.2.1', undefined)).rejects.toThrow(RateLimitedError);
  });

  it('takes a whole IPv6 network for one address', async () => {
    const limit = makeLimit();
    await limit.countAttempt('2001:db8::1', 'a');
    await limit.countAttempt('2001:db8::2', 'a');
    await expect(limit.countAttempt('2001:db8::3', 'a')).rejects.toThrow(RateLimitedError);
  });

  it('refuses an address after too many rejections, whatever it asks for', async () => {
    const limit = makeLimit();
    await limit.countRejection('192.0.2.1');
    await expect(limit.refuseSuspects('192.0.2.1')).resolves.toBeUndefined();
    await limit.countRejection('192.0.2.1');
    await expect(limit.refuseSuspects('192.0.2.1')).rejects.toThrow(RateLimitedError);
    await expect(limit.refuseSuspects('192.0.2.2')).resolves.toBeUndefined();
  });
});
