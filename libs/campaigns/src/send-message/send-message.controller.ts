import { Body, Controller, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { ContentRenderError, ContentTemplateInvalidError } from '#content';
import { IdempotencyKey, IdempotencyKeyInvalidError, IdempotencyKeyReusedError, Returns, Throws } from '#http';
import { SubscriberNotFoundError } from '#subscribers';
import { CurrentEnvironment, RequireScope, type EnvironmentContext } from '#tenancy';
import { acceptedMessageSchema, SendMessage, sendMessageSchema, type AcceptedMessage, type SendMessageInput } from './send-message.js';

/** Sends single messages. */
@ApiTags('messages')
@Controller('v1/messages')
export class SendMessageController {
  constructor(private readonly sendMessage: SendMessage) {}

  @Post()
  @ApiOperation({ summary: 'Send a message to one subscriber' })
  @RequireScope('messages:write')
  @Returns(202, acceptedMessageSchema, 'The message was accepted and is durable.')
  @Throws(SubscriberNotFoundError, ContentTemplateInvalidError, ContentRenderError, IdempotencyKeyInvalidError, IdempotencyKeyReusedError)
  send(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Body({ schema: sendMessageSchema }) body: SendMessageInput,
    @IdempotencyKey() key: string | undefined,
  ): Promise<AcceptedMessage> {
    return this.sendMessage.send(environment.environmentId, body, key);
  }
}
