import { Global, Module } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { ApiKeyGuard } from './authenticate/api-key.guard.js';
import { AuthenticateApiKey } from './authenticate/authenticate-api-key.js';
import { CreateWorkspace } from './create-workspace/create-workspace.js';
import { EnvironmentDirectory } from './environment-directory.js';
import { ManageApiKeysController } from './manage-api-keys/manage-api-keys.controller.js';
import { ManageApiKeys } from './manage-api-keys/manage-api-keys.js';
import { ManageEnvironmentController } from './manage-environment/manage-environment.controller.js';
import { ManageEnvironment } from './manage-environment/manage-environment.js';
import { SecretBox } from './secret-box.js';
import { tenancyConfig } from './tenancy.config.js';
import { TenancyStore } from './tenancy.store.js';

const secretBoxProvider = {
  provide: SecretBox,
  inject: [BelfryConfig],
  useFactory: (config: BelfryConfig) => new SecretBox(config.of(tenancyConfig).secretKey),
};

/**
 * Who a request acts for, in every app: guard of the API keys, environments, the box of secrets. Needs `ConfigModule` with
 * `tenancyConfig` and `DatabaseModule`.
 */
@Global()
@Module({
  providers: [TenancyStore, EnvironmentDirectory, AuthenticateApiKey, ApiKeyGuard, CreateWorkspace, secretBoxProvider],
  exports: [TenancyStore, EnvironmentDirectory, AuthenticateApiKey, ApiKeyGuard, CreateWorkspace, SecretBox],
})
export class TenancyModule {}

/** The routes under /v1/api-keys and /v1/environment, for the gateway. */
@Module({ providers: [ManageApiKeys, ManageEnvironment], controllers: [ManageApiKeysController, ManageEnvironmentController] })
export class TenancyApiModule {}
