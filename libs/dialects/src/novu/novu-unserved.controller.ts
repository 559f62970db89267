import { All, Controller, Delete, Patch, Post } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { RequireSession, SeesContexts } from '#identity';
import { NovuRouteUnsupportedError } from './novu.errors.js';
import { NovuRoute } from './novu-route.js';

/** Routes that these clients have and we do not: they get an answer that their developers can read. */
@ApiExcludeController()
@Controller('v1/inbox')
@RequireSession('inbox')
@SeesContexts()
export class NovuUnservedController {
  @Patch(['notifications/:id/snooze', 'notifications/:id/unsnooze', 'notifications/:id/complete', 'notifications/:id/revert'])
  @NovuRoute()
  change(): never {
    throw new NovuRouteUnsupportedError();
  }

  @Delete('notifications/:id/delete')
  @NovuRoute()
  remove(): never {
    throw new NovuRouteUnsupportedError();
  }

  @Post(['notifications/delete', 'events'])
  @NovuRoute()
  removeAll(): never {
    throw new NovuRouteUnsupportedError();
  }

  @Patch(['preferences', 'preferences/bulk', 'preferences/:id', 'subscriptions/:id/preferences/:workflow'])
  @NovuRoute()
  prefer(): never {
    throw new NovuRouteUnsupportedError();
  }

  @All(['topics/:key/subscriptions', 'topics/:key/subscriptions/:id'])
  @NovuRoute()
  subscribe(): never {
    throw new NovuRouteUnsupportedError();
  }
}
