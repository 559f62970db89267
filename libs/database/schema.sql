-- Made from the migrations by `npm run generate`; do not edit. Partitions are left out: they depend on the day.
SET check_function_bodies = off;

CREATE SCHEMA campaigns;

CREATE SCHEMA content;

CREATE SCHEMA engagement;

CREATE SCHEMA event_log;

CREATE SCHEMA http;

CREATE SCHEMA identity;

CREATE SCHEMA inbox;

CREATE SCHEMA push;

CREATE SCHEMA retention;

CREATE SCHEMA segments;

CREATE SCHEMA subscribers;

CREATE SCHEMA tenancy;

CREATE SEQUENCE public.schema_migration_id_seq AS integer;

CREATE OR REPLACE FUNCTION campaigns.lock_delivery(p_environment_id uuid, p_run_id uuid, p_chunk_no integer, p_channel text)
 RETURNS TABLE(run_state text, pending integer)
 LANGUAGE plpgsql
AS $function$
      BEGIN
        PERFORM FROM campaigns.chunk_delivery AS delivery
        WHERE delivery.environment_id = p_environment_id AND delivery.run_id = p_run_id
          AND delivery.chunk_no = p_chunk_no AND delivery.channel = p_channel
        FOR NO KEY UPDATE;
        RETURN QUERY
          SELECT run.state, delivery.pending
          FROM campaigns.chunk_delivery AS delivery
          JOIN campaigns.run AS run ON run.environment_id = delivery.environment_id AND run.id = delivery.run_id
          WHERE delivery.environment_id = p_environment_id AND delivery.run_id = p_run_id
            AND delivery.chunk_no = p_chunk_no AND delivery.channel = p_channel;
      END
      $function$;

CREATE OR REPLACE FUNCTION campaigns.sum_reasons(reasons jsonb)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ SELECT coalesce(sum(value::integer), 0)::integer FROM jsonb_each_text(reasons) $function$;

