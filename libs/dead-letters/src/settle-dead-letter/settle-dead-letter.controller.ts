import { Controller, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { RecordTooLargeError } from '#event-log';
import { Returns, Throws } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { type DeadLetterDetails, deadLetterDetailsSchema, presentDeadLetterDetails } from '../dead-letter.resource.js';
import { DeadLetterNotFoundError, DeadLetterSettledError, DeadLetterTopicRetiredError } from '../dead-letters.errors.js';
import { parseDeadLetterId } from '../public-ids.js';
import { SettleDeadLetter } from './settle-dead-letter.js';

/** Replay and discard; each answers the dead letter as it is afterwards. */
@ApiTags('dead letters')
@Controller('v1/dead-letters/:dead_letter_id')
export class SettleDeadLetterController {
  constructor(private readonly settleDeadLetter: SettleDeadLetter) {}

  @Post('replay')
  @ApiOperation({ summary: 'Replay a dead letter' })
  @RequireScope('dead-letters:write')
  @Returns(200, deadLetterDetailsSchema, 'The dead letter, whose record is handled again. Replaying it twice replays it once.')
  @Throws(DeadLetterNotFoundError, DeadLetterSettledError, DeadLetterTopicRetiredError, RecordTooLargeError)
  async replay(
    @CurrentEnvironment() { environmentId }: EnvironmentContext,
    @Param('dead_letter_id') id: string,
  ): Promise<DeadLetterDetails> {
    return presentDeadLetterDetails(await this.settleDeadLetter.replay(environmentId, parseDeadLetterId(id)));
  }

  @Post('discard')
  @ApiOperation({ summary: 'Discard a dead letter' })
  @RequireScope('dead-letters:write')
  @Returns(200, deadLetterDetailsSchema, 'The dead letter, given up for good. Discarding it twice changes nothing.')
  @Throws(DeadLetterNotFoundError, DeadLetterSettledError)
  async discard(
    @CurrentEnvironment() { environmentId }: EnvironmentContext,
    @Param('dead_letter_id') id: string,
  ): Promise<DeadLetterDetails> {
    return presentDeadLetterDetails(await this.settleDeadLetter.discard(environmentId, parseDeadLetterId(id)));
  }
}
