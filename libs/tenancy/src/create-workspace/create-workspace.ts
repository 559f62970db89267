import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import type { Transaction } from '#database';
import { isStorableText } from '#http';
import { type Environment, ENVIRONMENT_KINDS, type EnvironmentKind } from '../environment.js';
import { hashKeyText, lastFourOf, newKeyText } from '../key-text.js';
import { SCOPES } from '../scopes.js';
import { WorkspaceExistsError } from '../tenancy.errors.js';
import { TenancyStore } from '../tenancy.store.js';

/** Longest name of a workspace, an environment or a key, in characters. */
export const NAME_LENGTH_MAX = 100;

const FIRST_KEY_NAME = 'first key';

/** True for 1 to {@link NAME_LENGTH_MAX} characters that Postgres can store. */
export function isWorkspaceName(text: string): boolean {
  return text.length >= 1 && text.length <= NAME_LENGTH_MAX && isStorableText(text);
}

/** What somebody wants to open. */
export interface WorkspaceWish {
  /** 1 to {@link NAME_LENGTH_MAX} characters. */
  readonly name: string;
  /** Refuse when the installation has a workspace already. */
  readonly onlyFirst: boolean;
}

/** A new environment with the only copy of its API key. */
export interface CreatedEnvironment {
  readonly environment: Environment;
  /** `sk_…` with all scopes; shown once, stored as a hash. */
  readonly apiKey: string;
}

/** A new workspace with its two environments. */
export interface CreatedWorkspace {
  readonly id: string;
  readonly name: string;
  readonly environments: readonly CreatedEnvironment[];
}

/** Creates a workspace with the environments `production` and `development`, each with a public key and one API key. */
@Injectable()
export class CreateWorkspace {
  constructor(private readonly store: TenancyStore) {}

  /**
   * Inserts everything in the caller's transaction, which may add what other contexts need per environment.
   * @throws WorkspaceExistsError when only the first workspace was wished for and there is one
   */
  async run(wish: WorkspaceWish, tx: Transaction): Promise<CreatedWorkspace> {
    const { name } = wish;
    if (wish.onlyFirst) await this.refuseSecond(tx);
    const id = newUuid();
    await this.store.insertWorkspace({ id, name }, tx);
    const environments: CreatedEnvironment[] = [];
    for (const kind of ENVIRONMENT_KINDS) environments.push(await this.createEnvironment(id, kind, tx));
    return { id, name, environments };
  }

  private async refuseSecond(tx: Transaction): Promise<void> {
    await this.store.lockWorkspaces(tx);
    const existing = await this.store.findFirstWorkspace(tx);
    if (existing !== undefined) throw new WorkspaceExistsError(existing.name);
  }

  private async createEnvironment(workspaceId: string, kind: EnvironmentKind, tx: Transaction): Promise<CreatedEnvironment> {
    const environment = await this.store.insertEnvironment(
      { id: newUuid(), workspaceId, name: kind, kind, publicKey: newKeyText('pk', kind) },
      tx,
    );
    const apiKey = newKeyText('sk', kind);
    const stored = { id: newUuid(), name: FIRST_KEY_NAME, hash: hashKeyText(apiKey), lastFour: lastFourOf(apiKey), scopes: SCOPES };
    await this.store.insertApiKey(environment.id, stored, tx);
    return { environment, apiKey };
  }
}
