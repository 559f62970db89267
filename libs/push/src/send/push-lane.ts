/**
 * One sender loop: the deliveries of one push service on one lane.
 *
 * Overview: claim as many due deliveries as there is room for, make and encrypt their messages, send them all at once, write the results
 * back in batches. Claims do not wait for each other: a slow answer holds up its own place in the lane and nothing else, and no other lane
 * at all.
 *
 * Life cycle of the loop: started -> claims while there is room and something due, rests otherwise (woken by new deliveries, written
 * results, the end of a pause) -> stopped: claims nothing more, lets what is in flight finish, hands the rest back.
 *
 * Invariants:
 * - What is claimed and has no result never exceeds the limit of the lane; results that wait to be written are bounded beside it, so that
 *   the next deliveries are sent while the results of the last ones are on their way.
 * - Each claimed delivery gets one result, or none when this process fails: then its lease ends and another sender takes it.
 * - A pause of the push service or of a VAPID key also holds what was claimed before it and has not left yet.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DatabaseUnavailableError } from '#database';
import { ATTRIBUTE, type HopOf, type WideLogger, withBatchSpan } from '#telemetry';
import type { BatchKey } from '../batch.store.js';
import type { PushOutcome } from '../deliver/classify-push-response.js';
import type { ClaimedDelivery, ClaimedDevice, DeliveryResult, DeliveryStore, LaneKey } from '../delivery.store.js';
import { WakeUp } from '../wake-up.js';
import { AttemptRecord } from './attempt-record.js';
import { decideResult, end, postpone } from './decide-result.js';
import { InFlightLimit } from './in-flight-limit.js';
import type { KeyBreaker } from './key-breaker.js';
import type { LaneSteps } from './lane-steps.js';
import { RESULTS_BATCH_MAX, ResultWriter } from './result-writer.js';
import { triageDelivery } from './triage-delivery.js';
import type { VendorGate } from './vendor-gate.js';

/** Deliveries of one claim. */
export const CLAIM_ROWS_MAX = 500;
/** While something is open, a claim waits until this share of the limit is free: many small claims cost more than few larger ones. */
const REFILL_SHARE = 0.25;
/** Results that wait to be written: beyond it nothing is claimed, because Postgres does not keep up or is down. */
const UNWRITTEN_MAX = 2 * RESULTS_BATCH_MAX;
/** Messages that are begun between two turns of the event loop: their devices' secrets are opened in it. */
const BEGUN_PER_TURN = 64;
/** Longest rest of the loop; the poll of the sender wakes it sooner when something is due. */
const REST_MS_MAX = 120_000;
const FAILURE_REST_MS = 1_000;

/** How a lane sends. */
export interface LaneSettings {
  readonly inFlightMax: number;
  readonly attemptsMax: number;
  readonly retryDelayMs: number;
  readonly leaseMs: number;
}

/** What a lane works with. The gate and the key breaker are those of its push service. */
export interface LaneParts {
  readonly deliveries: DeliveryStore;
  readonly steps: LaneSteps;
  readonly gate: VendorGate;
  readonly keyBreaker: KeyBreaker;
  /** Told which batches' counts changed. */
  readonly onChanged: (batches: readonly BatchKey[]) => void;
  readonly now: () => Date;
  readonly random: () => number;
  readonly log: WideLogger;
}

/** What becomes of the deliveries of one claim. */
interface ClaimWork {
  readonly settle: (result: DeliveryResult) => void;
  /** Below which span the work for a delivery belongs. */
  readonly hopOf: HopOf;
}

export class PushLane {
  private readonly limit: InFlightLimit;
  private readonly writer: ResultWriter;
  private readonly record: AttemptRecord;
  private readonly wakeUp = new WakeUp();
  private readonly works = new Set<Promise<void>>();
  private readonly giveUp = new AbortController();
  /** Claimed deliveries without a result. */
  private open = 0;
  /** Results that wait to be written. */
  private unwritten = 0;
  /** After Postgres was away. */
  private restsUntilMs = 0;
  private isStopping = false;
  private loop: Promise<void> | undefined;

