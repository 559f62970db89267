import { createHmac } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { isStorableText } from '#http';
import { EXTERNAL_ID_BYTES_MAX } from '#subscribers';
import type { EnvironmentKind } from '#tenancy';
import { DemoLoginRefusedError } from '../web-files.errors.js';

/** The environment that the demo made for itself, with the only copy of its identity secret. */
export interface DemoAccess {
  readonly kind: EnvironmentKind;
  readonly publicKey: string;
  readonly identitySecret: string;
  /** Somebody whose inbox is worth a look. */
  readonly subscriberId: string;
}

/**
 * Signs subscriber ids for visitors of the demo's page, as the server of a site does for people who logged in there; but the demo has no
 * passwords. So it can sign for one environment only, of the kind development, that this very process opened and handed over with its
 * secret: it reads no secret of anybody else, and without `admit` it signs nothing.
 */
@Injectable()
export class DemoLogin {
  #access: DemoAccess | undefined;

  /** What is known about the demo's environment, without the secret. */
  get access(): { readonly publicKey: string; readonly subscriberId: string } | undefined {
    return this.#access && { publicKey: this.#access.publicKey, subscriberId: this.#access.subscriberId };
  }

  /** @throws DemoLoginRefusedError for an environment that is not of the kind development */
  admit(access: DemoAccess): void {
    if (access.kind !== 'development') throw new DemoLoginRefusedError('the demo signs for development environments only');
    this.#access = access;
  }

  /**
   * The hash that opens a session for the subscriber, hex.
   * @throws DemoLoginRefusedError for another environment, or an id that is none
   */
  sign(publicKey: string, subscriberId: string): string {
    const access = this.#access;
    if (access === undefined || access.publicKey !== publicKey) throw new DemoLoginRefusedError('this is not the environment of the demo');
    const isId = subscriberId !== '' && isStorableText(subscriberId) && Buffer.byteLength(subscriberId) <= EXTERNAL_ID_BYTES_MAX;
    if (!isId) throw new DemoLoginRefusedError(`a subscriber id has 1 to ${EXTERNAL_ID_BYTES_MAX} bytes`);
    return createHmac('sha256', access.identitySecret).update(subscriberId).digest('hex');
  }
}
