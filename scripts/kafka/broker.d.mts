/** Types of broker.mjs, for the tests that are written in TypeScript. */
export interface BrokerOptions {
  /** Holds server.properties, data and broker.log; made when it is missing. */
  readonly folder: string;
  readonly port: number;
  readonly controllerPort: number;
  readonly version?: string;
  /** True lets the JVM compile fully: slower to start, for benches. */
  readonly optimised?: boolean;
  readonly onProgress?: (message: string) => void;
}

export interface RunningBroker {
  readonly pid: number;
  readonly port: number;
  readonly brokers: readonly string[];
  readonly folder: string;
  readonly version: string;
}

export function startBroker(options: BrokerOptions): Promise<RunningBroker>;
export function stopBroker(broker: Pick<RunningBroker, 'pid' | 'folder'>): Promise<boolean>;
export function isBrokerProcess(broker: Pick<RunningBroker, 'pid' | 'folder'>): Promise<boolean>;
export function pingBrokers(brokers: readonly string[]): Promise<void>;
export function freePort(): Promise<number>;
export function isPortFree(port: number): Promise<boolean>;
