import { All, Controller, Delete, Patch, Post } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { HidesMethods, MethodNotAllowedError } from '#http';
import { RequireSession, SeesContexts } from '#identity';
import { NovuRouteUnsupportedError } from './novu.errors.js';
import { NovuRoute } from './novu-route.js';

const READING_METHODS = ['GET', 'HEAD'];

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

  /** Preferences are read only: the paths of those that can be read say which methods they have. */
  @Patch(['preferences', 'preferences/global'])
  @HidesMethods()
  @NovuRoute()
  changePreference(): never {
    throw new MethodNotAllowedError(READING_METHODS);
  }

  @Patch(['preferences/bulk', 'preferences/:id', 'subscriptions/:id/preferences/:workflow'])
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
