/** A message of the inbox as the gateway shows it. */
export interface InboxMessage {
  /** `msg_…`; events of the stream are merged by it. */
  readonly id: string;
  readonly title: string;
  readonly body: string | null;
  /** Where a click leads: https, or a path on the same site. */
  readonly url: string | null;
  readonly icon: string | null;
  readonly image: string | null;
  readonly actions: readonly { readonly id: string; readonly title: string; readonly url: string | null }[];
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
  readonly delivered_at: string;
  readonly expires_at: string;
  readonly seen_at: string | null;
  readonly read_at: string | null;
  readonly archived_at: string | null;
  /** Proves what happens to the message; see `BelfryClient.report`. */
  readonly receipt: string;
}

/** The number beside the bell. */
export interface UnreadCount {
  readonly count: number;
  /** True when there are more: show "99+". */
  readonly capped: boolean;
}

/** One page of the inbox, newest first. */
export interface InboxPage {
  readonly data: readonly InboxMessage[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
  /** The unread count at the same instant. */
  readonly unread: UnreadCount;
}

/** Which messages are wanted. */
export interface ListOptions {
  /** 1 to 100. */
  readonly limit?: number;
  /** `next_cursor` of the page before. */
  readonly cursor?: string;
  readonly unread?: boolean;
  readonly seen?: boolean;
  readonly archived?: boolean;
}

/** What can be done with a message; each is idempotent. */
export type MessageChange = 'seen' | 'read' | 'unread' | 'archive' | 'unarchive';

/** What a page may report of an inbox message by its receipt; the other kinds follow from changes of its state. */
export type ReportedKind = 'shown' | 'clicked' | 'dismissed' | 'converted' | 'unsubscribed';