CREATE OR REPLACE FUNCTION segments.instant_of(value jsonb)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN CASE WHEN ((jsonb_typeof(value) = 'string'::text) AND ((value #>> '{}'::text[]) ~ '^(?!0000)([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9]))?$'::text)) THEN date_trunc('milliseconds'::text, (CASE length((value #>> '{}'::text[])) WHEN 10 THEN ((value #>> '{}'::text[]) || 'T00:00:00Z'::text) ELSE (value #>> '{}'::text[]) END)::timestamp with time zone) ELSE NULL::timestamp with time zone END;

CREATE OR REPLACE FUNCTION subscribers.drop_notes(notes jsonb, written jsonb, removed jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN NULLIF(((notes - ARRAY(SELECT jsonb_object_keys(written) AS jsonb_object_keys)) - ARRAY(SELECT jsonb_object_keys(COALESCE(removed, '{}'::jsonb)) AS jsonb_object_keys)), '{}'::jsonb);

CREATE OR REPLACE FUNCTION subscribers.merge_attributes(present jsonb, patch jsonb, removed jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (removed IS NULL) THEN (present || patch) ELSE jsonb_strip_nulls(((present || patch) || removed)) END;

CREATE TABLE campaigns.campaign (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  channels text[] NOT NULL,
  content_id uuid NOT NULL,
  audience jsonb NOT NULL,
  ttl_seconds integer NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT campaign_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT campaign_channels_check CHECK ((cardinality(channels) > 0)),
  CONSTRAINT campaign_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
  CONSTRAINT campaign_ttl_seconds_check CHECK ((ttl_seconds > 0))
);

CREATE TABLE campaigns.chunk (
  environment_id uuid NOT NULL,
  run_id uuid NOT NULL,
  chunk_no integer NOT NULL,
  lower_id uuid,
  upper_id uuid NOT NULL,
  planned_recipients integer NOT NULL,
  state text DEFAULT 'planned'::text NOT NULL,
  emissions integer DEFAULT 1 NOT NULL,
  emitted_at timestamp with time zone NOT NULL,
  fanned_out_at timestamp with time zone,
  traceparent text,
  CONSTRAINT chunk_pkey PRIMARY KEY (environment_id, run_id, chunk_no),
  CONSTRAINT chunk_state_check CHECK ((state = ANY (ARRAY['planned'::text, 'fanned_out'::text])))
);

CREATE TABLE campaigns.chunk_delivery (
  environment_id uuid NOT NULL,
  run_id uuid NOT NULL,
  chunk_no integer NOT NULL,
  channel text NOT NULL,
  recipient_ids uuid[] NOT NULL,
  targeted integer NOT NULL,
  skipped jsonb DEFAULT '{}'::jsonb NOT NULL,
  delivered integer DEFAULT 0 NOT NULL,
  failed jsonb DEFAULT '{}'::jsonb NOT NULL,
  expired integer DEFAULT 0 NOT NULL,
  cancelled integer DEFAULT 0 NOT NULL,
  pending integer NOT NULL,
  reported_at timestamp with time zone,
  skipped_recipients jsonb DEFAULT '{}'::jsonb NOT NULL,
  failed_recipients jsonb DEFAULT '{}'::jsonb NOT NULL,
  CONSTRAINT chunk_delivery_pkey PRIMARY KEY (environment_id, run_id, chunk_no, channel),
  CONSTRAINT chunk_delivery_channel_check CHECK ((channel = ANY (ARRAY['inbox'::text, 'push'::text]))),
  CONSTRAINT counts_add_up CHECK ((targeted = (((((delivered + campaigns.sum_reasons(failed)) + campaigns.sum_reasons(skipped)) + expired) + cancelled) + pending))),
  CONSTRAINT counts_are_not_negative CHECK ((LEAST(delivered, expired, cancelled, pending) >= 0))
);

ALTER TABLE campaigns.chunk_delivery ALTER COLUMN recipient_ids SET STORAGE EXTERNAL;

ALTER TABLE campaigns.chunk_delivery ALTER COLUMN skipped_recipients SET STORAGE EXTERNAL;

CREATE TABLE campaigns.run (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  campaign_id uuid NOT NULL,
  state text NOT NULL,
  channels text[] NOT NULL,
  content_id uuid NOT NULL,
  rule jsonb,
  message_key uuid NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  planned_recipients integer,
  planned_chunks integer,
  counts jsonb,
  failure text,
  traceparent text,
  emissions integer DEFAULT 1 NOT NULL,
  emitted_at timestamp with time zone NOT NULL,
  triggered_at timestamp with time zone NOT NULL,
  planned_at timestamp with time zone,
  finished_at timestamp with time zone,
  CONSTRAINT run_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT run_state CHECK ((state = ANY (ARRAY['triggered'::text, 'running'::text, 'paused'::text, 'cancelling'::text, 'finished'::text, 'cancelled'::text, 'failed'::text])))
);

CREATE TABLE campaigns.single_message (
  environment_id uuid NOT NULL,
  message_key uuid NOT NULL,
  subscriber_id uuid NOT NULL,
  content_id uuid NOT NULL,
  channels text[] NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  traceparent text,
  CONSTRAINT single_message_pkey PRIMARY KEY (environment_id, message_key)
);

CREATE TABLE content.content (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  fields jsonb NOT NULL,
  personalised boolean NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT content_pkey PRIMARY KEY (environment_id, id)
);

CREATE TABLE engagement.message_count (
  environment_id uuid NOT NULL,
  message_key uuid NOT NULL,
  channel text NOT NULL,
  kind text NOT NULL,
  subscribers integer NOT NULL,
  CONSTRAINT message_count_pkey PRIMARY KEY (environment_id, message_key, channel, kind),
  CONSTRAINT message_count_counts_somebody CHECK ((subscribers > 0))
) PARTITION BY RANGE (message_key);

CREATE TABLE engagement.receipt (
  environment_id uuid NOT NULL,
  message_key uuid NOT NULL,
  subscriber_id uuid NOT NULL,
  channel text NOT NULL,
  kind text NOT NULL,
  occurred_at timestamp with time zone NOT NULL,
  recorded_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT receipt_pkey PRIMARY KEY (message_key, subscriber_id, channel, kind),
  CONSTRAINT receipt_channel CHECK ((channel = ANY (ARRAY['inbox'::text, 'push'::text]))),
  CONSTRAINT receipt_kind CHECK ((kind = ANY (ARRAY['delivered'::text, 'shown'::text, 'seen'::text, 'read'::text, 'clicked'::text, 'dismissed'::text, 'archived'::text, 'converted'::text, 'unsubscribed'::text])))
) PARTITION BY RANGE (message_key);

CREATE TABLE event_log.dead_letter (
  id uuid NOT NULL,
  group_name text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  record_offset bigint NOT NULL,
  environment_id uuid,
  key text NOT NULL,
  headers json NOT NULL,
  value bytea NOT NULL,
  reason_code text NOT NULL,
  reason_message text NOT NULL,
  attempts integer NOT NULL,
  state text DEFAULT 'waiting'::text NOT NULL,
  appended_at timestamp with time zone NOT NULL,
  failed_at timestamp with time zone DEFAULT now() NOT NULL,
  settled_at timestamp with time zone,
  CONSTRAINT dead_letter_pkey PRIMARY KEY (id),
  CONSTRAINT dead_letter_attempts_check CHECK ((attempts >= 0)),
  CONSTRAINT dead_letter_state CHECK ((state = ANY (ARRAY['waiting'::text, 'replayed'::text, 'discarded'::text])))
);

CREATE TABLE event_log.group_member (
  group_name text NOT NULL,
  topic_id integer NOT NULL,
  member_id uuid NOT NULL,
  lease_expires_at timestamp with time zone NOT NULL,
  CONSTRAINT group_member_pkey PRIMARY KEY (group_name, topic_id, member_id)
) WITH (fillfactor=50);

CREATE TABLE event_log.group_partition (
  group_name text NOT NULL,
  topic_id integer NOT NULL,
  partition integer NOT NULL,
  committed_offset bigint NOT NULL,
  member_id uuid,
  epoch bigint DEFAULT 0 NOT NULL,
  CONSTRAINT group_partition_pkey PRIMARY KEY (group_name, topic_id, partition),
  CONSTRAINT group_partition_committed_offset_check CHECK ((committed_offset >= 0))
) WITH (fillfactor=50, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000);

CREATE TABLE event_log.head (
  topic_id integer NOT NULL,
  partition integer NOT NULL,
  next_offset bigint DEFAULT 0 NOT NULL,
  CONSTRAINT head_pkey PRIMARY KEY (topic_id, partition)
) WITH (fillfactor=50, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000);

CREATE TABLE event_log.outbox (
  lane text NOT NULL,
  bucket smallint NOT NULL,
  outbox_id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  topic text NOT NULL,
  key text NOT NULL,
  headers json,
  value bytea NOT NULL,
  CONSTRAINT outbox_pkey PRIMARY KEY (lane, bucket, outbox_id),
  CONSTRAINT outbox_lane CHECK ((lane = ANY (ARRAY['bulk'::text, 'urgent'::text])))
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000);

ALTER TABLE event_log.outbox ALTER COLUMN value SET STORAGE EXTERNAL;

CREATE TABLE event_log.record (
  topic_id integer NOT NULL,
  partition integer NOT NULL,
  record_offset bigint NOT NULL,
  appended_at timestamp with time zone NOT NULL,
  key text NOT NULL,
  headers json,
  value bytea NOT NULL
) PARTITION BY RANGE (appended_at);

ALTER TABLE event_log.record ALTER COLUMN value SET STORAGE EXTERNAL;

CREATE TABLE event_log.topic (
  topic_id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
  topic text NOT NULL,
  partitions integer NOT NULL,
  retention_hours integer NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT topic_pkey PRIMARY KEY (topic_id),
  CONSTRAINT topic_topic_key UNIQUE (topic),
  CONSTRAINT topic_partitions_check CHECK (((partitions >= 1) AND (partitions <= 1000))),
  CONSTRAINT topic_retention_hours_check CHECK ((retention_hours > 0)),
  CONSTRAINT topic_topic_check CHECK (((length(topic) >= 1) AND (length(topic) <= 249)))
);

CREATE TABLE http.idempotency_record (
  environment_id uuid NOT NULL,
  route text NOT NULL,
  key text NOT NULL,
  request_hash bytea NOT NULL,
  response json,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT idempotency_record_pkey PRIMARY KEY (environment_id, route, key),
  CONSTRAINT idempotency_record_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255))),
  CONSTRAINT idempotency_record_request_hash_check CHECK ((octet_length(request_hash) = 32))
);

CREATE TABLE identity.break_glass (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  surface text NOT NULL,
  reason text NOT NULL,
  opened_at timestamp with time zone NOT NULL,
  opened_by uuid,
  ends_at timestamp with time zone NOT NULL,
  ended_at timestamp with time zone,
  ended_by uuid,
  CONSTRAINT break_glass_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT break_glass_ends CHECK ((ends_at > opened_at)),
  CONSTRAINT break_glass_reason CHECK ((reason <> ''::text)),
  CONSTRAINT break_glass_surface CHECK ((surface = ANY (ARRAY['inbox'::text, 'preferences'::text, 'push'::text, 'identify'::text, 'track'::text])))
);

CREATE TABLE identity.key_use (
  environment_id uuid NOT NULL,
  secret_id uuid NOT NULL,
  used_on date NOT NULL,
  uses bigint NOT NULL,
  CONSTRAINT key_use_pkey PRIMARY KEY (environment_id, secret_id, used_on),
  CONSTRAINT key_use_counts_something CHECK ((uses > 0))
);

CREATE TABLE identity.policy (
  environment_id uuid NOT NULL,
  surface text NOT NULL,
  mode text NOT NULL,
  ramp_percent smallint NOT NULL,
  grade_min text NOT NULL,
  ends_at timestamp with time zone,
  changed_at timestamp with time zone NOT NULL,
  changed_by uuid,
  CONSTRAINT policy_pkey PRIMARY KEY (environment_id, surface),
  CONSTRAINT policy_grade_min CHECK ((grade_min = ANY (ARRAY['static'::text, 'fresh'::text, 'traits'::text]))),
  CONSTRAINT policy_mode CHECK ((mode = ANY (ARRAY['off'::text, 'report-only'::text, 'enforced'::text]))),
  CONSTRAINT policy_ramp_percent CHECK (((ramp_percent >= 0) AND (ramp_percent <= 100))),
  CONSTRAINT policy_surface CHECK ((surface = ANY (ARRAY['inbox'::text, 'preferences'::text, 'push'::text, 'identify'::text, 'track'::text])))
);

CREATE TABLE identity.policy_change (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  surface text NOT NULL,
  changed_at timestamp with time zone NOT NULL,
  changed_by uuid,
  reason text,
  policy_before jsonb NOT NULL,
  policy_after jsonb NOT NULL,
  CONSTRAINT policy_change_pkey PRIMARY KEY (environment_id, id)
);

CREATE TABLE identity.revocation (
  environment_id uuid NOT NULL,
  external_id text NOT NULL,
  revoked_at timestamp with time zone NOT NULL,
  changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
  CONSTRAINT revocation_pkey PRIMARY KEY (environment_id, external_id)
);

CREATE TABLE identity.secret (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  ciphertext bytea NOT NULL,
  last_four text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  retired_at timestamp with time zone,
  algorithm text DEFAULT 'HMAC-SHA256'::text NOT NULL,
  key_name text,
  retire_at timestamp with time zone,
  first_used_at timestamp with time zone,
  last_used_at timestamp with time zone,
  CONSTRAINT secret_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT secret_algorithm CHECK ((algorithm = ANY (ARRAY['HMAC-SHA256'::text, 'HS256'::text, 'RS256'::text, 'ES256'::text, 'EdDSA'::text]))),
  CONSTRAINT secret_key_name CHECK (((key_name IS NULL) = (algorithm = 'HMAC-SHA256'::text)))
);

CREATE TABLE identity.stream_ticket (
  environment_id uuid NOT NULL,
  ticket_hash bytea NOT NULL,
  session jsonb NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  CONSTRAINT stream_ticket_pkey PRIMARY KEY (ticket_hash)
);

CREATE TABLE identity.verdict_count (
  environment_id uuid NOT NULL,
  hour_at timestamp with time zone NOT NULL,
  surface text NOT NULL,
  reason text NOT NULL,
  admitted boolean NOT NULL,
  key_id uuid NOT NULL,
  origin text NOT NULL,
  sdk text NOT NULL,
  verdicts bigint NOT NULL,
  CONSTRAINT verdict_count_pkey PRIMARY KEY (environment_id, hour_at, surface, reason, admitted, key_id, origin, sdk),
  CONSTRAINT verdict_count_counts_something CHECK ((verdicts > 0))
);

CREATE TABLE inbox.message (
  environment_id uuid NOT NULL,
  subscriber_id uuid NOT NULL,
  message_key uuid NOT NULL,
  content_id uuid NOT NULL,
  run_id uuid,
  rendered jsonb,
  delivered_at timestamp with time zone DEFAULT now() NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  seen_at timestamp with time zone,
  read_at timestamp with time zone,
  archived_at timestamp with time zone,
  changed_at timestamp with time zone,
  CONSTRAINT message_pkey PRIMARY KEY (subscriber_id, message_key)
) PARTITION BY RANGE (message_key);

CREATE TABLE public.schema_migration (
  id integer DEFAULT nextval('public.schema_migration_id_seq'::regclass) NOT NULL,
  "timestamp" bigint NOT NULL,
  name character varying NOT NULL,
  CONSTRAINT "PK_0edff5015b71cc0389ae0f4b9a1" PRIMARY KEY (id)
);

CREATE TABLE push.batch (
  environment_id uuid NOT NULL,
  message_key uuid NOT NULL,
  chunk_no integer NOT NULL,
  run_id uuid,
  content_id uuid NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  lane text NOT NULL,
  recipients integer NOT NULL,
  unreachable jsonb DEFAULT '{}'::jsonb NOT NULL,
  traceparent text,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  devices integer NOT NULL,
  devices_accepted integer DEFAULT 0 NOT NULL,
  devices_gone integer DEFAULT 0 NOT NULL,
  devices_failed integer DEFAULT 0 NOT NULL,
  devices_expired integer DEFAULT 0 NOT NULL,
  devices_cancelled integer DEFAULT 0 NOT NULL,
  settled_at timestamp with time zone,
  unreachable_recipients jsonb DEFAULT '{}'::jsonb NOT NULL,
  CONSTRAINT batch_pkey PRIMARY KEY (environment_id, message_key, chunk_no),
  CONSTRAINT batch_lane CHECK ((lane = ANY (ARRAY['bulk'::text, 'urgent'::text])))
);

CREATE TABLE push.delivery (
  environment_id uuid NOT NULL,
  message_key uuid NOT NULL,
  chunk_no integer NOT NULL,
  subscriber_id uuid NOT NULL,
  device_id uuid NOT NULL,
  vendor text NOT NULL,
  lane text NOT NULL,
  state text DEFAULT 'queued'::text NOT NULL,
  reason text,
  attempts smallint DEFAULT 0 NOT NULL,
  next_attempt_at timestamp with time zone NOT NULL,
  claim integer DEFAULT 0 NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  finished_at timestamp with time zone,
  outcome text,
  http_status smallint,
  earlier_attempts jsonb,
  CONSTRAINT delivery_pkey PRIMARY KEY (message_key, chunk_no, subscriber_id, device_id),
  CONSTRAINT delivery_outcome CHECK ((outcome = ANY (ARRAY['accepted'::text, 'gone'::text, 'refused'::text, 'misconfigured'::text, 'throttled'::text, 'transient'::text]))),
  CONSTRAINT delivery_state CHECK ((state = ANY (ARRAY['queued'::text, 'sending'::text, 'accepted'::text, 'gone'::text, 'failed'::text, 'expired'::text, 'cancelled'::text])))
) PARTITION BY RANGE (message_key);

CREATE TABLE push.device (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  subscriber_id uuid NOT NULL,
  vapid_key_id uuid NOT NULL,
  vendor text NOT NULL,
  endpoint_hash bytea NOT NULL,
  ciphertext bytea,
  p256dh bytea NOT NULL,
  state text DEFAULT 'active'::text NOT NULL,
  state_reason text,
  user_agent text,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  last_seen_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  state_changed_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT device_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT device_environment_id_endpoint_hash_key UNIQUE (environment_id, endpoint_hash),
  CONSTRAINT active_devices_have_secrets CHECK (((state = 'active'::text) = (ciphertext IS NOT NULL))),
  CONSTRAINT device_endpoint_hash_check CHECK ((octet_length(endpoint_hash) = 32)),
  CONSTRAINT device_p256dh_check CHECK ((octet_length(p256dh) = 65)),
  CONSTRAINT device_state CHECK ((state = ANY (ARRAY['active'::text, 'gone'::text, 'unsubscribed'::text]))),
  CONSTRAINT device_vendor_check CHECK ((vendor = ANY (ARRAY['fcm'::text, 'mozilla'::text, 'apple'::text, 'wns'::text, 'other'::text])))
) WITH (fillfactor=85);

CREATE TABLE push.vapid_key (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  public_key bytea NOT NULL,
  private_ciphertext bytea NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  retired_at timestamp with time zone,
  CONSTRAINT vapid_key_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT vapid_key_public_key_check CHECK ((octet_length(public_key) = 65))
);

CREATE TABLE retention.lease (
  policy text NOT NULL,
  token bigint NOT NULL,
  holder text NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  due_at timestamp with time zone NOT NULL,
  succeeded_at timestamp with time zone,
  kept_hours integer,
  CONSTRAINT lease_pkey PRIMARY KEY (policy)
);

CREATE TABLE retention.run (
  id uuid NOT NULL,
  policy text NOT NULL,
  token bigint NOT NULL,
  holder text NOT NULL,
  kept_hours integer NOT NULL,
  outcome text DEFAULT 'running'::text NOT NULL,
  removed jsonb DEFAULT '{}'::jsonb NOT NULL,
  partitions text[] DEFAULT '{}'::text[] NOT NULL,
  batches integer DEFAULT 0 NOT NULL,
  failure text,
  started_at timestamp with time zone NOT NULL,
  ended_at timestamp with time zone,
  CONSTRAINT run_pkey PRIMARY KEY (id),
  CONSTRAINT run_outcome CHECK ((outcome = ANY (ARRAY['running'::text, 'done'::text, 'blocked'::text, 'interrupted'::text, 'failed'::text])))
);

CREATE TABLE segments.segment (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  name text COLLATE "C" NOT NULL,
  rule jsonb NOT NULL,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  updated_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT segment_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT segment_environment_id_name_key UNIQUE (environment_id, name),
  CONSTRAINT segment_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100)))
);

