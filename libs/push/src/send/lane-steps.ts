import { Injectable } from '@nestjs/common';
import { DeliverySampler } from '#telemetry';
import { ParkBatch } from './park-batch.js';
import { PrepareMessages } from './prepare-messages.js';
import { SendPush } from './send-push.js';
import { WriteResults } from './write-results.js';

/** What every lane does with the deliveries that it claims; the steps have no state of their own lane. */
@Injectable()
export class LaneSteps {
  constructor(
    readonly prepareMessages: PrepareMessages,
    readonly sendPush: SendPush,
    readonly parkBatch: ParkBatch,
    readonly writeResults: WriteResults,
    readonly sampler: DeliverySampler,
  ) {}
}
