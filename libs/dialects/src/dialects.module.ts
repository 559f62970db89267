import { Module } from '@nestjs/common';
import { CoreNotifyModule } from './core-notify/core-notify.module.js';
import { NotificationApiModule } from './notificationapi/notificationapi.module.js';
import { NovuModule } from './novu/novu.module.js';

/**
 * The gateway speaks to clients of other systems as those systems do. Each dialect is a module of its own: thin adapters over the
 * use-cases of the contexts, with its own paths, bodies and errors.
 */
@Module({ imports: [CoreNotifyModule, NotificationApiModule, NovuModule] })
export class DialectsModule {}
