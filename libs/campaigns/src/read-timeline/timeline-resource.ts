import { z } from 'zod';
import { ENGAGEMENT_KINDS } from '#contracts';
import { CHANNELS } from '../channels.js';

/**
 * The hops of a message, in the order in which they can follow each other; hops of the same instant are shown in it.
 *
 * - `accepted`: the API answered the trigger or the call. `planned`: the run's audience was cut into chunks. `fanned_out`: the chunk of this
 *   subscriber was decided. `requested`, `skipped`: what was decided on one channel.
 * - `queued`: push took the request up for one device. `attempted`: a push service was asked once; `outcome` has its answer's class.
 *   `ended`: the delivery to one device ended other than by an answer; `outcome` has its state.
 * - `delivered`, `failed`, `expired`, `cancelled`: the fate of the message on the channel, which counts this person once.
 * - `reported`: the person's device said that something happened; `kind` says what.
 * - `dead_lettered`: a record about the message, or about its chunk, could not be handled.
 */
export const HOPS = [
  'accepted',
  'planned',
  'fanned_out',
  'requested',
  'skipped',
  'queued',
  'attempted',
  'ended',
  'delivered',
  'failed',
  'expired',
  'cancelled',
  'reported',
  'dead_lettered',
] as const;

export const ATTEMPT_OUTCOMES = ['accepted', 'gone', 'refused', 'misconfigured', 'throttled', 'transient'] as const;

export const hopSchema = z
  .object({
    at: z.iso.datetime(),
    hop: z.enum(HOPS),
    channel: z.enum(CHANNELS).nullable().describe('Null for what concerns all channels'),
    device_id: z.string().nullable().describe('For queued, attempted and ended'),
    vendor: z.string().nullable().describe('Push service of the device'),
    attempt: z.int().min(1).nullable().describe('Requests to the push service for this device, from 1'),
    outcome: z
      .string()
      .nullable()
      .describe(`attempted: ${ATTEMPT_OUTCOMES.join(', ')}; ended: gone, failed, expired, cancelled`),
    http_status: z.int().nullable().describe('attempted: what the push service answered; null when it did not'),
    kind: z.enum(ENGAGEMENT_KINDS).nullable().describe('For reported'),
    reason: z.string().nullable(),
  })
  .meta({ id: 'MessageHop' });

/** The timeline of a message as the API shows it. */
export const timelineSchema = z
  .object({
    id: z.string(),
    subscriber_id: z.string().nullable().describe("The customer's own id of the subscriber; null when the person was erased"),
    campaign_id: z.string().nullable().describe('Null for a single message'),
    run_id: z.string().nullable(),
    trace_id: z.string().nullable().describe('Trace of the call that triggered the run'),
    channels: z.array(z.enum(CHANNELS)),
    expires_at: z.iso.datetime(),
    hops: z.array(hopSchema).describe('Oldest first'),
  })
  .meta({ id: 'MessageTimeline' });

export type Hop = z.infer<typeof hopSchema>;
export type TimelineResource = z.infer<typeof timelineSchema>;
