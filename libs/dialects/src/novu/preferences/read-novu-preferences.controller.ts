import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Returns } from '#http';
import { CurrentSession, RequireSession, SeesContexts, type Session } from '#identity';
import { SubscriberStore } from '#subscribers';
import { NovuRoute } from '../novu-route.js';

const preferenceSchema = z
  .object({
    level: z.literal('global'),
    enabled: z.boolean().meta({ description: 'False for somebody who has unsubscribed from all messages.' }),
    channels: z.object({ in_app: z.boolean(), push: z.boolean() }),
  })
  .meta({ id: 'NovuPreference' });

type Preference = z.infer<typeof preferenceSchema>;

/** What is known of the preferences of a person: whether messages are wanted at all. They are not changed here. */
@ApiTags('Dialect: Novu')
@Controller('v1/inbox/preferences')
@RequireSession('inbox')
@SeesContexts()
export class ReadNovuPreferencesController {
  constructor(private readonly subscribers: SubscriberStore) {}

  @Get()
  @ApiOperation({ summary: 'List preferences as Novu clients do' })
  @Returns(
    200,
    z.object({ data: z.array(preferenceSchema) }).meta({ id: 'NovuPreferences' }),
    'The global preference; there are no others.',
  )
  @NovuRoute()
  async list(@CurrentSession() session: Session): Promise<{ data: Preference[] }> {
    return { data: [await this.read(session)] };
  }

  @Get('global')
  @ApiOperation({ summary: 'Show the global preference as Novu clients do' })
  @Returns(200, z.object({ data: preferenceSchema }).meta({ id: 'NovuGlobalPreference' }), 'The global preference.')
  @NovuRoute()
  async global(@CurrentSession() session: Session): Promise<{ data: Preference }> {
    return { data: await this.read(session) };
  }

  /** Somebody who was erased and came back under the same id is another person than the session's. */
  private async read({ environmentId, subscriberId, externalId }: Session): Promise<Preference> {
    const subscriber = await this.subscribers.findByExternalId(environmentId, externalId);
    const enabled = subscriber?.id === subscriberId && subscriber.unsubscribedAt === null;
    return { level: 'global', enabled, channels: { in_app: enabled, push: enabled } };
  }
}
