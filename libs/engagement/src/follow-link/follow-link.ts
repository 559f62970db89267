import { Injectable } from '@nestjs/common';
import { ContentRenderError, ContentStore, renderContent, type Content } from '#content';
import { type Receipt, ReceiptTokens } from '#identity';
import { SubscriberStore } from '#subscribers';
import { EngagementLinkNotFoundError } from '../engagement.errors.js';
import { RecordEngagement } from '../record-engagement/record-engagement.js';

/** One call of a link. */
export interface LinkCall {
  readonly receipt: string;
  /** The action of the message that was chosen; absent: the message itself. */
  readonly actionId?: string;
  /** False for calls behind which no person is, like previews and prefetching: they are led on and not counted. */
  readonly isClick: boolean;
}

/**
 * Leads a click on where the message says, and records it. The address comes from the stored content alone, never from the request, so
 * that nobody can use our host to disguise an address of their own.
 */
@Injectable()
export class FollowLink {
  constructor(
    private readonly receipts: ReceiptTokens,
    private readonly contents: ContentStore,
    private readonly subscribers: SubscriberStore,
    private readonly recordEngagement: RecordEngagement,
  ) {}

  /**
   * @returns an absolute https URL, or a path on the site that asked, fit for a Location header
   * @throws EngagementLinkNotFoundError
   */
  async follow({ receipt: token, actionId, isClick }: LinkCall): Promise<string> {
    const verification = this.receipts.verify(token);
    if (verification.verdict !== 'valid') throw new EngagementLinkNotFoundError();
    const target = await this.findTarget(verification.receipt, actionId);
    if (isClick) await this.recordEngagement.record([{ receipt: token, kind: 'clicked' }]);
    return toLocation(target);
  }

  private async findTarget({ environmentId, contentId, subscriberId }: Receipt, actionId: string | undefined): Promise<string> {
    const content = await this.contents.find(environmentId, contentId);
    const template = content === undefined ? undefined : templateOf(content, actionId);
    if (content === undefined || template === undefined) throw new EngagementLinkNotFoundError();
    if (!content.personalised) return template;
    const profile = (await this.subscribers.readProfiles(environmentId, [subscriberId])).get(subscriberId);
    if (profile === undefined) throw new EngagementLinkNotFoundError();
    // The address alone: a title that cannot be rendered for this person any more must not break the link.
    const link: Content = { id: content.id, fields: { title: content.id, url: template }, personalised: true };
    try {
      return renderContent(link, profile).url ?? template;
    } catch (error) {
      throw error instanceof ContentRenderError ? new EngagementLinkNotFoundError() : error;
    }
  }
}

/** An action without an address of its own leads where the message leads. */
function templateOf({ fields }: Content, actionId: string | undefined): string | undefined {
  if (actionId === undefined) return fields.url;
  const action = fields.actions?.find(({ id }) => id === actionId);
  return action === undefined ? undefined : (action.url ?? fields.url);
}

const OWN_SITE = 'https://same-site.invalid';

/** In ASCII, as headers need it; a path stays a path. */
function toLocation(target: string): string {
  const url = new URL(target, OWN_SITE);
  return url.origin === OWN_SITE ? `${url.pathname}${url.search}${url.hash}` : url.href;
}
