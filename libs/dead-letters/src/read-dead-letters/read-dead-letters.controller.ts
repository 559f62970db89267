import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { CursorInvalidError, type Page, pageSchema, Returns, Throws } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import {
  type DeadLetterDetails,
  deadLetterDetailsSchema,
  type DeadLetterResource,
  deadLetterResourceSchema,
  presentDeadLetter,
  presentDeadLetterDetails,
} from '../dead-letter.resource.js';
import { DeadLetterNotFoundError } from '../dead-letters.errors.js';
import { parseDeadLetterId } from '../public-ids.js';
import { type DeadLetterQuery, deadLetterQuerySchema, ReadDeadLetters } from './read-dead-letters.js';

/** Records of the environment that could not be handled. */
@ApiTags('dead letters')
@Controller('v1/dead-letters')
export class ReadDeadLettersController {
  constructor(private readonly readDeadLetters: ReadDeadLetters) {}

  @Get()
  @ApiOperation({ summary: 'List dead letters' })
  @RequireScope('dead-letters:read')
  @Returns(200, pageSchema(deadLetterResourceSchema, 'DeadLetterPage'), 'Dead letters, newest first.')
  @Throws(CursorInvalidError)
  list(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Query({ schema: deadLetterQuerySchema }) query: DeadLetterQuery,
  ): Promise<Page<DeadLetterResource>> {
    return this.readDeadLetters.list(environment.environmentId, query, presentDeadLetter);
  }

  @Get(':dead_letter_id')
  @ApiOperation({ summary: 'Read a dead letter with its record' })
  @RequireScope('dead-letters:read')
  @Returns(200, deadLetterDetailsSchema, 'The dead letter, secrets redacted.')
  @Throws(DeadLetterNotFoundError)
  async read(@CurrentEnvironment() environment: EnvironmentContext, @Param('dead_letter_id') id: string): Promise<DeadLetterDetails> {
    return presentDeadLetterDetails(await this.readDeadLetters.read(environment.environmentId, parseDeadLetterId(id)));
  }
}
