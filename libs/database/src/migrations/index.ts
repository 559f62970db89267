import { EventLog1795300000020 } from './1795300000020-event-log.js';
import { HttpIdempotency1795300000050 } from './1795300000050-http-idempotency.js';
import { TenancyWorkspaces1795300000100 } from './1795300000100-tenancy-workspaces.js';
import { IdentitySecrets1795300000200 } from './1795300000200-identity-secrets.js';
import { SubscribersAudience1795300000300 } from './1795300000300-subscribers-audience.js';
import { ContentContents1795300000400 } from './1795300000400-content-contents.js';
import { SegmentsSegments1795300000500 } from './1795300000500-segments-segments.js';
import { CampaignsRuns1795300000600 } from './1795300000600-campaigns-runs.js';
import { InboxMessages1795300000700 } from './1795300000700-inbox-messages.js';
import { PushDevices1795300000800 } from './1795300000800-push-devices.js';
import { EngagementReceipts1795300000900 } from './1795300000900-engagement-receipts.js';
import { RetentionLeases1795300001000 } from './1795300001000-retention-leases.js';
import { CampaignsMessageTraces1795300001100 } from './1795300001100-campaigns-message-traces.js';
import { CampaignsTimeline1795300001200 } from './1795300001200-campaigns-timeline.js';
import { IdentityKeys1795300001400 } from './1795300001400-identity-keys.js';
import { IdentityPolicies1795300010500 } from './1795300010500-identity-policies.js';
import { SubscribersProvenance1795300010600 } from './1795300010600-subscribers-provenance.js';

/** The one linear history of the schema, oldest first. */
export const MIGRATIONS = [
  EventLog1795300000020,
  HttpIdempotency1795300000050,
  TenancyWorkspaces1795300000100,
  IdentitySecrets1795300000200,
  SubscribersAudience1795300000300,
  ContentContents1795300000400,
  SegmentsSegments1795300000500,
  CampaignsRuns1795300000600,
  InboxMessages1795300000700,
  PushDevices1795300000800,
  EngagementReceipts1795300000900,
  RetentionLeases1795300001000,
  CampaignsMessageTraces1795300001100,
  CampaignsTimeline1795300001200,
  IdentityKeys1795300001400,
  IdentityPolicies1795300010500,
  SubscribersProvenance1795300010600,
];