CREATE TABLE subscribers.attribute (
  environment_id uuid NOT NULL,
  name text COLLATE "C" NOT NULL,
  type text NOT NULL,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  updated_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT attribute_pkey PRIMARY KEY (environment_id, name),
  CONSTRAINT attribute_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
  CONSTRAINT attribute_type_check CHECK ((type = ANY (ARRAY['string'::text, 'number'::text, 'boolean'::text, 'date'::text, 'list'::text])))
);

CREATE TABLE subscribers.company (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  external_id text COLLATE "C" NOT NULL,
  attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
  verified boolean DEFAULT true NOT NULL,
  unverified_attributes jsonb,
  attribute_proofs jsonb,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  updated_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT company_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT company_environment_id_external_id_key UNIQUE (environment_id, external_id),
  CONSTRAINT company_attributes_check CHECK ((jsonb_typeof(attributes) = 'object'::text)),
  CONSTRAINT company_external_id_check CHECK (((octet_length(external_id) >= 1) AND (octet_length(external_id) <= 255))),
  CONSTRAINT company_proofs_are_not_empty CHECK ((attribute_proofs <> '{}'::jsonb)),
  CONSTRAINT company_unverified_is_not_empty CHECK ((unverified_attributes <> '{}'::jsonb))
);

CREATE TABLE subscribers.import (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  state text NOT NULL,
  columns jsonb DEFAULT '[]'::jsonb NOT NULL,
  lines integer DEFAULT 0 NOT NULL,
  created integer DEFAULT 0 NOT NULL,
  updated integer DEFAULT 0 NOT NULL,
  rejected integer DEFAULT 0 NOT NULL,
  failure_code text,
  failure text,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  progress_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  finished_at timestamp(3) with time zone,
  CONSTRAINT import_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT import_state_check CHECK ((state = ANY (ARRAY['running'::text, 'finished'::text, 'failed'::text])))
);

