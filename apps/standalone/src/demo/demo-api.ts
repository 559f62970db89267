/** What the demo reads of the answers of the API. */

/** Counts of one channel; people count once. */
export interface Counts {
  readonly targeted: number;
  readonly delivered: number;
  readonly failed: number;
  readonly failed_by_reason: Readonly<Record<string, number>>;
  readonly skipped: number;
  readonly skipped_by_reason: Readonly<Record<string, number>>;
  readonly expired: number;
  readonly cancelled: number;
  readonly pending: number;
}

/** Push by devices. */
export interface DeviceCounts {
  readonly targeted: number;
  readonly accepted: number;
  readonly gone: number;
  readonly failed: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly pending: number;
}

export type DemoChannel = 'inbox' | 'push';

/** People by what they did, per channel. */
export type Engagement = Readonly<Record<DemoChannel, Readonly<Record<string, number>>>>;

export interface Run {
  readonly id: string;
  readonly state: string;
  readonly counts: Counts;
  readonly counts_by_channel: Readonly<Record<DemoChannel, Counts>>;
  readonly engagement_by_channel: Engagement;
  readonly push: { readonly devices: DeviceCounts };
  readonly planned_recipients: number | null;
  readonly progress: number;
  readonly rate_per_second: number;
  readonly eta_seconds: number | null;
  readonly trace_id: string | null;
}

export interface Preview {
  readonly count: number;
  readonly samples: readonly { readonly external_id: string }[];
}

export interface Hop {
  readonly at: string;
  readonly hop: string;
  readonly channel: string | null;
  readonly vendor: string | null;
  readonly outcome: string | null;
  readonly http_status: number | null;
  readonly kind: string | null;
  readonly reason: string | null;
}
