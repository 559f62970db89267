import { Controller, Get, Param } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Returns, Throws } from '#http';
import { CurrentEnvironment, RequireScope, type EnvironmentContext } from '#tenancy';
import { MessageNotFoundError } from '../campaigns.errors.js';
import { parseMessageId } from '../public-ids.js';
import { ReadTimeline } from './read-timeline.js';
import { timelineSchema, type TimelineResource } from './timeline-resource.js';

/** What became of one message. */
@ApiTags('messages')
@Controller('v1/messages/:message_id/timeline')
export class ReadTimelineController {
  constructor(private readonly readTimeline: ReadTimeline) {}

  @Get()
  @ApiOperation({
    summary: 'Follow one message',
    description:
      'Single messages and messages of runs alike. Says what happened on each channel and device; never what was sent, or where to.',
  })
  @RequireScope('messages:read')
  @Returns(200, timelineSchema, 'Every hop of the message, oldest first.')
  @Throws(MessageNotFoundError)
  read(@CurrentEnvironment() environment: EnvironmentContext, @Param('message_id') id: string): Promise<TimelineResource> {
    return this.readTimeline.read(environment.environmentId, parseMessageId(id));
  }
}
