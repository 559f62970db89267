import { type ExportedSpan, type OtlpReceiver, waitFor } from '#testing';

/** Exporters send in batches, and the busiest machine has two cores for all processes. */
const SPANS_MS_MAX = 60_000;

/** How a span is looked for. */
export interface SpanQuery {
  readonly name?: string;
  readonly traceId?: string;
  readonly service?: string;
  readonly kind?: ExportedSpan['kind'];
  /** Attributes that it must have. */
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/** The spans of all processes, put together again. */
export class SpanTree {
  constructor(private readonly receiver: OtlpReceiver) {}

  /** Those that came until now. */
  all(query: SpanQuery): ExportedSpan[] {
    return this.receiver.spans.filter((span) => matches(span, query));
  }

  /** Waits for at least so many. */
  async some(query: SpanQuery, count = 1): Promise<readonly [ExportedSpan, ...ExportedSpan[]]> {
    const what = `${count} spans ${JSON.stringify(query)}; of that trace or name there are ${this.describe(query)}`;
    await waitFor(() => this.all(query).length >= count, { what, timeoutMs: SPANS_MS_MAX });
    return this.all(query) as [ExportedSpan, ...ExportedSpan[]];
  }

  /** Waits for one. */
  async one(query: SpanQuery): Promise<ExportedSpan> {
    return (await this.some(query))[0];
  }

  /** Waits until a span and all above it came. @returns the span and its ancestors, the root last */
  async ancestry(span: ExportedSpan, callerSpanId?: string): Promise<readonly ExportedSpan[]> {
    return waitFor(
      () => {
        const line = this.lineOf(span);
        const above = line.at(-1)?.parentSpanId;
        return (above === undefined || above === callerSpanId) && line;
      },
      { what: `all ancestors of "${span.name}"`, timeoutMs: SPANS_MS_MAX },
    );
  }

  private lineOf(span: ExportedSpan): ExportedSpan[] {
    const line = [span];
    for (let above = this.parentOf(span); above !== undefined; above = this.parentOf(above)) line.push(above);
    return line;
  }

  private parentOf({ traceId, parentSpanId }: ExportedSpan): ExportedSpan | undefined {
    return this.receiver.spans.find((span) => span.traceId === traceId && span.spanId === parentSpanId);
  }

  private describe({ traceId, name }: SpanQuery): string {
    const near = this.receiver.spans.filter((span) => (traceId === undefined ? span.name === name : span.traceId === traceId));
    return JSON.stringify([...new Set(near.map((span) => `${span.service} ${span.name}`))]);
  }
}

function matches(span: ExportedSpan, { name, traceId, service, kind, attributes = {} }: SpanQuery): boolean {
  return (
    (name === undefined || span.name === name) &&
    (traceId === undefined || span.traceId === traceId) &&
    (service === undefined || span.service === service) &&
    (kind === undefined || span.kind === kind) &&
    Object.entries(attributes).every(([key, value]) => span.attributes[key] === value)
  );
}
