import type { ConfigFault } from './config-section.js';

/** The configuration cannot be used; `message` lists every fault with its remedy. The process must not start. */
export class ConfigError extends Error {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    const lines = faults.map((fault) => `  ${fault.key}: ${fault.problem}${fault.remedy === undefined ? '' : `\n    -> ${fault.remedy}`}`);
    super(`The configuration has ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}:\n${lines.join('\n')}`);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}
