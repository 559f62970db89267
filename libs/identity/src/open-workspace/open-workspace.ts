import { Injectable } from '@nestjs/common';
import { Database } from '#database';
import { type CreatedEnvironment, CreateWorkspace, type WorkspaceWish } from '#tenancy';
import { ManageIdentitySecrets } from '../secrets/manage-identity-secrets.js';

/** A new environment with the only copies of its keys. */
export interface OpenedEnvironment extends CreatedEnvironment {
  /** `isk_…`: signs subscriber ids on the customer's server. */
  readonly identitySecret: string;
}

/** A new workspace, ready for use. */
export interface OpenedWorkspace {
  readonly id: string;
  readonly name: string;
  readonly environments: readonly OpenedEnvironment[];
}

/** Opens a workspace: its environments with public key, API key and identity secret, all in one transaction. */
@Injectable()
export class OpenWorkspace {
  constructor(
    private readonly database: Database,
    private readonly createWorkspace: CreateWorkspace,
    private readonly secrets: ManageIdentitySecrets,
  ) {}

  /** @throws WorkspaceExistsError when only the first workspace was wished for and there is one */
  async run(wish: WorkspaceWish): Promise<OpenedWorkspace> {
    return this.database.transaction(async (tx) => {
      const { id, name, environments: created } = await this.createWorkspace.run(wish, tx);
      const environments: OpenedEnvironment[] = [];
      for (const { environment, apiKey } of created) {
        const { secret } = await this.secrets.createIn(environment, tx);
        environments.push({ environment, apiKey, identitySecret: secret });
      }
      return { id, name, environments };
    });
  }
}
