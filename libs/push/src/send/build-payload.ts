import type { ContentFields, RenderedContent } from '#content';
import { encodeMessageId } from '#contracts';

/** What one person gets, on all of their devices alike. */
export interface PayloadFacts {
  readonly messageKey: string;
  readonly subscriberId: string;
  readonly fields: ContentFields;
  /** The personalised fields; they stand before those of the content. */
  readonly rendered?: RenderedContent;
  /** BCP 47 language tag of the person, where it is known. */
  readonly locale?: string | null;
  /** Proves what the device reports of the message. */
  readonly receipt: string;
}

/** Marks a message as declarative (RFC 8030's number): browsers that know the format show it without a service worker. */
const DECLARATIVE_WEB_PUSH = 8030;

/** Where a click leads when the content names no place: the start page of the site that subscribed. */
const NAVIGATE_DEFAULT = '/';

/**
 * The plaintext of one push message in the shape of Declarative Web Push, which serves every browser: those that do not know it hand the
 * same document to the service worker. The tag is the message id, so that a copy takes the place of the first instead of standing
 * beside it. Belfry's own fields stand under `data.belfry`, apart from the customer's.
 *
 * @see https://webkit.org/blog/16535/meet-declarative-web-push/
 */
export function buildPayload(facts: PayloadFacts): Buffer {
  const fields = { ...facts.fields, ...facts.rendered };
  const messageId = encodeMessageId(facts.messageKey, facts.subscriberId);
  const navigate = fields.url ?? NAVIGATE_DEFAULT;
  const notification = {
    title: fields.title,
    body: fields.body,
    navigate,
    icon: fields.icon,
    image: fields.image,
    lang: facts.locale ?? undefined,
    tag: messageId,
    actions: fields.actions?.map(({ id, title, url }) => ({ action: id, title, navigate: url ?? navigate })),
    data: { ...fields.data, belfry: { message_id: messageId, receipt: facts.receipt } },
  };
  return Buffer.from(JSON.stringify({ web_push: DECLARATIVE_WEB_PUSH, notification }), 'utf8');
}
