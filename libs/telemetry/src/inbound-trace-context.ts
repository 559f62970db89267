import type { Context, TextMapGetter, TextMapPropagator, TextMapSetter } from '@opentelemetry/api';
import { core } from '@opentelemetry/sdk-node';

/** An API key as customers' servers send it. */
const WITH_API_KEY = /^Bearer sk_/;

/**
 * W3C trace context of HTTP calls, taken over from callers with an API key only. A page or a service worker, which anybody can imitate,
 * would otherwise choose in whose trace its calls appear and whether they are sampled: their calls begin traces of their own. Rows and
 * records do not come here (`contextFromTraceparent`).
 *
 * @see https://www.w3.org/TR/trace-context/#security-considerations
 */
export class InboundTraceContext implements TextMapPropagator {
  private readonly w3c = new core.W3CTraceContextPropagator();

  inject(context: Context, carrier: unknown, setter: TextMapSetter): void {
    this.w3c.inject(context, carrier, setter);
  }

  extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
    const authorization = getter.get(carrier, 'authorization');
    return WITH_API_KEY.test(String(authorization)) ? this.w3c.extract(context, carrier, getter) : context;
  }

  fields(): string[] {
    return this.w3c.fields();
  }
}
