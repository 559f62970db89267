import { Injectable } from '@nestjs/common';
import type { CampaignDeliverySettled } from '#contracts';
import { Database, type Sql } from '#database';

/** What became of one report: `mismatched` ones count other people than were requested and changed nothing. */
export interface ReportVerdict {
  /** Place of the report in the array that was given. */
  readonly index: number;
  readonly applied: boolean;
  readonly mismatched: boolean;
}

/** All SQL that applies the reports of delivery stages to the batches of runs. */
@Injectable()
export class DeliveryReportStore {
  constructor(private readonly database: Database) {}

  /**
   * Applies reports in one statement, at most one per batch. The counts are absolute and a report never goes backwards: it is applied
   * only while something is pending and only if it leaves no more pending than there is. A repeated or late report changes nothing.
   */
  async apply(reports: readonly CampaignDeliverySettled[], at: Date, tx: Sql = this.database): Promise<ReportVerdict[]> {
    return tx.query<ReportVerdict>({
      name: 'campaigns.apply-reports',
      text: `
        WITH report AS (
          SELECT ordinal - 1 AS index, environment_id, run_id, chunk_no, channel, delivered, failed, expired, cancelled, pending, failed_recipients,
            delivered + campaigns.sum_reasons(failed) + expired + cancelled + pending AS reported
          FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::integer[], $6::jsonb[], $7::integer[], $8::integer[], $9::integer[],
              $11::jsonb[])
            WITH ORDINALITY AS report (environment_id, run_id, chunk_no, channel, delivered, failed, expired, cancelled, pending,
              failed_recipients, ordinal)
        ), applied AS (
          UPDATE campaigns.chunk_delivery AS delivery
          SET delivered = report.delivered, failed = report.failed, expired = report.expired, cancelled = report.cancelled,
            pending = report.pending, failed_recipients = report.failed_recipients, reported_at = $10
          FROM report
          WHERE delivery.environment_id = report.environment_id AND delivery.run_id = report.run_id AND delivery.chunk_no = report.chunk_no
            AND delivery.channel = report.channel AND delivery.pending > 0 AND report.pending <= delivery.pending
            AND report.reported = delivery.targeted - campaigns.sum_reasons(delivery.skipped)
          RETURNING report.index
        )
        SELECT report.index::integer AS index, applied.index IS NOT NULL AS applied,
          report.reported <> delivery.targeted - campaigns.sum_reasons(delivery.skipped) AS mismatched
        FROM report
        JOIN campaigns.chunk_delivery AS delivery USING (environment_id, run_id, chunk_no, channel)
        LEFT JOIN applied USING (index)
        ORDER BY report.index`,
      values: [
        reports.map((report) => report.environment_id),
        reports.map((report) => report.run_id),
        reports.map((report) => report.chunk_no),
        reports.map((report) => report.channel),
        reports.map((report) => report.delivered),
        reports.map((report) => JSON.stringify(report.failed)),
        reports.map((report) => report.expired),
        reports.map((report) => report.cancelled),
        reports.map((report) => report.pending),
        at,
        reports.map((report) => JSON.stringify(report.failed_recipients ?? {})),
      ],
    });
  }
}
