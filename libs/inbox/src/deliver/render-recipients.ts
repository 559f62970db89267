import { setImmediate as nextTurn } from 'node:timers/promises';
import { ContentRenderError, renderContent, type Content, type RenderedContent } from '#content';
import type { SubscriberProfile } from '#subscribers';
import type { InboxFailureReason } from '../inbox.errors.js';
import type { WorkProgress } from '../work-progress.js';

/** Who gets a row, with the personalised fields in the same order, and who does not and why. */
export interface PreparedRecipients {
  readonly subscriberIds: readonly string[];
  /** Absent when the content is the same for everybody. */
  readonly rendered?: readonly RenderedContent[];
  readonly failures: ReadonlyMap<string, InboxFailureReason>;
}

/**
 * Renderings between two heartbeats: 2 to 3 ms of work, after which other work of the process gets its turn. A single message has a
 * dozen turns to wait for (its statements, its records), so each must be short while campaigns are rendered beside it.
 */
export const RENDERINGS_PER_HEARTBEAT = 50;

/** Renders personalised content for each recipient. One recipient's failure is that recipient's outcome and stops nobody else. */
export async function renderRecipients(
  batch: { content: Content; recipientIds: readonly string[]; profiles: ReadonlyMap<string, SubscriberProfile> },
  progress: WorkProgress,
): Promise<PreparedRecipients> {
  const subscriberIds: string[] = [];
  const rendered: RenderedContent[] = [];
  const failures = new Map<string, InboxFailureReason>();
  for (const [index, id] of batch.recipientIds.entries()) {
    if (index > 0 && index % RENDERINGS_PER_HEARTBEAT === 0) {
      await nextTurn();
      await progress.heartbeat();
    }
    const fields = renderOne(batch.content, batch.profiles.get(id));
    if (typeof fields === 'string') failures.set(id, fields);
    else {
      subscriberIds.push(id);
      rendered.push(fields);
    }
  }
  return { subscriberIds, rendered, failures };
}

function renderOne(content: Content, profile: SubscriberProfile | undefined): RenderedContent | InboxFailureReason {
  if (profile === undefined) return 'subscriber_gone';
  try {
    return renderContent(content, profile);
  } catch (error) {
    if (error instanceof ContentRenderError) return 'content_render_failed';
    throw error;
  }
}
