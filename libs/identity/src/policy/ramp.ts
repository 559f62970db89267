import { createHash } from 'node:crypto';

const UINT32_COUNT = 2 ** 32;

/**
 * Does a ramp of this many percent cover the subscriber? Everybody has a place between 0 and 100 that never changes, so that raising the
 * share only adds people. The place is the same on all surfaces, and another one in each environment.
 *
 * @param percent 0 covers nobody, 100 everybody.
 */
export function isWithinRamp(environmentId: string, externalId: string, percent: number): boolean {
  if (percent >= 100) return true;
  if (percent <= 0) return false;
  const place = createHash('sha256').update(`${environmentId}\n${externalId}`, 'utf8').digest().readUInt32BE();
  return (place / UINT32_COUNT) * 100 < percent;
}
