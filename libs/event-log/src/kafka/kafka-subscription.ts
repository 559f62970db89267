import { randomBytes } from 'node:crypto';
import type { Kafka } from 'kafkajs';
import type { WideLogger } from '#telemetry';
import type { SubscribeOptions, Subscription } from '../event-log.js';
import { EventLogClosedError } from '../event-log.errors.js';
import { backoffMs } from '../retry-backoff.js';
import type { AdminClient } from './admin-client.js';
import { KafkaMember } from './kafka-member.js';

/** Longest wait before a crashed member is replaced. */
const RESTART_DELAY_MS_MAX = 10_000;

/** What a subscription needs of its log. */
export interface KafkaSubscriptionOptions {
  readonly kafka: Kafka;
  readonly admin: AdminClient;
  readonly subscription: SubscribeOptions;
  readonly sessionTimeoutMs: number;
  readonly log: WideLogger;
  readonly onClosed: () => void;
}

/**
 * A membership that outlives its members: kafkajs gives a consumer up after some failures, and the subscription then makes a new one
 * after a backoff, `failed` meanwhile. The new member goes on from the committed offsets.
 *
 * An ephemeral subscription is a group with a name of its own. It commits like any other one, so that a rebalance or a restart of the
 * member skips nothing, and deletes the group when it is closed.
 */
export class KafkaSubscription implements Subscription {
  readonly group: string;
  private readonly groupId: string;
  private current: Subscription['status'] = 'starting';
  private member: KafkaMember;
  private failures = 0;
  private restartTimer: NodeJS.Timeout | undefined;
  private closing: Promise<void> | undefined;
  private readonly assigned: Promise<void>;
  private settleAssigned: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(private readonly options: KafkaSubscriptionOptions) {
    const { group, ephemeral = false } = options.subscription;
    this.group = group;
    this.groupId = ephemeral ? `${group}.${randomBytes(6).toString('hex')}` : group;
    this.assigned = new Promise((resolve, reject) => {
      this.settleAssigned = { resolve, reject };
    });
    this.assigned.catch(() => undefined);
    this.member = this.startMember();
  }

  get status(): Subscription['status'] {
    return this.current;
  }

  ready(): Promise<void> {
    return this.assigned;
  }

  close(drainMs: number): Promise<void> {
    this.closing ??= this.closeNow(drainMs);
    return this.closing;
  }

  private async closeNow(drainMs: number): Promise<void> {
    clearTimeout(this.restartTimer);
    this.settleAssigned?.reject(new EventLogClosedError(`The subscription of "${this.group}" was closed.`));
    await this.member.leave(drainMs);
    if (this.options.subscription.ephemeral === true) await this.deleteGroup();
    this.current = 'stopped';
    this.options.onClosed();
  }

  private startMember(): KafkaMember {
    const { kafka, admin, subscription, sessionTimeoutMs, log } = this.options;
    const member: KafkaMember = new KafkaMember({
      kafka,
      admin,
      groupId: this.groupId,
      subscription,
      sessionTimeoutMs,
      log,
      onAssigned: () => this.onAssigned(),
      onRebalancing: () => {
        this.current = 'rebalancing';
      },
      onCrashed: (error) => this.replace(member, error),
    });
    member.join().catch((error: unknown) => this.replace(member, error));
    return member;
  }

  private onAssigned(): void {
    if (this.closing !== undefined) return;
    this.failures = 0;
    this.current = 'running';
    this.settleAssigned?.resolve();
  }

  private replace(dead: KafkaMember, error: unknown): void {
    if (this.closing !== undefined || dead !== this.member || this.restartTimer !== undefined) return;
    this.current = 'failed';
    this.failures += 1;
    const delayMs = backoffMs(this.failures, RESTART_DELAY_MS_MAX, Math.random);
    this.options.log.warn('event_log.member.crashed', { group: this.group, failures: this.failures, restart_in_ms: delayMs }, error);
    void dead.abandon();
    this.restartTimer = setTimeout(() => {
      this.restartTimer = undefined;
      this.current = 'starting';
      this.member = this.startMember();
    }, delayMs);
  }

  private async deleteGroup(): Promise<void> {
    await this.options.admin.use((admin) => admin.deleteGroups([this.groupId])).catch(() => undefined);
  }
}
