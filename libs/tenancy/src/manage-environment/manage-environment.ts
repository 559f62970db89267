import { Injectable } from '@nestjs/common';
import { Database } from '#database';
import { originFault } from '../allowed-origins.js';
import type { Environment, EnvironmentContext } from '../environment.js';
import { EnvironmentDirectory } from '../environment-directory.js';
import { AllowedOriginInvalidError } from '../tenancy.errors.js';
import { TenancyStore } from '../tenancy.store.js';

/** Reads and changes the caller's own environment. */
@Injectable()
export class ManageEnvironment {
  constructor(
    private readonly database: Database,
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
   * Replaces what is given: the origins whose pages may call the browser-facing routes, the attributes that a page alone cannot decide.
   * @throws AllowedOriginInvalidError naming each entry that no browser would send; then nothing is changed
   */
  async change(caller: EnvironmentContext, { allowedOrigins, protectedTraits }: EnvironmentChange): Promise<Environment> {
    const origins = allowedOrigins === undefined ? undefined : checkedOrigins(caller, allowedOrigins);
    await this.database.transaction(async (tx) => {
      if (origins !== undefined) await this.store.updateAllowedOrigins(caller.environmentId, origins, tx);
      if (protectedTraits !== undefined) await this.store.updateProtectedTraits(caller.environmentId, [...new Set(protectedTraits)], tx);
    });
    this.directory.forgetAll();
    return this.read(caller);
  }
}

/** What of an environment is to be replaced; what is absent stays. */
export interface EnvironmentChange {
  readonly allowedOrigins?: readonly string[] | undefined;
  readonly protectedTraits?: readonly string[] | undefined;
}

function checkedOrigins(caller: EnvironmentContext, origins: readonly string[]): string[] {
  const faults = origins.flatMap((origin, index) => {
    const message = originFault(origin, caller.kind);
    return message === undefined ? [] : [{ pointer: `/allowed_origins/${index}`, code: 'invalid_origin', message }];
  });
  if (faults.length > 0) throw new AllowedOriginInvalidError(faults);
  return [...new Set(origins)];
}
