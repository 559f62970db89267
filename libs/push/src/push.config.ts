import { z } from 'zod';
import { defineConfig, integerText, listText, setting } from '#config';
import { PUSH_VENDORS, type PushVendor } from './push-vendor.js';

/** Contact of the sender when none is configured: well-formed, but no push service can write to it. */
export const VAPID_SUBJECT_DEFAULT = 'mailto:webpush@example.com';

const CONTACT_CHARACTERS_MAX = 255;

/** One `origin=vendor`, for example `https://127.0.0.1:8443=other`. */
const extraOrigin = z.string().transform((text, context): readonly [origin: string, vendor: PushVendor] => {
  const at = text.lastIndexOf('=');
  const [origin, vendorName] = [text.slice(0, at), text.slice(at + 1)];
  const vendor = PUSH_VENDORS.find((known) => known === vendorName);
  if (
    at > 0 &&
    vendor !== undefined &&
    URL.canParse(origin) &&
    new URL(origin).protocol === 'https:' &&
    new URL(origin).origin === origin
  ) {
    return [origin, vendor];
  }
  context.addIssue({ code: 'custom', message: `is not an https origin, "=" and one of ${PUSH_VENDORS.join(', ')}: "${text}"` });
  return z.NEVER;
});

/** Settings of Web Push: who the sender is, which push services it talks to, how much at once and how often. */
export const pushConfig = defineConfig('push', {
  vapidSubject: setting(
    'PUSH_VAPID_SUBJECT',
    z
      .string()
      .max(CONTACT_CHARACTERS_MAX)
      .regex(/^(mailto:[^@\s]+@[^@\s]+\.[^@\s]+|https:\/\/[^\s]+)$/, { error: 'is neither mailto:name@domain nor an https URL' })
      .default(VAPID_SUBJECT_DEFAULT),
    {
      describe: 'How the operators of push services reach you (RFC 8292). Apple refuses senders whose address it cannot route.',
      remedy: 'Write "mailto:" and an address that you read, or an https URL.',
      example: 'mailto:push@example.com',
    },
  ),
  extraOrigins: setting(
    'PUSH_EXTRA_ORIGINS',
    listText(extraOrigin)
      .transform((pairs): ReadonlyMap<string, PushVendor> => new Map(pairs))
      .default(new Map<string, PushVendor>()),
    {
      describe: `Origins of push services of your own, each with the vendor whose lane it takes (${PUSH_VENDORS.join(', ')}). They may have private addresses.`,
      remedy: 'Separate the entries by commas.',
      example: 'https://push.example.com:8443=other',
    },
  ),
  extraCaFile: setting('PUSH_EXTRA_CA_FILE', z.string().max(4_096).optional(), {
    describe: 'File with certificates in PEM that are trusted beside the well-known ones, for push services of your own.',
    example: '/etc/belfry/push-ca.pem',
  }),
  inFlightMax: setting('PUSH_IN_FLIGHT_MAX', integerText({ min: 1, max: 2_000 }).default(256), {
    describe:
      'Requests in flight to one push service at once, in one process. The sender stays below while the service is slow or overloaded.',
    example: '256',
  }),
  encryptionThreads: setting('PUSH_ENCRYPTION_THREADS', integerText({ min: 0, max: 16 }).default(1), {
    describe: 'Threads of the sender that encrypt messages, beside the one that sends them; 0 encrypts on the thread that sends.',
    example: '2',
  }),
  attemptsMax: setting('PUSH_ATTEMPTS_MAX', integerText({ min: 1, max: 20 }).default(6), {
    describe: 'How often a message is handed to a push service that fails, before its delivery fails.',
    example: '6',
  }),
  retryDelayMs: setting('PUSH_RETRY_DELAY_MS', integerText({ min: 10, max: 600_000 }).default(5_000), {
    describe:
      'Longest wait before the second attempt; later waits are 6, 24, 120 and 720 times as long. The actual wait is drawn at random below it.',
    example: '5000',
  }),
  leaseSeconds: setting('PUSH_LEASE_SECONDS', integerText({ min: 30, max: 3_600 }).default(90), {
    describe: 'How long a sender may keep a delivery before another one takes it over; longer than any request to a push service lasts.',
    example: '90',
  }),
  deliveryRetentionDays: setting('PUSH_DELIVERY_RETENTION_DAYS', integerText({ min: 91, max: 3_650 }).default(120), {
    describe: 'Days after which push deliveries are removed, by whole weeks, counted from the trigger of their campaign.',
    example: '120',
  }),
  deviceRetentionDays: setting('PUSH_DEVICE_RETENTION_DAYS', integerText({ min: 1, max: 3_650 }).default(30), {
    describe:
      'Days after which a device is removed that was unsubscribed or is gone, and one that was not seen since its subscriber unsubscribed or ' +
      'was deleted.',
  }),
});
