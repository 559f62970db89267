import { decodeId, decodeMessageId } from '#contracts';
import { CampaignNotFoundError, MessageNotFoundError, RunNotFoundError } from './campaigns.errors.js';
import type { MessageName } from './timeline.store.js';

/** Reads a public run id. @throws RunNotFoundError for anything that cannot be one */
export function parseRunId(publicId: string): string {
  const runId = decodeId('run', publicId);
  if (runId === undefined) throw new RunNotFoundError();
  return runId;
}

/** Reads a public campaign id. @throws CampaignNotFoundError for anything that cannot be one */
export function parseCampaignId(publicId: string): string {
  const campaignId = decodeId('campaign', publicId);
  if (campaignId === undefined) throw new CampaignNotFoundError();
  return campaignId;
}

/** Reads a message id. @throws MessageNotFoundError for anything that cannot be one */
export function parseMessageId(publicId: string): MessageName {
  const name = decodeMessageId(publicId);
  if (name === undefined) throw new MessageNotFoundError();
  return name;
}