  constructor(
    readonly key: LaneKey,
    private readonly settings: LaneSettings,
    private readonly parts: LaneParts,
  ) {
    this.limit = new InFlightLimit(settings.inFlightMax);
    this.record = new AttemptRecord(key, parts.steps.sampler);
    const onWritten = (batches: readonly BatchKey[], results: number): void => {
      this.unwritten -= results;
      parts.onChanged(batches);
      this.wakeUp.wake();
    };
    this.writer = new ResultWriter({ writeResults: parts.steps.writeResults, log: parts.log, now: parts.now, onWritten });
  }

  start(): void {
    this.loop ??= this.run();
  }

  /** There may be something due. */
  wake(): void {
    this.wakeUp.wake();
  }

  /** Claims what there is room for and begins to send it. @returns how many deliveries were claimed */
  async fill(): Promise<number> {
    const now = this.parts.now();
    const limit = this.room(now.getTime());
    if (limit === 0) return 0;
    const claim = { limit, now, leaseEndsAt: new Date(now.getTime() + this.settings.leaseMs) };
    const deliveries = await this.parts.deliveries.claim(this.key, claim);
    if (deliveries.length === 0) return 0;
    this.open += deliveries.length;
    const work = this.work(deliveries).finally(() => this.works.delete(work));
    this.works.add(work);
    return deliveries.length;
  }

  /** Resolves when nothing is in hand any more. */
  async idle(): Promise<void> {
    await Promise.all(this.works);
    await this.writer.flush();
  }

  /** Claims nothing more, waits up to `drainMs` for what is in flight, and hands back what is not over by then. */
  async stop(drainMs: number): Promise<void> {
    this.isStopping = true;
    this.wakeUp.wake();
    await this.loop;
    const timer = setTimeout(() => this.giveUp.abort(), drainMs);
    await Promise.all(this.works);
    clearTimeout(timer);
    await this.writer.close();
  }

  private async run(): Promise<void> {
    while (!this.isStopping) {
      try {
        if ((await this.fill()) === 0) await this.wakeUp.wait(this.restMs());
      } catch (error) {
        this.parts.log.warn('push.lane.failed', { ...this.key }, error);
        await this.wakeUp.wait(FAILURE_REST_MS);
      }
    }
  }

  private room(nowMs: number): number {
    if (this.isStopping || this.parts.gate.isPaused(nowMs) || nowMs < this.restsUntilMs) return 0;
    const free = this.limit.current - this.open;
    const isEnough = this.open === 0 || free >= this.limit.current * REFILL_SHARE;
    if (free <= 0 || !isEnough || this.unwritten >= UNWRITTEN_MAX) return 0;
    return Math.min(free, CLAIM_ROWS_MAX);
  }

  private restMs(): number {
    const pauseMs = Math.max(this.parts.gate.pausedUntilMs, this.restsUntilMs) - this.parts.now().getTime();
    return pauseMs > 0 ? Math.min(pauseMs, REST_MS_MAX) : REST_MS_MAX;
  }

  /** The whole way of one claim. Never rejects. */
  private async work(deliveries: readonly ClaimedDelivery[]): Promise<void> {
    const tally = new Map<string, number>();
    const startedMs = performance.now();
    const open = new Set(deliveries);
    const settle = (result: DeliveryResult): void => {
      open.delete(result.delivery);
      this.open -= 1;
      this.unwritten += 1;
      tally.set(result.state, (tally.get(result.state) ?? 0) + 1);
      this.writer.add([result]);
      this.wakeUp.wake();
    };
    const attributes = {
      [ATTRIBUTE.channel]: 'push',
      [ATTRIBUTE.lane]: this.key.lane,
      [ATTRIBUTE.vendor]: this.key.vendor,
      [ATTRIBUTE.deliveries]: deliveries.length,
    };
    const traceparents = () => deliveries.map((delivery) => delivery.traceparent ?? undefined);
    await withBatchSpan('send push batch', { attributes, traceparents }, async (hopOf) => {
      try {
        await this.sendAll(deliveries, { settle, hopOf });
      } catch (error) {
        this.parts.log.error('push.batch.broken', { ...this.key, deliveries: open.size }, error);
      }
      this.parts.log.info('push.batch.sent', {
        ...this.key,
        deliveries: deliveries.length,
        ...Object.fromEntries(tally),
        in_flight_max: this.limit.current,
        duration_ms: Math.round(performance.now() - startedMs),
      });
    });
    // What has no result was parked, or is left to the end of its lease.
    this.open -= open.size;
    this.wakeUp.wake();
  }