CREATE TABLE subscribers.import_rejection (
  environment_id uuid NOT NULL,
  import_id uuid NOT NULL,
  line_no integer NOT NULL,
  code text NOT NULL,
  reason text NOT NULL,
  CONSTRAINT import_rejection_pkey PRIMARY KEY (environment_id, import_id, line_no)
);

CREATE TABLE subscribers.membership (
  environment_id uuid NOT NULL,
  subscriber_id uuid NOT NULL,
  company_id uuid NOT NULL,
  verified boolean NOT NULL,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  updated_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT membership_pkey PRIMARY KEY (environment_id, subscriber_id, company_id)
);

CREATE TABLE subscribers.subscriber (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  external_id text COLLATE "C" NOT NULL,
  attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
  locale text COLLATE "C",
  time_zone text COLLATE "C",
  unsubscribed_at timestamp(3) with time zone,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  updated_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  verified boolean DEFAULT true NOT NULL,
  unverified_attributes jsonb,
  attribute_proofs jsonb,
  CONSTRAINT subscriber_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT subscriber_environment_id_external_id_key UNIQUE (environment_id, external_id),
  CONSTRAINT subscriber_attributes_check CHECK ((jsonb_typeof(attributes) = 'object'::text)),
  CONSTRAINT subscriber_external_id_check CHECK (((octet_length(external_id) >= 1) AND (octet_length(external_id) <= 255))),
  CONSTRAINT subscriber_proofs_are_not_empty CHECK ((attribute_proofs <> '{}'::jsonb)),
  CONSTRAINT subscriber_unverified_is_not_empty CHECK ((unverified_attributes <> '{}'::jsonb))
) WITH (fillfactor=85);

