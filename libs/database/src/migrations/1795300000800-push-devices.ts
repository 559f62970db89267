import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Web Push: VAPID keys, devices (push subscriptions) and deliveries. Endpoints and device secrets are encrypted; a device is found
 * by a keyed hash of its canonical endpoint. Deliveries are partitioned by time of the UUIDv7 message key and dropped when they are
 * older than the retention of push.
 */
export class PushDevices1795300000800 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA push;
      CREATE TABLE push.vapid_key (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        public_key bytea NOT NULL CHECK (octet_length(public_key) = 65),
        private_ciphertext bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        retired_at timestamptz,
        PRIMARY KEY (environment_id, id)
      );
      -- One live key per environment; older ones serve the devices that subscribed with them.
      CREATE UNIQUE INDEX vapid_key_live ON push.vapid_key (environment_id) WHERE retired_at IS NULL;
      CREATE TABLE push.device (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        subscriber_id uuid NOT NULL,
        vapid_key_id uuid NOT NULL,
        vendor text NOT NULL CHECK (vendor IN ('fcm', 'mozilla', 'apple', 'wns', 'other')),
        endpoint_hash bytea NOT NULL CHECK (octet_length(endpoint_hash) = 32),
        -- Endpoint and auth secret, sealed together; null once the device is no longer active.
        ciphertext bytea,
        p256dh bytea NOT NULL CHECK (octet_length(p256dh) = 65),
        state text NOT NULL DEFAULT 'active' CONSTRAINT device_state CHECK (state IN ('active', 'gone', 'unsubscribed')),
        state_reason text,
        user_agent text,
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        last_seen_at timestamptz(3) NOT NULL DEFAULT now(),
        state_changed_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, id),
        UNIQUE (environment_id, endpoint_hash),
        CONSTRAINT active_devices_have_secrets CHECK ((state = 'active') = (ciphertext IS NOT NULL))
      ) WITH (fillfactor = 85);
      CREATE INDEX device_by_subscriber ON push.device (environment_id, subscriber_id, id);
      CREATE INDEX device_reachable ON push.device (environment_id, subscriber_id) WHERE state = 'active';
      -- What fan-out may know of push: who can be reached. A person with several devices stands here several times: ask with EXISTS.
      CREATE VIEW push.reachable AS
        SELECT environment_id, subscriber_id FROM push.device WHERE state = 'active';

      -- One accepted delivery request: what its deliveries share. A single message is chunk 0 without a run.
      CREATE TABLE push.batch (
        environment_id uuid NOT NULL,
        message_key uuid NOT NULL,
        chunk_no integer NOT NULL,
        run_id uuid,
        content_id uuid NOT NULL,
        expires_at timestamptz NOT NULL,
        lane text NOT NULL CONSTRAINT batch_lane CHECK (lane IN ('bulk', 'urgent')),
        -- People who were requested, and those of them without a delivery by reason: they lost their last device, or are gone.
        recipients integer NOT NULL,
        unreachable jsonb NOT NULL DEFAULT '{}',
        traceparent text,
        created_at timestamptz NOT NULL DEFAULT now(),
        -- Deliveries by state, as of the last report.
        devices integer NOT NULL,
        devices_accepted integer NOT NULL DEFAULT 0,
        devices_gone integer NOT NULL DEFAULT 0,
        devices_failed integer NOT NULL DEFAULT 0,
        devices_expired integer NOT NULL DEFAULT 0,
        devices_cancelled integer NOT NULL DEFAULT 0,
        -- Set when the last report left, with nothing pending.
        settled_at timestamptz,
        PRIMARY KEY (environment_id, message_key, chunk_no)
      );
      CREATE INDEX batch_open ON push.batch (message_key, chunk_no) WHERE settled_at IS NULL;
      CREATE INDEX batch_by_run ON push.batch (environment_id, run_id) WHERE run_id IS NOT NULL;
      -- Devices of a run by outcome, for its statistics.
      CREATE VIEW push.run_device_count AS
        SELECT environment_id, run_id, sum(devices)::integer AS targeted, sum(devices_accepted)::integer AS accepted,
          sum(devices_gone)::integer AS gone, sum(devices_failed)::integer AS failed, sum(devices_expired)::integer AS expired,
          sum(devices_cancelled)::integer AS cancelled,
          sum(devices - devices_accepted - devices_gone - devices_failed - devices_expired - devices_cancelled)::integer AS pending
        FROM push.batch WHERE run_id IS NOT NULL GROUP BY environment_id, run_id;

      CREATE TABLE push.delivery (
        environment_id uuid NOT NULL,
        message_key uuid NOT NULL,
        chunk_no integer NOT NULL,
        subscriber_id uuid NOT NULL,
        device_id uuid NOT NULL,
        vendor text NOT NULL,
        lane text NOT NULL,
        state text NOT NULL DEFAULT 'queued'
          CONSTRAINT delivery_state CHECK (state IN ('queued', 'sending', 'accepted', 'gone', 'failed', 'expired', 'cancelled')),
        reason text,
        attempts smallint NOT NULL DEFAULT 0,
        -- queued: not before, infinity while the run is paused; sending: the lease ends, then another sender may take it.
        next_attempt_at timestamptz NOT NULL,
        -- Grows with each claim; a sender whose number is old may not write its result.
        claim integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
        PRIMARY KEY (message_key, chunk_no, subscriber_id, device_id)
      ) PARTITION BY RANGE (message_key);
      CREATE INDEX delivery_due ON push.delivery (vendor, lane, next_attempt_at) WHERE state IN ('queued', 'sending');

      -- What a sender asks about many runs at once, without the lock of campaigns.lock_delivery.
      CREATE VIEW campaigns.run_state AS SELECT environment_id, id AS run_id, state FROM campaigns.run;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP VIEW campaigns.run_state; DROP SCHEMA push CASCADE');
  }
}
