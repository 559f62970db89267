/**
 * What operators see of messages, over separate processes: spans as a collector gets them, metrics as Prometheus reads them, log lines. The
 * way of a message is put together again from what all processes exported; and all of it is searched for what must never be in it.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeMessageId } from '#contracts';
import { METRIC, type MetricFacts } from '#telemetry';
import { type ExportedSpan, waitFor } from '#testing';
import { prometheusLabelOf, prometheusNamesOf } from '../../libs/telemetry/src/prometheus-names.js';
import { eventLogsUnderTest } from '../support/event-logs.js';
import { readOperations } from '../support/operations.js';
import { readPrometheusText } from '../support/prometheus-text.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { Runs } from '../support/runs.js';
import { startTracedStack, type TracedStack } from '../support/traced-stack.js';

/** More than one chunk holds. */
const SUBSCRIBERS = 1_200;
/** Half of a campaign's messages are chosen: some of both kinds are there for certain. */
const DELIVERIES_PER_MILLE = 500;
const [GATEWAY, SEGMENTER, INBOX, PUSH] = ['belfry-gateway', 'belfry-segmenter', 'belfry-inbox-delivery', 'belfry-push-delivery'];
const RUN_ID = 'belfry.run.id';

/** Texts that stand nowhere else; a trace, metric or log that holds one gives something away. */
const SEEDS = {
  title: `seed-title-${randomUUID()}`,
  body: `seed-body-${randomUUID()}`,
  data: `seed-data-${randomUUID()}`,
  attribute: `seed-attribute-${randomUUID()}`,
  query: `seed-query-${randomUUID()}`,
  poison: `seed-poison-${randomUUID()}`,
};