CREATE TABLE tenancy.api_key (
  environment_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  key_hash bytea NOT NULL,
  last_four text NOT NULL,
  scopes text[] NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  revoked_at timestamp with time zone,
  CONSTRAINT api_key_pkey PRIMARY KEY (environment_id, id),
  CONSTRAINT api_key_key_hash_key UNIQUE (key_hash),
  CONSTRAINT api_key_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100)))
);

CREATE TABLE tenancy.environment (
  id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  name text NOT NULL,
  kind text NOT NULL,
  public_key text NOT NULL,
  allowed_origins text[] DEFAULT '{}'::text[] NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  protected_traits text[] DEFAULT '{plan,mrr}'::text[] NOT NULL,
  CONSTRAINT environment_pkey PRIMARY KEY (id),
  CONSTRAINT environment_public_key_key UNIQUE (public_key),
  CONSTRAINT environment_workspace_id_name_key UNIQUE (workspace_id, name),
  CONSTRAINT environment_kind_check CHECK ((kind = ANY (ARRAY['production'::text, 'development'::text]))),
  CONSTRAINT environment_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100)))
);

CREATE TABLE tenancy.workspace (
  id uuid NOT NULL,
  name text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT workspace_pkey PRIMARY KEY (id),
  CONSTRAINT workspace_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100)))
);

