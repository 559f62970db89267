import { Agent } from 'node:https';
import webPush from 'web-push';
import { type FakeDevice, type FakePushServiceProcess, startFakePushServiceProcess } from '#testing';
import { encryptPayload } from '../../libs/push/src/encrypt/encrypt-payload.js';
import { type PushEndpoint, parseEndpoint } from '../../libs/push/src/push-vendor.js';
import { HttpPushTransport } from '../../libs/push/src/transport/http-push-transport.js';
import { generateVapidKeyPair } from '../../libs/push/src/vapid/vapid-key-pair.js';
import { VapidSigner } from '../../libs/push/src/vapid/vapid-signer.js';
import { type BenchOptions, type BenchResult, median } from './bench.js';

/**
 * What sending one push message costs, as a ratio to `web-push.sendNotification` in the same rounds: encryption, VAPID and the request,
 * to a fake push service in another process. CPU time of the sender counts, not the clock: other work on the machine hardly moves it.
 * Both senders have the same devices, payload and number of requests in flight, and keep their connections.
 */
const MESSAGES = 2_000;
const DEVICES = 1_000;
const IN_FLIGHT = 100;
/** Reading each message would make the fake service the slowest part; a sample proves that the messages are whole. */
const DECRYPT_EVERY = 20;
const CPU_RATIO_MAX = 0.5;
const CLOSE_MS = 5_000;
const PAYLOAD = Buffer.from(JSON.stringify({ title: 'Your contract ends soon', body: 'Renew it now and save 20 percent. '.repeat(7) }));
const HEADERS = { ttlSeconds: 3_600, urgency: 'normal', topic: 'dGVzdC10b3BpYy1vZi0yNC1ieXRlcy4u' } as const;
const SUBJECT = 'mailto:ops@belfry.example';

/** One way to send: the message number `index` to its device. */
interface Sender {
  readonly send: (index: number) => Promise<{ readonly status: number }>;
  readonly close: () => Promise<void>;
}

/** What one sample costs. */
interface Sample {
  readonly cpuMicros: number;
  readonly messagesPerSecond: number;
}

export async function measurePushSend(options: BenchOptions): Promise<BenchResult[]> {
  const service = await startFakePushServiceProcess({ decryptEvery: DECRYPT_EVERY });
  try {
    const senders = {
      belfry: makeBelfry(service, await service.createDevices(DEVICES)),
      webPush: makeWebPush(service, await service.createDevices(DEVICES)),
    };
    const samples = { belfry: [] as Sample[], webPush: [] as Sample[] };
    // The first round warms code and connections; it does not count.
    for (let round = 0; round <= options.rounds; round += 1) {
      for (const method of round % 2 === 0 ? (['belfry', 'webPush'] as const) : (['webPush', 'belfry'] as const)) {
        const sample = await takeSample(service, senders[method]);
        if (round > 0) samples[method].push(sample);
      }
      options.note(round === 0 ? 'send path warmed up' : `send path, round ${round} of ${options.rounds}`);
    }
    await Promise.all(Object.values(senders).map((sender) => sender.close()));
    return [compareCpu(samples), ...shownRates(samples)];
  } finally {
    await service.close();
  }
}

