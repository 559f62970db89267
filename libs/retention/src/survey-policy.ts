import { Injectable } from '@nestjs/common';
import { Database, type DueRows, type RetentionPolicy, surveyPartitions } from '#database';
import { RetentionStore } from './retention.store.js';

/** What a run of a policy would remove now. */
export interface PolicySurvey {
  readonly policy: string;
  readonly keptHours: number;
  /** By table. */
  readonly due: Readonly<Record<string, DueRows>>;
  /** Partitions that would be dropped. */
  readonly partitions: readonly string[];
}

const MS_PER_HOUR = 3_600_000;
/** Counting is not what the pool's statement timeout is for. */
const SURVEY_MS_MAX = 600_000;

/** Says what would go, by the conditions that a run goes by. Writes nothing: Postgres is told to refuse it. */
@Injectable()
export class SurveyPolicy {
  constructor(
    private readonly database: Database,
    private readonly store: RetentionStore,
  ) {}

  async survey(policy: RetentionPolicy): Promise<PolicySurvey> {
    return this.database.transaction(
      async (tx) => {
        await tx.execute({ text: 'SET TRANSACTION READ ONLY' });
        const cutoff = new Date((await this.store.readTime(tx)).getTime() - policy.keptHours * MS_PER_HOUR);
        const due: Record<string, DueRows> = {};
        const partitions: string[] = [];
        for (const step of policy.steps) {
          if (step.kind === 'rows') {
            for (const [table, found] of Object.entries(await step.survey(cutoff, tx))) due[table] = add(due[table], found);
            continue;
          }
          const { table, isHeld } = step;
          for (const partition of await surveyPartitions(tx, table, { before: cutoff, isHeld })) {
            partitions.push(partition.name);
            const { rows, bytes, from: oldestAt = null } = partition;
            due[table.parent] = add(due[table.parent], { rows, bytes, oldestAt });
          }
        }
        return { policy: policy.name, keptHours: policy.keptHours, due, partitions };
      },
      { statementTimeoutMs: SURVEY_MS_MAX },
    );
  }
}

function add(left: DueRows | undefined, right: DueRows): DueRows {
  if (left === undefined) return right;
  const times = [left.oldestAt, right.oldestAt].filter((time) => time !== null).map((time) => time.getTime());
  return {
    rows: left.rows + right.rows,
    oldestAt: times.length === 0 ? null : new Date(Math.min(...times)),
    bytes: left.bytes === null || right.bytes === null ? null : left.bytes + right.bytes,
  };
}