ALTER SEQUENCE public.schema_migration_id_seq OWNED BY public.schema_migration.id;

CREATE VIEW subscribers.audience AS
 SELECT environment_id,
    id,
    external_id,
    attributes,
    locale,
    time_zone,
    unsubscribed_at,
    created_at
   FROM subscribers.subscriber;

CREATE VIEW push.reachable AS
 SELECT environment_id,
    subscriber_id
   FROM push.device
  WHERE (state = 'active'::text);

CREATE VIEW push.run_device_count AS
 SELECT environment_id,
    run_id,
    (sum(devices))::integer AS targeted,
    (sum(devices_accepted))::integer AS accepted,
    (sum(devices_gone))::integer AS gone,
    (sum(devices_failed))::integer AS failed,
    (sum(devices_expired))::integer AS expired,
    (sum(devices_cancelled))::integer AS cancelled,
    (sum((((((devices - devices_accepted) - devices_gone) - devices_failed) - devices_expired) - devices_cancelled)))::integer AS pending
   FROM push.batch
  WHERE (run_id IS NOT NULL)
  GROUP BY environment_id, run_id;

CREATE VIEW campaigns.run_state AS
 SELECT environment_id,
    id AS run_id,
    state
   FROM campaigns.run;

CREATE VIEW engagement.run_count AS
 SELECT environment_id,
    message_key,
    channel,
    kind,
    subscribers
   FROM engagement.message_count;

