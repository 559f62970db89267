import { Injectable } from '@nestjs/common';
import { originFault } from '../allowed-origins.js';
import type { Environment, EnvironmentContext } from '../environment.js';
import { EnvironmentDirectory } from '../environment-directory.js';
import { AllowedOriginInvalidError } from '../tenancy.errors.js';
import { TenancyStore } from '../tenancy.store.js';

/** Reads and changes the caller's own environment. */
@Injectable()
export class ManageEnvironment {
  constructor(
    private readonly store: TenancyStore,
    private readonly directory: EnvironmentDirectory,
  ) {}

  /** The environment as it is stored now. */
  async read(caller: EnvironmentContext): Promise<Environment> {
    const environment = await this.store.findEnvironment(caller.environmentId);
    if (environment === undefined) throw new Error('an API key names an environment that does not exist');
    return environment;
  }

  /**
   * Replaces the origins whose pages may call the browser-facing routes.
   * @throws AllowedOriginInvalidError naming each entry that no browser would send
   */
  async allowOrigins(caller: EnvironmentContext, origins: readonly string[]): Promise<Environment> {
    const faults = origins.flatMap((origin, index) => {
      const message = originFault(origin, caller.kind);
      return message === undefined ? [] : [{ pointer: `/allowed_origins/${index}`, code: 'invalid_origin', message }];
    });
    if (faults.length > 0) throw new AllowedOriginInvalidError(faults);
    await this.store.updateAllowedOrigins(caller.environmentId, [...new Set(origins)]);
    this.directory.forgetAll();
    return this.read(caller);
  }
}