/** CPU per message of one sender, proven by what the service accepted and read. */
async function takeSample(service: FakePushServiceProcess, sender: Sender): Promise<Sample> {
  await service.reset();
  const [startedMs, cpuBefore] = [performance.now(), process.cpuUsage()];
  let next = 0;
  const work = async () => {
    while (next < MESSAGES) {
      const { status } = await sender.send(next++);
      if (status !== 201) throw new Error(`The push service answered ${status}.`);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  const cpu = process.cpuUsage(cpuBefore);
  const seconds = (performance.now() - startedMs) / 1_000;
  const [counts, received] = [await service.counts(), await service.received()];
  const read = received.filter(({ payload }) => payload === PAYLOAD.toString());
  if (counts.accepted !== MESSAGES || counts.violations > 0 || read.length !== MESSAGES / DECRYPT_EVERY) {
    throw new Error(`${counts.accepted} of ${MESSAGES} messages were accepted, ${read.length} read, ${counts.violations} broke a rule.`);
  }
  return { cpuMicros: (cpu.user + cpu.system) / MESSAGES, messagesPerSecond: MESSAGES / seconds };
}

/** As the delivery sends: keys decoded from their stored form for each message. */
function makeBelfry(service: FakePushServiceProcess, devices: readonly FakeDevice[]): Sender {
  const origins = Object.values(service.origins);
  const transport = new HttpPushTransport({ ca: service.ca, privateOrigins: origins });
  const signer = new VapidSigner(SUBJECT);
  const keyPair = { id: 'bench', ...generateVapidKeyPair() };
  const extraOrigins = new Map(origins.map((origin) => [origin, 'other' as const]));
  const { signal } = new AbortController();
  return {
    send: (index) => {
      const device = deviceAt(devices, index);
      const endpoint = parseEndpoint(device.endpoint, extraOrigins) as PushEndpoint;
      const keys = { p256dh: Buffer.from(device.p256dh, 'base64url'), auth: Buffer.from(device.auth, 'base64url') };
      const body = encryptPayload(keys, PAYLOAD);
      const authorization = signer.authorizationFor(keyPair, endpoint.origin, Date.now());
      return transport.send({ ...HEADERS, endpoint, authorization, body, signal });
    },
    close: () => transport.close(CLOSE_MS),
  };
}

/** As its documentation shows, on connections that are kept. Its devices are its own: each is bound to the key of its first message. */
function makeWebPush(service: FakePushServiceProcess, devices: readonly FakeDevice[]): Sender {
  const agent = new Agent({ ca: service.ca, keepAlive: true });
  const vapidDetails = { subject: SUBJECT, ...webPush.generateVAPIDKeys() };
  const { ttlSeconds: TTL, urgency, topic } = HEADERS;
  return {
    send: async (index) => {
      const { endpoint, p256dh, auth } = deviceAt(devices, index);
      const sent = await webPush.sendNotification({ endpoint, keys: { p256dh, auth } }, PAYLOAD, {
        vapidDetails,
        TTL,
        urgency,
        topic,
        agent,
      });
      return { status: sent.statusCode };
    },
    close: async () => agent.destroy(),
  };
}

function deviceAt(devices: readonly FakeDevice[], index: number): FakeDevice {
  return devices[index % devices.length] as FakeDevice;
}

/** Less is better here: the ratio has to stay below its target. */
function compareCpu({ belfry, webPush: baseline }: { belfry: readonly Sample[]; webPush: readonly Sample[] }): BenchResult {
  const ratio = median(belfry.map(({ cpuMicros }, round) => cpuMicros / (baseline[round]?.cpuMicros ?? Number.NaN)));
  return {
    metric: 'CPU of the sender per message against web-push.sendNotification (at most the target)',
    value: Math.round(median(belfry.map(({ cpuMicros }) => cpuMicros))),
    unit: 'us',
    baseline: Math.round(median(baseline.map(({ cpuMicros }) => cpuMicros))),
    ratio: Math.round(ratio * 1_000) / 1_000,
    target: CPU_RATIO_MAX,
    ok: ratio <= CPU_RATIO_MAX,
  };
}

/** By the clock: shown only, for it depends on what else the machine does. */
function shownRates({ belfry, webPush: baseline }: { belfry: readonly Sample[]; webPush: readonly Sample[] }): BenchResult[] {
  const rate = (samples: readonly Sample[]) => Math.round(median(samples.map(({ messagesPerSecond }) => messagesPerSecond)));
  const facts = { unit: 'messages/s', ratio: null, target: null, ok: true };
  return [{ ...facts, metric: 'messages sent by one process, encryption included', value: rate(belfry), baseline: rate(baseline) }];
}