CREATE VIEW campaigns.run_message AS
 SELECT environment_id,
    id AS run_id,
    message_key,
    (finished_at IS NULL) AS is_open
   FROM campaigns.run;

CREATE VIEW campaigns.message_trace AS
 SELECT single_message.environment_id,
    single_message.message_key,
    NULL::uuid AS run_id,
    NULL::uuid AS lower_id,
    NULL::uuid AS upper_id,
    single_message.traceparent
   FROM campaigns.single_message
  WHERE (single_message.traceparent IS NOT NULL)
UNION ALL
 SELECT run.environment_id,
    run.message_key,
    run.id AS run_id,
    chunk.lower_id,
    chunk.upper_id,
    chunk.traceparent
   FROM (campaigns.run
     JOIN campaigns.chunk ON (((chunk.environment_id = run.environment_id) AND (chunk.run_id = run.id))))
  WHERE (chunk.traceparent IS NOT NULL);

CREATE VIEW inbox.message_delivery AS
 SELECT environment_id,
    message_key,
    subscriber_id,
    delivered_at
   FROM inbox.message;

CREATE VIEW push.message_batch AS
 SELECT environment_id,
    message_key,
    chunk_no,
    unreachable_recipients,
    created_at AS accepted_at
   FROM push.batch;

CREATE VIEW push.message_delivery AS
 SELECT environment_id,
    message_key,
    subscriber_id,
    device_id,
    vendor,
    state,
    reason,
    outcome,
    http_status,
    earlier_attempts,
    created_at AS queued_at,
    finished_at
   FROM push.delivery;

CREATE VIEW engagement.message_receipt AS
 SELECT environment_id,
    message_key,
    subscriber_id,
    channel,
    kind,
    occurred_at,
    recorded_at
   FROM engagement.receipt;

CREATE INDEX chunk_delivery_open ON campaigns.chunk_delivery USING btree (environment_id, run_id) WHERE (pending > 0);

CREATE INDEX chunk_open ON campaigns.chunk USING btree (environment_id, run_id) WHERE (state = 'planned'::text);

CREATE INDEX run_by_campaign ON campaigns.run USING btree (environment_id, campaign_id, id DESC);

CREATE UNIQUE INDEX run_by_message ON campaigns.run USING btree (environment_id, message_key);

CREATE INDEX run_by_message_key ON campaigns.run USING btree (message_key);

CREATE INDEX run_finished ON campaigns.run USING btree (finished_at) WHERE (finished_at IS NOT NULL);

CREATE INDEX run_open ON campaigns.run USING btree (id) WHERE (state = ANY (ARRAY['triggered'::text, 'running'::text, 'cancelling'::text]));

CREATE INDEX run_paused ON campaigns.run USING btree (id) WHERE (state = 'paused'::text);

CREATE INDEX single_message_by_key ON campaigns.single_message USING btree (message_key);

