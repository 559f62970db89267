import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';

/** Names another span. */
export interface SpanName {
  readonly traceId: string;
  readonly spanId: string;
}

export type ExportedSpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/** One span as its process exported it. */
export interface ExportedSpan extends SpanName {
  /** `service.name` of the process. */
  readonly service: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: ExportedSpanKind;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly SpanName[];
  readonly isFailed: boolean;
}

const KINDS: readonly ExportedSpanKind[] = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'];
const STATUS_ERROR = 2;

/**
 * A small OpenTelemetry collector for tests: takes OTLP over HTTP in JSON (OTEL_EXPORTER_OTLP_PROTOCOL=http/json) from any number of
 * processes and keeps the spans, and every byte that came, to be searched for what must not be there.
 *
 * @see https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
export class OtlpReceiver {
  readonly spans: ExportedSpan[] = [];
  /** Names of the metrics that came, by service. */
  readonly metricNames = new Map<string, Set<string>>();
  /** Requests that could not be understood. */
  readonly faults: string[] = [];
  private readonly bodies: string[] = [];

  private constructor(private readonly server: Server) {}

  /** Listens on a free port of 127.0.0.1. */
  static async start(): Promise<OtlpReceiver> {
    const server = createServer();
    const receiver = new OtlpReceiver(server);
    server.on('request', (request, response) => void receiver.answer(request, response));
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return receiver;
  }

  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** All that was ever exported, as text. */
  get exported(): string {
    return this.bodies.join('\n');
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => {
      this.server.close(resolve);
    });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const bytes = await buffer(request);
      const body = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString('utf8');
      this.bodies.push(body);
      if (request.url === '/v1/traces') this.takeSpans(JSON.parse(body) as TracesExport);
      else if (request.url === '/v1/metrics') this.takeMetrics(JSON.parse(body) as MetricsExport);
      else throw new Error(`nothing is known of ${request.url}`);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    } catch (error) {
      this.faults.push(String(error));
      response.writeHead(400).end();
    }
  }

  private takeSpans({ resourceSpans = [] }: TracesExport): void {
    for (const { resource, scopeSpans = [] } of resourceSpans) {
      const service = serviceOf(resource);
      for (const span of scopeSpans.flatMap(({ spans = [] }) => spans)) this.spans.push(toExportedSpan(service, span));
    }
  }

  private takeMetrics({ resourceMetrics = [] }: MetricsExport): void {
    for (const { resource, scopeMetrics = [] } of resourceMetrics) {
      const service = serviceOf(resource);
      const names = this.metricNames.get(service) ?? new Set();
      this.metricNames.set(service, names);
      for (const { name } of scopeMetrics.flatMap(({ metrics = [] }) => metrics)) names.add(name);
    }
  }
}

/** OTLP's JSON, as far as it is read here. */
interface Resource {
  readonly attributes?: readonly OtlpAttribute[];
}

interface OtlpAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface OtlpSpan extends SpanName {
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes?: readonly OtlpAttribute[];
  readonly links?: readonly SpanName[];
  readonly status?: { readonly code?: number };
}

interface TracesExport {
  readonly resourceSpans?: readonly {
    readonly resource?: Resource;
    readonly scopeSpans?: readonly { readonly spans?: readonly OtlpSpan[] }[];
  }[];
}

interface MetricsExport {
  readonly resourceMetrics?: readonly {
    readonly resource?: Resource;
    readonly scopeMetrics?: readonly { readonly metrics?: readonly { readonly name: string }[] }[];
  }[];
}

function toExportedSpan(service: string, span: OtlpSpan): ExportedSpan {
  const { traceId, spanId, parentSpanId, name, kind, attributes = [], links = [], status } = span;
  return {
    service,
    traceId,
    spanId,
    parentSpanId: parentSpanId === '' ? undefined : parentSpanId,
    name,
    kind: KINDS[kind] ?? 'internal',
    attributes: Object.fromEntries(attributes.map(({ key, value }) => [key, valueOf(value)])),
    links: links.map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
    isFailed: status?.code === STATUS_ERROR,
  };
}

function serviceOf(resource: Resource | undefined): string {
  const found = resource?.attributes?.find(({ key }) => key === 'service.name');
  return String(found === undefined ? 'unknown' : valueOf(found.value));
}

/** OTLP names the type of a value beside it: `{ stringValue: "…" }`, and writes 64-bit integers as texts. */
function valueOf(value: Readonly<Record<string, unknown>>): unknown {
  return 'intValue' in value ? Number(value['intValue']) : Object.values(value)[0];
}
