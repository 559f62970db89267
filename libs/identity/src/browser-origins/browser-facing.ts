import { applyDecorators, SetMetadata } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';

/** Metadata key of {@link BrowserFacing}. */
export const BROWSER_FACING = 'belfry:browser-facing';

/** Marks a route or a controller that pages of allowed origins call: its CORS preflights are answered. All others have no CORS. */
export function BrowserFacing(): MethodDecorator & ClassDecorator {
  return applyDecorators(SetMetadata(BROWSER_FACING, true), ApiExtension('x-browser-facing', true));
}
