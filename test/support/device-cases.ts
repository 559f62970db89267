import type { PushServiceBehaviour, PushServiceVendor } from '#testing';

/** One device: how its push service answers, and what Belfry has to make of it. */
export interface ScriptedDevice {
  readonly vendor: PushServiceVendor;
  readonly behaviour?: PushServiceBehaviour;
  /** How the delivery ends. */
  readonly state: 'accepted' | 'gone' | 'failed' | 'expired';
  /** Class, HTTP status and reason of each attempt, as a timeline shows them. */
  readonly attempts?: readonly string[];
  /** Set when the last answer does not say by itself that it is over. */
  readonly ended?: string;
}

/** One person with devices, and what has to become of the message on push. */
export interface DeviceCase {
  readonly name: string;
  readonly devices: readonly ScriptedDevice[];
  /** `delivered`, or the reason of the failure. */
  readonly fate: string;
}

const TAKEN = 'accepted 201';

function device(
  vendor: PushServiceVendor,
  state: ScriptedDevice['state'],
  answers: PushServiceBehaviour['answers'],
  attempts: readonly string[],
): ScriptedDevice {
  return { vendor, state, attempts, ...(answers !== undefined && { behaviour: { answers } }) };
}

const working = (vendor: PushServiceVendor): ScriptedDevice => device(vendor, 'accepted', undefined, [TAKEN]);
const gone = (status: 404 | 410): ScriptedDevice => device('fcm', 'gone', [status], [`gone ${status} status_${status}`]);
const tooLarge = device('fcm', 'failed', [413], ['refused 413 status_413']);
const broken = (attempts: number): ScriptedDevice => ({
  ...device(
    'mozilla',
    'failed',
    [502],
    Array.from({ length: attempts }, () => 'transient 502 status_502'),
  ),
  ended: 'failed status_502',
});

/** Attempts that the stack of these cases allows (`PUSH_ATTEMPTS_MAX`). */
export const CASE_ATTEMPTS_MAX = 4;

/**
 * Every class of docs/push-outcomes.md but `misconfigured`, which rests a key for longer than a test. Few enough devices of each failing
 * push service to keep it from being taken for down.
 */
export const DEVICE_CASES: readonly DeviceCase[] = [
  { name: 'one device that takes the message', devices: [working('fcm')], fate: 'delivered' },
  { name: 'two devices that take it', devices: [working('fcm'), working('mozilla')], fate: 'delivered' },
  { name: 'one that takes it and one that is gone', devices: [working('fcm'), gone(410)], fate: 'delivered' },
  { name: 'two that are gone', devices: [gone(404), gone(410)], fate: 'device_gone' },
  { name: 'one for which it is too large', devices: [tooLarge], fate: 'status_413' },
  { name: 'one for which it is too large and one that is gone', devices: [tooLarge, gone(410)], fate: 'status_413' },
  {
    name: "one that belongs to another key, in Apple's words",
    devices: [device('apple', 'gone', [{ status: 400, body: '{"reason":"VapidPkHashMismatch"}' }], ['gone 400 vapid_key_mismatch'])],
    fate: 'device_gone',
  },
  {
    name: 'one whose service fails once',
    devices: [device('mozilla', 'accepted', [500, 201], ['transient 500 status_500', TAKEN])],
    fate: 'delivered',
  },
  {
    name: 'one whose service is overloaded once and names no time',
    devices: [device('mozilla', 'accepted', [503, 201], ['transient 503 status_503', TAKEN])],
    fate: 'delivered',
  },
  { name: 'one whose service fails always', devices: [broken(CASE_ATTEMPTS_MAX)], fate: 'status_502' },
  {
    name: 'one whose service never answers, once',
    devices: [device('mozilla', 'accepted', [{ fault: 'no_answer' }, 201], ['transient response_timeout', TAKEN])],
    fate: 'delivered',
  },
  {
    name: 'one whose connection is reset once',
    devices: [device('other', 'accepted', [{ fault: 'reset' }, 201], ['transient connection_reset', TAKEN])],
    fate: 'delivered',
  },
  {
    name: 'one that is throttled',
    devices: [device('apple', 'accepted', [{ status: 429, retryAfter: '1' }, 201], ['throttled 429 status_429', TAKEN])],
    fate: 'delivered',
  },
  {
    name: 'one whose service is overloaded and names a time',
    devices: [device('apple', 'accepted', [{ status: 503, retryAfter: '1' }, 201], ['throttled 503 status_503', TAKEN])],
    fate: 'delivered',
  },
  ...Array.from({ length: 12 }, (_, index) => ({ name: `plain ${index}`, devices: [working('fcm')], fate: 'delivered' })),
];

/** What the cases have to be counted as. */
export interface CaseCounts {
  readonly people: { readonly delivered: number; readonly failed: number; readonly failedByReason: Readonly<Record<string, number>> };
  readonly devices: { readonly targeted: number; readonly accepted: number; readonly gone: number; readonly failed: number };
}

export function countCases(cases: readonly DeviceCase[]): CaseCounts {
  const failures = cases.filter(({ fate }) => fate !== 'delivered').map(({ fate }) => fate);
  const states = cases.flatMap(({ devices }) => devices.map(({ state }) => state));
  const count = (state: ScriptedDevice['state']): number => states.filter((candidate) => candidate === state).length;
  const failedByReason: Record<string, number> = {};
  for (const reason of failures) failedByReason[reason] = (failedByReason[reason] ?? 0) + 1;
  return {
    people: { delivered: cases.length - failures.length, failed: failures.length, failedByReason },
    devices: { targeted: states.length, accepted: count('accepted'), gone: count('gone'), failed: count('failed') },
  };
}
