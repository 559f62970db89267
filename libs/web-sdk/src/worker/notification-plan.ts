import { resolveSafeUrl } from '../shared/safe-url.js';

/** What the worker keeps with a shown notification, to know what to do when it is clicked or closed. */
export interface NotificationData {
  /** Where a click leads, a whole URL. */
  readonly navigate: string;
  /** Where each action leads, by its id. */
  readonly actions: Readonly<Record<string, string>>;
  /** `msg_…`; absent when the push was not one of the gateway's. */
  readonly messageId?: string;
  /** Proves what happens to the message. */
  readonly receipt?: string;
  /** The customer's own data of the message. */
  readonly custom: Readonly<Record<string, unknown>>;
}

/** What is to be shown. */
export interface NotificationPlan {
  readonly title: string;
  readonly options: NotificationOptions & {
    image?: string;
    renotify?: boolean;
    actions?: { action: string; title: string }[];
    data: NotificationData;
  };
}

/** Marks a Declarative Web Push document. */
const DECLARATIVE_WEB_PUSH = 8030;

const TITLE_CHARACTERS_MAX = 500;
const BODY_CHARACTERS_MAX = 5_000;
const ACTION_TITLE_CHARACTERS_MAX = 100;
const ACTIONS_MAX = 4;

/** Shown with a push that cannot be read: browsers demand that something is shown, and a person should know that there is something. */
const UNREADABLE_BODY = 'There is something new for you.';

/** All unreadable pushes share one notification. */
const UNREADABLE_TAG = 'belfry:unreadable';

/**
 * Reads the plaintext of a push: a Declarative Web Push document as the gateway sends it. Nothing in it is trusted to have a type or a
 * size, and a place that is not safe is replaced by the site's start page. Whatever comes, there is something to show.
 *
 * @param text undefined for a push without a payload
 * @param scope the URL of the worker's scope
 * @see https://webkit.org/blog/16535/meet-declarative-web-push/
 */
export function planNotification(text: string | undefined, scope: string): NotificationPlan {
  const notification = readNotification(text);
  const home = new URL('/', scope).href;
  const title = textOf(notification?.['title'], TITLE_CHARACTERS_MAX);
  if (notification === undefined || title === undefined) return planUnreadable(scope, home);
  const { belfry, ...custom } = recordOf(notification['data']);
  const messageId = textOf(recordOf(belfry)['message_id'], TITLE_CHARACTERS_MAX);
  const navigate = resolveSafeUrl(notification['navigate'], scope) ?? home;
  const actions = readActions(notification['actions'], scope, navigate);
  return {
    title,
    options: {
      ...defined({
        body: textOf(notification['body'], BODY_CHARACTERS_MAX),
        icon: resolveSafeUrl(notification['icon'], scope),
        image: resolveSafeUrl(notification['image'], scope),
        lang: textOf(notification['lang'], ACTION_TITLE_CHARACTERS_MAX),
        tag: messageId ?? textOf(notification['tag'], TITLE_CHARACTERS_MAX),
      }),
      actions: actions.map(({ action, title: actionTitle }) => ({ action, title: actionTitle })),
      data: {
        navigate,
        actions: Object.fromEntries(actions.map(({ action, url }) => [action, url])),
        ...defined({ messageId, receipt: textOf(recordOf(belfry)['receipt'], BODY_CHARACTERS_MAX) }),
        custom,
      },
    },
  };
}

/** Reads back what `planNotification` put beside a notification; a notification of the site's own has none of it. */
export function readNotificationData(data: unknown, scope: string): NotificationData {
  const { navigate, actions, messageId, receipt, custom } = recordOf(data);
  const home = new URL('/', scope).href;
  return {
    navigate: resolveSafeUrl(navigate, scope) ?? home,
    actions: Object.fromEntries(
      Object.entries(recordOf(actions)).map(([id, place]) => [id, resolveSafeUrl(place, scope) ?? home] as const),
    ),
    ...defined({ messageId: textOf(messageId, TITLE_CHARACTERS_MAX), receipt: textOf(receipt, BODY_CHARACTERS_MAX) }),
    custom: recordOf(custom),
  };
}

function readNotification(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
  try {
    const document = recordOf(JSON.parse(text));
    return document['web_push'] === DECLARATIVE_WEB_PUSH ? recordOf(document['notification']) : undefined;
  } catch {
    return undefined;
  }
}

function planUnreadable(scope: string, home: string): NotificationPlan {
  return {
    title: new URL(scope).hostname,
    options: { body: UNREADABLE_BODY, tag: UNREADABLE_TAG, data: { navigate: home, actions: {}, custom: {} } },
  };
}

function readActions(value: unknown, scope: string, navigate: string): { action: string; title: string; url: string }[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, ACTIONS_MAX).flatMap((item: unknown) => {
    const { action: id, title: text, navigate: place } = recordOf(item);
    const action = textOf(id, ACTION_TITLE_CHARACTERS_MAX);
    const title = textOf(text, ACTION_TITLE_CHARACTERS_MAX);
    return action === undefined || title === undefined ? [] : [{ action, title, url: resolveSafeUrl(place, scope) ?? navigate }];
  });
}

function textOf(value: unknown, charactersMax: number): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.slice(0, charactersMax) : undefined;
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** Browsers read `undefined` of some options as the word. */
function defined<Fields extends object>(fields: Fields): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
