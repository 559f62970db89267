import { Injectable } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { Clock } from '#contracts';
import { ATTRIBUTE, observeMetric, WideLogger } from '#telemetry';
import { DeliveryStore, type LaneKey } from '../delivery.store.js';
import { pushConfig, VAPID_SUBJECT_DEFAULT } from '../push.config.js';
import { PUSH_LANES } from '../push-delivery-state.js';
import { PUSH_VENDORS, type PushVendor } from '../push-vendor.js';
import { Settler } from '../settle/settler.js';
import { KeyBreaker } from './key-breaker.js';
import { LaneSteps } from './lane-steps.js';
import { PushLane, type LaneSettings } from './push-lane.js';
import { VendorGate } from './vendor-gate.js';

/** The urgent lane of a push service may have this share of the requests in flight, beside those of the bulk lane. */
const URGENT_SHARE = 1 / 8;

/** Makes the lanes of a process by its configuration. */
@Injectable()
export class LaneFactory {
  constructor(
    private readonly steps: LaneSteps,
    private readonly deliveries: DeliveryStore,
    private readonly settler: Settler,
    private readonly config: BelfryConfig,
    private readonly clock: Clock,
    private readonly log: WideLogger,
  ) {}

  /** A lane per push service for campaigns and one for single messages. Both share what they learn about the service. */
  makeLanes(): PushLane[] {
    if (this.config.of(pushConfig).vapidSubject === VAPID_SUBJECT_DEFAULT)
      this.log.warn('push.contact.missed', { key: 'PUSH_VAPID_SUBJECT' });
    return PUSH_VENDORS.flatMap((vendor) => {
      const shared = { gate: new VendorGate(), keyBreaker: new KeyBreaker() };
      this.showPauses(vendor, shared);
      return PUSH_LANES.map((lane) => this.makeLane({ vendor, lane }, shared));
    });
  }

  private makeLane(key: LaneKey, shared: { gate: VendorGate; keyBreaker: KeyBreaker }): PushLane {
    return new PushLane(key, this.settingsOf(key), {
      ...shared,
      deliveries: this.deliveries,
      steps: this.steps,
      onChanged: (batches) => this.settler.mark(batches),
      now: () => this.clock.now(),
      random: Math.random,
      log: this.log,
    });
  }

  private showPauses(vendor: PushVendor, { gate, keyBreaker }: { gate: VendorGate; keyBreaker: KeyBreaker }): void {
    observeMetric('pushLanesPaused', (result) => {
      const nowMs = this.clock.now().getTime();
      result.observe(keyBreaker.countResting(nowMs), { [ATTRIBUTE.vendor]: vendor, [ATTRIBUTE.reason]: 'key_refused' });
      result.observe(gate.isPaused(nowMs) ? 1 : 0, { [ATTRIBUTE.vendor]: vendor, [ATTRIBUTE.reason]: 'service_paused' });
    });
  }

  private settingsOf({ lane }: LaneKey): LaneSettings {
    const { inFlightMax, attemptsMax, retryDelayMs, leaseSeconds } = this.config.of(pushConfig);
    return {
      inFlightMax: lane === 'bulk' ? inFlightMax : Math.max(1, Math.round(inFlightMax * URGENT_SHARE)),
      attemptsMax,
      retryDelayMs,
      leaseMs: leaseSeconds * 1_000,
    };
  }
}
