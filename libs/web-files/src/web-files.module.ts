import { Global, Module } from '@nestjs/common';
import { DemoLogin } from './demo-login/demo-login.js';
import { DemoLoginController } from './demo-login/demo-login.controller.js';
import { ServePageController } from './serve/serve-page.controller.js';
import { ServeSdkController } from './serve/serve-sdk.controller.js';
import { WebFiles } from './serve/web-files.js';

/** The browser client and the inbox page over HTTP. */
@Module({ controllers: [ServeSdkController, ServePageController], providers: [WebFiles] })
export class WebFilesModule {}

/** The demo's login. For the standalone app alone, which imports it only when it was started with it. */
@Global()
@Module({ controllers: [DemoLoginController], providers: [DemoLogin], exports: [DemoLogin] })
export class DemoLoginModule {}
