/** What the benches use of autocannon, which brings no types. */
declare module 'autocannon' {
  interface Request {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    /** Called before each request. */
    readonly setupRequest?: (request: Request) => Request & { readonly body: string };
  }

  interface Result {
    readonly '2xx': number;
    readonly non2xx: number;
    /** Connection errors and time-outs. */
    readonly errors: number;
    /** Seconds. */
    readonly duration: number;
    /** Milliseconds. */
    readonly latency: { readonly p50: number; readonly p99: number };
  }

  export default function autocannon(options: {
    readonly url: string;
    readonly connections: number;
    /** Seconds; or until so many requests are answered. */
    readonly duration?: number;
    readonly amount?: number;
    readonly requests: readonly Request[];
  }): Promise<Result>;
}