for (const { log, skipReason } of await eventLogsUnderTest()) {
  describe.skipIf(skipReason !== undefined)(`traces, metrics and logs, on the ${log} log`, () => {
    let traced: TracedStack;
    /** The trace of the single message, as its sender chose it. */
    const caller = { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex') };
    /** What browsers claim. */
    const forged = { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex') };
    const secrets: string[] = Object.values(SEEDS);

    beforeAll(async () => {
      traced = await startTracedStack(log, { TRACE_DELIVERIES_PER_MILLE: String(DELIVERIES_PER_MILLE) });
      const lines = Array.from({ length: SUBSCRIBERS }, (_, index) => {
        // One person has no code, and the title needs one.
        const attributes = index === 0 ? {} : { code: `${SEEDS.attribute}-${index}` };
        return `${JSON.stringify({ external_id: `person-${index}`, attributes })}\n`;
      });
      await (await traced.stack.api().upload('/v1/subscribers/bulk', 'application/x-ndjson', lines)).text();
    });
    beforeEach(() => showLogsOnFailure(traced?.stack));
    afterAll(async () => traced?.stop());

    it('show a single message as one trace, from the API call to the click', async () => {
      const { stack, spans, pushService } = traced;
      const device = pushService.createDevice();
      const browser = await traced.register('person-1', device);
      const response = await fetch(new URL(`/v1/messages`, stack.gateway().url), {
        method: 'POST',
        headers: {
          authorization: `Bearer ${stack.keys.apiKey}`,
          'content-type': 'application/json',
          traceparent: `00-${caller.traceId}-${caller.spanId}-01`,
        },
        body: JSON.stringify({
          subscriber_id: 'person-1',
          channels: ['inbox', 'push'],
          title: SEEDS.title,
          body: SEEDS.body,
          data: { note: SEEDS.data },
        }),
      });
      expect(response.status).toBe(202);
      const { id: messageId } = (await response.json()) as { id: string };
      const { receipt } = await traced.payloadOf(device);
      const headers = { traceparent: `00-${forged.traceId}-${forged.spanId}-01` };
      expect(await traced.report([{ receipt, kind: 'clicked' }], headers)).toMatchObject({ accepted: 1, refused: 0 });
      await waitFor(async () => browser.post(`/v1/inbox/messages/${messageId}/read`), { what: 'the message in the inbox' });
      secrets.push(device.endpoint, device.deviceId, device.p256dh, device.auth, receipt, browser.token ?? '');

      const { traceId } = caller;
      const [call] = await spans.some({ traceId, service: GATEWAY, kind: 'server' });
      expect(call).toMatchObject({ parentSpanId: caller.spanId, attributes: { 'http.route': '/v1/messages' } });
      await expectLine({ traceId, name: 'deliver inbox batch', service: INBOX }, ['process inbox.delivery.requested.urgent.v1', call.name]);
      await expectLine({ traceId, name: 'process inbox.message.delivered.v1', service: GATEWAY }, ['deliver inbox batch', call.name]);
      await expectLine({ traceId, name: 'send push message', service: PUSH }, [
        'send push batch',
        'accept push batch',
        'process push.delivery.requested.urgent.v1',
        call.name,
      ]);
      for (const topic of ['inbox.delivery.requested.urgent.v1', 'push.delivery.requested.urgent.v1', 'inbox.message.delivered.v1']) {
        await expectLine({ traceId, name: `send ${topic}`, kind: 'producer' }, [call.name]);
      }
      const [sent] = await spans.some({ traceId, name: 'send push message' });
      expect(sent).toMatchObject({ kind: 'client', attributes: { 'belfry.message.id': messageId, 'belfry.outcome': 'accepted' } });

      const [clicked] = await expectLine({ traceId, name: 'engagement clicked' }, [call.name]);
      expect(clicked.attributes).toMatchObject({ 'belfry.channel': 'push', 'belfry.message.id': messageId });
      await expectLine({ traceId, name: 'engagement read' }, [call.name]);
      const reports = await linkedCalls(clicked);
      expect(reports).toMatchObject([{ service: GATEWAY, attributes: { 'http.route': '/v1/engagement' } }]);
      expect(reports[0]?.traceId).not.toBe(traceId);
      expect(spans.all({ traceId: forged.traceId })).toEqual([]);
    });

    it('show a campaign as one trace per chunk, linked to the plan of its run', async () => {
      const { stack, spans, pushService } = traced;
      const [good, gone, flaky] = [
        pushService.createDevice(),
        pushService.createDevice({ behaviour: { answers: [410] } }),
        pushService.createDevice({ behaviour: { answers: [503, 201] } }),
      ];
      for (const [index, device] of [good, gone, flaky].entries()) {
        await traced.register(`person-${index + 2}`, device);
        secrets.push(device.endpoint, device.deviceId);
      }
      const runs = new Runs(stack);
      const title = `${SEEDS.title} {{ subscriber.code }}`;
      const runId = await runs.start({ channels: ['inbox', 'push'], audience: { all: true }, title, body: SEEDS.body });
      const run = await runs.end(runId);
      // The one without a code, and the one whose device is gone.
      expect(run.counts).toMatchObject({ failed: 2, pending: 0 });

      const plan = await spans.one({ name: 'campaign.run.plan', service: SEGMENTER });
      const id = { [RUN_ID]: plan.attributes[RUN_ID] };
      const trigger = (await spans.ancestry(plan)).at(-1);
      expect(trigger).toMatchObject({
        service: GATEWAY,
        kind: 'server',
        attributes: { 'http.route': '/v1/campaigns/:campaign_id/trigger' },
      });
      const chunks = await spans.some({ name: 'campaign.chunk.fan_out', attributes: id }, 2);
      expect(chunks.map((chunk) => chunk.attributes['belfry.chunk.no']).toSorted()).toEqual([0, 1]);
      expect(new Set([trigger?.traceId, ...chunks.map((chunk) => chunk.traceId)]).size).toBe(3);
      for (const chunk of chunks) {
        const { traceId } = chunk;
        expect(chunk.parentSpanId).toBeUndefined();
        expect(chunk.links).toContainEqual({ traceId: plan.traceId, spanId: plan.spanId });
        await expectLine({ traceId, name: 'deliver inbox batch', service: INBOX }, ['process inbox.delivery.requested.v1', chunk.name]);
        await expectLine({ traceId, name: 'process campaign.delivery.settled.v1', service: SEGMENTER }, [chunk.name]);
        await expectLine({ traceId, name: 'process inbox.message.delivered.v1', service: GATEWAY }, ['deliver inbox batch', chunk.name]);
      }
      await expectLine({ name: 'accept push batch', service: PUSH, attributes: id }, [
        'process push.delivery.requested.v1',
        'campaign.chunk.fan_out',
      ]);
      await expectSampled(plan);
      const failures = await spans.some({ name: 'deliver inbox message', attributes: { ...id, 'belfry.outcome': 'failed' } });
      expect(failures).toMatchObject([{ isFailed: true, attributes: { 'error.type': 'content_render_failed' } }]);
      for (const outcome of ['gone', 'transient']) {
        const [attempt] = await expectLine({ name: 'send push message', attributes: { ...id, 'belfry.outcome': outcome } }, [
          'send push batch',
          'campaign.chunk.fan_out',
        ]);
        expect(attempt.isFailed).toBe(true);
      }
    });

    it('show what became of a campaign in the trace of its chunk, for the messages that are chosen', async () => {
      const { spans, stack } = traced;
      const [chosen] = await spans.some({ name: 'deliver inbox message', attributes: { 'belfry.outcome': 'delivered' } });
      const messageId = String(chosen.attributes['belfry.message.id']);
      const [person] = await stack.database.query<{ external_id: string }>({
        text: 'SELECT external_id FROM subscribers.subscriber WHERE id = $1',
        values: [decodeMessageId(messageId)?.subscriberId],
      });
      const browser = await traced.browserOf(person?.external_id ?? '');
      await browser.post(`/v1/inbox/messages/${messageId}/read`);
      const [read] = await expectLine({ name: 'engagement read', attributes: { 'belfry.message.id': messageId } }, [
        'campaign.chunk.fan_out',
      ]);
      expect(read.traceId).toBe(chosen.traceId);
    });

    it('show every metric that is declared, documented, drawn or watched, with labels that name nobody', async () => {
      await poison();
      expect(await traced.report([{ receipt: 'forged', kind: 'clicked' }])).toMatchObject({ accepted: 0, refused: 1 });
      const declared = new Map(
        Object.values(METRIC as Record<string, MetricFacts>).flatMap((facts) => prometheusNamesOf(facts).map((name) => [name, facts])),
      );
      const { metrics: watched, labels } = readOperations();
      const series = await waitFor(
        async () => {
          const seen = [...(await traced.metrics()).values()].flatMap(readPrometheusText);
          const names = new Set(seen.map(({ name }) => name));
          const missing = [...declared.keys(), ...watched].filter((name) => !names.has(name));
          if (missing.length > 0) throw new Error(`Not emitted: ${missing.join(', ')}`);
          return seen;
        },
        { what: 'all metrics', timeoutMs: 30_000 },
      );
      const ours = series.filter(({ name }) => declared.has(name));
      const labelsOf = (name: string) => [...(declared.get(name)?.labels ?? []).map(prometheusLabelOf), 'le'];
      expect(ours.filter((one) => Object.keys(one.labels).some((label) => !labelsOf(one.name).includes(label)))).toEqual([]);
      const ids = /[0-9a-f]{8}-[0-9a-f]{4}|(sub|run|msg|cmp|env|dev)_[0-9a-z]{10}|person-|https?:/;
      expect(ours.filter((one) => ids.test(Object.values(one.labels).join(' ')))).toEqual([]);
      expect(labels.filter((label) => !series.some((one) => label in one.labels) && label !== 'job' && label !== 'instance')).toEqual([]);
      for (const service of [GATEWAY, SEGMENTER, INBOX, PUSH])
        expect(traced.receiver.metricNames.get(service ?? '')).toContain(METRIC.outboxPending.name);
    });

    it('log each unit of work once, with its trace', async () => {
      const expected = {
        'gateway-0': ['http.request.served'],
        'segmenter-0': ['campaign.run.planned', 'campaign.chunks.fanned_out', 'campaign.deliveries.tallied'],
        'inbox-delivery-0': ['inbox.batch.delivered'],
        'push-delivery-0': ['push.batch.accepted', 'push.batch.sent'],
      };
      for (const [name, events] of Object.entries(expected)) {
        const lines = linesOf(name);
        for (const event of events) {
          // Health and metrics are asked every few seconds, are logged at level debug and have no trace.
          const units = lines.filter((line) => line['event'] === event && line['level'] !== 'debug');
          expect(units.length, `${name} ${event}`).toBeGreaterThan(0);
          expect(
            units.filter((line) => !/^[0-9a-f]{32}$/.test(String(line['trace_id']))),
            `${name} ${event}`,
          ).toEqual([]);
        }
      }
      const counted = [...linesOf('inbox-delivery-0'), ...linesOf('push-delivery-0')].filter(
        ({ event }) => event === 'engagement.batch.tallied',
      );
      expect(counted.length).toBeGreaterThan(0);
      expect(counted.every((line) => typeof line['trace_id'] === 'string')).toBe(true);
      const single = linesOf('inbox-delivery-0').filter(
        (line) => line['trace_id'] === caller.traceId && line['event'] === 'inbox.batch.delivered',
      );
      expect(single).toHaveLength(1);
    });

    it('hold no endpoint, key, token, receipt, attribute or word of a message', async () => {
      const { stack, receiver } = traced;
      await fetch(new URL(`/v1/runs?secret=${SEEDS.query}`, stack.gateway().url), {
        headers: { authorization: `Bearer ${stack.keys.apiKey}` },
      });
      await fetch(new URL(`/v1/c/${secrets.find((text) => text.length > 100) ?? ''}`, stack.gateway().url), { redirect: 'manual' });
      const calls = (): number =>
        traced.spans.all({ service: GATEWAY, kind: 'server', attributes: { 'http.route': '/v1/c/:receipt' } }).length;
      await waitFor(() => calls() > 0, { what: 'the span of the last call', timeoutMs: 30_000 });
      const { apiKey, identitySecret } = stack.keys;
      const env = [stack.env['BELFRY_SECRET_KEY'] ?? '', new URL(stack.env['DATABASE_URL'] ?? '').password];
      const all = [...secrets, apiKey, identitySecret, ...env].filter((secret) => secret !== '');
      const shown = {
        spans_and_metrics: receiver.exported,
        ...Object.fromEntries(await traced.metrics()),
        ...Object.fromEntries(stack.processes.map((process) => [`log of ${process.name}`, process.log()])),
      };
      expect(receiver.exported.length).toBeGreaterThan(100_000);
      for (const [where, text] of Object.entries(shown)) {
        expect(
          all.filter((secret) => text.includes(secret)).map((secret) => secret.slice(0, 20)),
          where,
        ).toEqual([]);
      }
      expect(receiver.faults).toEqual([]);
    });

    /** Waits for a span whose ancestors are, among others and in this order, of the given names. */
    async function expectLine(
      query: Parameters<TracedStack['spans']['some']>[0],
      ancestors: readonly string[],
    ): Promise<readonly [ExportedSpan]> {
      const found = await waitFor(
        async () => {
          for (const span of traced.spans.all(query)) {
            const line = (await traced.spans.ancestry(span, caller.spanId)).map(({ name }) => name);
            if (isInOrder(ancestors, line)) return span;
          }
          throw new Error(JSON.stringify(traced.spans.all(query).slice(0, 3)));
        },
        { what: `${JSON.stringify(query)} below ${ancestors.join(', ')}`, timeoutMs: 60_000 },
      );
      return [found];
    }

    /** The calls, as servers saw them, in whose traces the linked spans are. */
    async function linkedCalls({ links }: ExportedSpan): Promise<ExportedSpan[]> {
      return waitFor(() => {
        const calls = links.flatMap(({ traceId }) => traced.spans.all({ traceId, kind: 'server' }));
        return calls.length >= links.length && calls;
      });
    }

    /** Of the messages some have spans of their own and some not, the same ones on each channel. */
    async function expectSampled(plan: ExportedSpan): Promise<void> {
      const attributes = { [RUN_ID]: plan.attributes[RUN_ID], 'belfry.outcome': 'delivered' };
      await traced.spans.some({ name: 'deliver inbox message', attributes }, 1);
      const expected = (SUBSCRIBERS * DELIVERIES_PER_MILLE) / 1_000;
      const chosen = (): Set<unknown> =>
        new Set(traced.spans.all({ name: 'deliver inbox message', attributes }).map((span) => span.attributes['belfry.message.id']));
      await waitFor(() => chosen().size > expected * 0.8, { what: 'about half of the messages', timeoutMs: 60_000 });
      expect(chosen().size).toBeLessThan(expected * 1.2);
      const accepted = traced.spans.all({ name: 'send push message', attributes: { ...attributes, 'belfry.outcome': 'accepted' } });
      expect(accepted.filter((span) => !chosen().has(span.attributes['belfry.message.id']))).toEqual([]);
    }

    /** A record that no consumer can read. */
    async function poison(): Promise<void> {
      await traced.stack.database.execute({
        text: `INSERT INTO event_log.outbox (lane, topic, bucket, key, value) VALUES ('bulk', 'engagement.recorded.v1', 0, 'poison', $1)`,
        values: [Buffer.from(JSON.stringify({ kind: SEEDS.poison }))],
      });
    }

    function linesOf(process: string): Record<string, unknown>[] {
      const found = traced.stack.processes.find(({ name }) => name === process);
      const lines = (found?.log() ?? '').split('\n').filter((line) => line !== '');
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    }
  });
}

function isInOrder(names: readonly string[], line: readonly string[]): boolean {
  let from = 0;
  return names.every((name) => {
    const at = line.indexOf(name, from);
    from = at + 1;
    return at !== -1;
  });
}