  private async sendAll(deliveries: readonly ClaimedDelivery[], work: ClaimWork): Promise<void> {
    const { settle, hopOf } = work;
    const sendable = await this.sortOut(deliveries, settle);
    const messages = await this.prepareOrHandBack(sendable, settle);
    const sending: Promise<void>[] = [];
    for (const [index, message] of messages.entries()) {
      if (index > 0 && index % BEGUN_PER_TURN === 0) await nextTurn();
      const delivery = sendable[index];
      if (delivery === undefined) continue;
      if (!Buffer.isBuffer(message)) settle(end(delivery, 'failed', message));
      else sending.push(this.sendOne(delivery, message, hopOf).then(settle));
    }
    const failure = (await Promise.allSettled(sending)).find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  private async prepareOrHandBack(sendable: readonly ClaimedDelivery[], settle: (result: DeliveryResult) => void) {
    try {
      return await this.parts.steps.prepareMessages.prepare(sendable);
    } catch (error) {
      const againAtMs = this.restAfter(error, sendable.length);
      for (const delivery of sendable) settle(postpone(delivery, againAtMs));
      return [];
    }
  }

  /**
   * While Postgres is away nothing can be sent: what was claimed just before is handed back, so that nobody waits for the end of a lease,
   * and the lane rests as long as that does.
   *
   * @returns until when
   * @throws whatever else the failure is
   */
  private restAfter(failure: unknown, deliveries: number): number {
    if (!(failure instanceof DatabaseUnavailableError)) throw failure;
    this.restsUntilMs = this.parts.now().getTime() + FAILURE_REST_MS;
    this.parts.log.warn('push.batch.handed_back', { ...this.key, deliveries }, failure);
    return this.restsUntilMs;
  }

  /** Ends and parks what is not to be sent. */
  private async sortOut(
    deliveries: readonly ClaimedDelivery[],
    settle: (result: DeliveryResult) => void,
  ): Promise<readonly ClaimedDelivery[]> {
    const nowMs = this.parts.now().getTime();
    for (const delivery of deliveries) this.record.claimed(delivery, nowMs);
    const sendable: ClaimedDelivery[] = [];
    const parked: ClaimedDelivery[] = [];
    for (const delivery of deliveries) {
      const verdict = triageDelivery(delivery, nowMs, this.settings.attemptsMax);
      if (verdict.kind === 'send') sendable.push(delivery);
      else if (verdict.kind === 'park') parked.push(delivery);
      else settle(end(delivery, verdict.state, verdict.reason));
    }
    try {
      if (parked.length > 0) await this.parts.steps.parkBatch.park(parked, this.parts.now());
    } catch (error) {
      const againAtMs = this.restAfter(error, parked.length);
      for (const delivery of parked) settle(postpone(delivery, againAtMs));
    }
    return sendable;
  }

  private async sendOne(delivery: ClaimedDelivery, plaintext: Buffer, hopOf: HopOf): Promise<DeliveryResult> {
    const device = delivery.device as ClaimedDevice;
    const begunAtMs = this.parts.now().getTime();
    const waitUntilMs = this.mustWaitUntil(device, begunAtMs);
    if (waitUntilMs !== undefined) return postpone(delivery, waitUntilMs);
    const dispatch = { delivery, device, plaintext, lane: this.key.lane, signal: this.giveUp.signal };
    const sealed = await this.parts.steps.sendPush.seal(dispatch).catch((error: unknown) => this.restAfter(error, 1));
    if (typeof sealed === 'number') return postpone(delivery, sealed);
    const sentAtMs = this.parts.now().getTime();
    const heldUntilMs = this.heldUntil(device, begunAtMs, sentAtMs);
    if (heldUntilMs !== undefined) return postpone(delivery, heldUntilMs);
    const outcome = sealed.kind === 'sealed' ? await this.parts.steps.sendPush.send(sealed) : sealed;
    const nowMs = this.parts.now().getTime();
    const hop = hopOf(delivery.traceparent ?? undefined);
    this.record.ended({ delivery, outcome, startedAtMs: sentAtMs, endedAtMs: nowMs, hop });
    if (this.giveUp.signal.aborted && outcome.kind === 'transient') return postpone(delivery, nowMs);
    const keyPausedUntilMs = this.learn(outcome, { delivery, device, sentAtMs, nowMs });
    const { attemptsMax, retryDelayMs } = this.settings;
    return decideResult(delivery, outcome, { nowMs, random: this.parts.random(), attemptsMax, retryDelayMs, keyPausedUntilMs });
  }

  private mustWaitUntil(device: ClaimedDevice, nowMs: number): number | undefined {
    if (this.isStopping) return nowMs;
    if (this.parts.gate.isPaused(nowMs)) return this.parts.gate.pausedUntilMs;
    return this.parts.keyBreaker.admit(device.vapidKeyId, nowMs);
  }

  /** Until when a message waits because of what happened while it was encrypted. */
  private heldUntil(device: ClaimedDevice, begunAtMs: number, nowMs: number): number | undefined {
    if (this.isStopping) return nowMs;
    if (this.parts.gate.isPaused(nowMs)) return this.parts.gate.pausedUntilMs;
    return this.parts.keyBreaker.refusedSince(device.vapidKeyId, begunAtMs);
  }

  /** Draws the conclusions of one answer for all that come after it. @returns until when the device's VAPID key rests, if it does */
  private learn(
    outcome: PushOutcome,
    sent: { delivery: ClaimedDelivery; device: ClaimedDevice; sentAtMs: number; nowMs: number },
  ): number | undefined {
    const { gate, keyBreaker, log } = this.parts;
    const { nowMs } = sent;
    switch (outcome.kind) {
      case 'throttled':
        this.limit.onOverload(nowMs);
        if (gate.pause(outcome.retryAfterMs, nowMs))
          log.warn('push.vendor.throttled', { ...this.key, retry_after_ms: outcome.retryAfterMs });
        return undefined;
      case 'transient':
        this.limit.onOverload(nowMs);
        if (gate.onFailure(nowMs)) {
          this.limit.collapse();
          log.warn('push.vendor.unavailable', { ...this.key, reason: outcome.reason, pause_ms: gate.pausedUntilMs - nowMs });
        }
        return undefined;
      case 'misconfigured': {
        const vapidKeyId = sent.device.vapidKeyId;
        const { untilMs, isNews } = keyBreaker.onRefusal(vapidKeyId, sent.sentAtMs, nowMs);
        const fields = { vendor: this.key.vendor, environment_id: sent.delivery.environmentId, vapid_key_id: vapidKeyId };
        if (isNews) log.error('push.key.refused', { ...fields, reason: outcome.reason, pause_ms: untilMs - nowMs });
        return untilMs;
      }
      case 'accepted':
        keyBreaker.onAccepted(sent.device.vapidKeyId);
        this.limit.onAnswer();
        gate.onAnswer(nowMs);
        return undefined;
      case 'gone':
      case 'refused':
        this.limit.onAnswer();
        gate.onAnswer(nowMs);
        return undefined;
    }
  }
}
