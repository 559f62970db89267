import type { Rule } from '#segments';
import type { Channel } from './channels.js';
import type { RunCounts } from './run-counts.js';
import type { RunState } from './run-state.js';

/** One execution of a campaign; rule and content are those of the moment of the trigger. */
export interface Run {
  readonly environmentId: string;
  readonly id: string;
  readonly campaignId: string;
  readonly state: RunState;
  readonly channels: readonly Channel[];
  readonly contentId: string;
  /** `null`: everybody. */
  readonly rule: Rule | null;
  /** With a subscriber's id the identity of the message on every channel. */
  readonly messageKey: string;
  readonly expiresAt: Date;
  /** Who matched when the run was planned; `null` before. */
  readonly plannedRecipients: number | null;
  readonly plannedChunks: number | null;
  /** The final counts of a run that is over. */
  readonly counts: RunCounts | null;
  /** Why the run failed: a code and a sentence. */
  readonly failure: string | null;
  readonly traceparent: string | null;
  readonly triggeredAt: Date;
  readonly plannedAt: Date | null;
  readonly finishedAt: Date | null;
}

/** Names one run in messages between stores and stories. */
export interface RunKey {
  readonly environmentId: string;
  readonly runId: string;
}