CREATE INDEX dead_letter_by_environment ON event_log.dead_letter USING btree (environment_id, id) WHERE (environment_id IS NOT NULL);

CREATE INDEX dead_letter_by_key ON event_log.dead_letter USING btree (environment_id, key) WHERE (environment_id IS NOT NULL);

CREATE INDEX dead_letter_failed ON event_log.dead_letter USING btree (failed_at) WHERE (settled_at IS NULL);

CREATE UNIQUE INDEX dead_letter_once ON event_log.dead_letter USING btree (group_name, topic, partition, record_offset, sha256(value));

CREATE INDEX dead_letter_settled ON event_log.dead_letter USING btree (settled_at) WHERE (settled_at IS NOT NULL);

CREATE INDEX dead_letter_waiting ON event_log.dead_letter USING btree (topic, id) WHERE (state = 'waiting'::text);

CREATE INDEX record_by_offset ON ONLY event_log.record USING btree (topic_id, partition, record_offset);

CREATE INDEX idempotency_record_created_at ON http.idempotency_record USING btree (created_at);

CREATE INDEX break_glass_open ON identity.break_glass USING btree (environment_id, ends_at) WHERE (ended_at IS NULL);

CREATE INDEX revocation_changed ON identity.revocation USING btree (changed_at);

CREATE UNIQUE INDEX secret_live_key_name ON identity.secret USING btree (environment_id, key_name) WHERE (retired_at IS NULL);

CREATE INDEX secret_retired ON identity.secret USING btree (retired_at) WHERE (retired_at IS NOT NULL);

CREATE INDEX stream_ticket_expiry ON identity.stream_ticket USING btree (expires_at);

CREATE INDEX verdict_count_hour ON identity.verdict_count USING btree (hour_at);

CREATE INDEX message_unread ON ONLY inbox.message USING btree (subscriber_id) WHERE ((read_at IS NULL) AND (archived_at IS NULL));

CREATE INDEX batch_by_message_key ON push.batch USING btree (message_key);

CREATE INDEX batch_by_run ON push.batch USING btree (environment_id, run_id) WHERE (run_id IS NOT NULL);

CREATE INDEX batch_open ON push.batch USING btree (message_key, chunk_no) WHERE (settled_at IS NULL);

CREATE INDEX delivery_due ON ONLY push.delivery USING btree (vendor, lane, next_attempt_at) WHERE (state = ANY (ARRAY['queued'::text, 'sending'::text]));

CREATE INDEX device_by_subscriber ON push.device USING btree (environment_id, subscriber_id, id);

CREATE INDEX device_inactive ON push.device USING btree (state_changed_at) WHERE (state <> 'active'::text);

CREATE INDEX device_reachable ON push.device USING btree (environment_id, subscriber_id) WHERE (state = 'active'::text);

CREATE UNIQUE INDEX vapid_key_live ON push.vapid_key USING btree (environment_id) WHERE (retired_at IS NULL);

CREATE INDEX run_by_time ON retention.run USING btree (started_at);

CREATE INDEX run_running ON retention.run USING btree (policy) WHERE (outcome = 'running'::text);

CREATE INDEX membership_of_company ON subscribers.membership USING btree (environment_id, company_id);

CREATE INDEX subscriber_unsubscribed ON subscribers.subscriber USING btree (unsubscribed_at) WHERE (unsubscribed_at IS NOT NULL);

ALTER TABLE event_log.group_member ADD CONSTRAINT group_member_topic_id_fkey FOREIGN KEY (topic_id) REFERENCES event_log.topic(topic_id);

ALTER TABLE event_log.group_partition ADD CONSTRAINT group_partition_topic_id_fkey FOREIGN KEY (topic_id) REFERENCES event_log.topic(topic_id);

ALTER TABLE event_log.head ADD CONSTRAINT head_topic_id_fkey FOREIGN KEY (topic_id) REFERENCES event_log.topic(topic_id);

ALTER TABLE subscribers.membership ADD CONSTRAINT membership_environment_id_company_id_fkey FOREIGN KEY (environment_id, company_id) REFERENCES subscribers.company(environment_id, id) ON DELETE CASCADE;

ALTER TABLE subscribers.membership ADD CONSTRAINT membership_environment_id_subscriber_id_fkey FOREIGN KEY (environment_id, subscriber_id) REFERENCES subscribers.subscriber(environment_id, id) ON DELETE CASCADE;

ALTER TABLE tenancy.api_key ADD CONSTRAINT api_key_environment_id_fkey FOREIGN KEY (environment_id) REFERENCES tenancy.environment(id);

ALTER TABLE tenancy.environment ADD CONSTRAINT environment_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES tenancy.workspace(id);
