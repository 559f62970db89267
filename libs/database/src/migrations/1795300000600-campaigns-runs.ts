import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Campaigns, their runs, the chunks of a run and what became of each chunk on each channel. */
export class CampaignsRuns1795300000600 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA campaigns;
      CREATE TABLE campaigns.campaign (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
        channels text[] NOT NULL CHECK (cardinality(channels) > 0),
        content_id uuid NOT NULL,
        -- {"all": true} | {"segment_id": uuid} | {"rule": {...}}
        audience jsonb NOT NULL,
        ttl_seconds integer NOT NULL CHECK (ttl_seconds > 0),
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, id)
      );
      CREATE TABLE campaigns.run (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        campaign_id uuid NOT NULL,
        state text NOT NULL CONSTRAINT run_state CHECK (state IN ('triggered', 'running', 'paused', 'cancelling', 'finished', 'cancelled', 'failed')),
        channels text[] NOT NULL,
        content_id uuid NOT NULL,
        -- The rule as it stood at the trigger; null: everybody.
        rule jsonb,
        message_key uuid NOT NULL,
        expires_at timestamptz NOT NULL,
        planned_recipients integer,
        planned_chunks integer,
        -- The final counts, written when the run ends, so that they outlive the chunks.
        counts jsonb,
        failure text,
        traceparent text,
        -- How often, and when last, the run was handed to planning: the reconciler's backoff.
        emissions integer NOT NULL DEFAULT 1,
        emitted_at timestamptz NOT NULL,
        triggered_at timestamptz NOT NULL,
        planned_at timestamptz,
        finished_at timestamptz,
        PRIMARY KEY (environment_id, id)
      );
      CREATE INDEX run_by_campaign ON campaigns.run (environment_id, campaign_id, id DESC);
      CREATE INDEX run_open ON campaigns.run (id) WHERE state IN ('triggered', 'running', 'cancelling');
      CREATE TABLE campaigns.chunk (
        environment_id uuid NOT NULL,
        run_id uuid NOT NULL,
        chunk_no integer NOT NULL,
        -- Subscriber ids in (lower_id, upper_id]; a null lower bound is the start.
        lower_id uuid,
        upper_id uuid NOT NULL,
        -- Who matched at planning time; fan-out decides again and puts the true figure on the deliveries.
        planned_recipients integer NOT NULL,
        state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'fanned_out')),
        -- How often, and when last, the chunk was handed to fan-out: the reconciler's backoff.
        emissions integer NOT NULL DEFAULT 1,
        emitted_at timestamptz NOT NULL,
        fanned_out_at timestamptz,
        PRIMARY KEY (environment_id, run_id, chunk_no)
      );
      CREATE INDEX chunk_open ON campaigns.chunk (environment_id, run_id) WHERE state = 'planned';

      -- The sum of counts by reason, {"unsubscribed": 3, ...}.
      CREATE FUNCTION campaigns.sum_reasons(reasons jsonb) RETURNS integer
      LANGUAGE sql IMMUTABLE PARALLEL SAFE
      AS $$ SELECT coalesce(sum(value::integer), 0)::integer FROM jsonb_each_text(reasons) $$;

      CREATE TABLE campaigns.chunk_delivery (
        environment_id uuid NOT NULL,
        run_id uuid NOT NULL,
        chunk_no integer NOT NULL,
        channel text NOT NULL CHECK (channel IN ('inbox', 'push')),
        -- Who was requested: fixed at fan-out, so that a repeat asks for the same people.
        recipient_ids uuid[] NOT NULL,
        targeted integer NOT NULL,
        skipped jsonb NOT NULL DEFAULT '{}',
        delivered integer NOT NULL DEFAULT 0,
        failed jsonb NOT NULL DEFAULT '{}',
        expired integer NOT NULL DEFAULT 0,
        cancelled integer NOT NULL DEFAULT 0,
        pending integer NOT NULL,
        -- When the last report was applied.
        reported_at timestamptz,
        PRIMARY KEY (environment_id, run_id, chunk_no, channel),
        CONSTRAINT counts_are_not_negative CHECK (least(delivered, expired, cancelled, pending) >= 0),
        CONSTRAINT counts_add_up CHECK (
          targeted = delivered + campaigns.sum_reasons(failed) + campaigns.sum_reasons(skipped) + expired + cancelled + pending
        )
      );
      -- Random ids do not compress: keep the attempt off the hot path.
      ALTER TABLE campaigns.chunk_delivery ALTER COLUMN recipient_ids SET STORAGE EXTERNAL;
      CREATE INDEX chunk_delivery_open ON campaigns.chunk_delivery (environment_id, run_id) WHERE pending > 0;

      -- The delivery stages' question before each batch: may it go out? Locks the batch's own row until the end of the
      -- transaction, so that two handlers of the same batch (a zombie and its successor) never count at the same time. The state is
      -- read by a second statement, whose snapshot is taken after the lock came: whoever waited for the lock sees a cancel that
      -- was committed meanwhile.
      CREATE FUNCTION campaigns.lock_delivery(p_environment_id uuid, p_run_id uuid, p_chunk_no integer, p_channel text)
      RETURNS TABLE (run_state text, pending integer)
      LANGUAGE plpgsql VOLATILE
      AS $$
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
      $$;

      -- One message to one subscriber, sent at once on the urgent lane.
      CREATE TABLE campaigns.single_message (
        environment_id uuid NOT NULL,
        message_key uuid NOT NULL,
        subscriber_id uuid NOT NULL,
        content_id uuid NOT NULL,
        channels text[] NOT NULL,
        expires_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, message_key)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA campaigns CASCADE');
  }
}
