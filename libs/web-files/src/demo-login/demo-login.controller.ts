import { Body, Controller, Post, Req } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Public, Returns, textSchema, Throws } from '#http';
import { DemoLoginRefusedError } from '../web-files.errors.js';
import { DemoLogin } from './demo-login.js';
import { loginFault } from './login-fault.js';

const PUBLIC_KEY_CHARACTERS_MAX = 255;
const SUBSCRIBER_ID_CHARACTERS_MAX = 255;

const demoLoginSchema = z
  .strictObject({
    public_key: textSchema({ max: PUBLIC_KEY_CHARACTERS_MAX }),
    subscriber_id: textSchema({ min: 1, max: SUBSCRIBER_ID_CHARACTERS_MAX }),
  })
  .meta({ id: 'DemoLogin' });

const demoProofSchema = z.object({ subscriber_hash: z.string() }).meta({ id: 'DemoProof' });

/** The demo's stand-in for the login of a site. It exists in the standalone app alone, and there only when it was asked for. */
@ApiTags('demo')
@Controller('demo/login')
export class DemoLoginController {
  constructor(private readonly demoLogin: DemoLogin) {}

  @Post()
  @Public('Only for the person at this machine, and only for the environment that the demo made.')
  @ApiOperation({ summary: 'Sign a subscriber id of the demo' })
  @Returns(200, demoProofSchema, 'What a site would make on its server after a login.')
  @Throws(DemoLoginRefusedError)
  login(
    @Body({ schema: demoLoginSchema }) body: z.infer<typeof demoLoginSchema>,
    @Req() request: FastifyRequest,
  ): z.infer<typeof demoProofSchema> {
    const fault = loginFault({ headers: request.headers, host: request.host, address: request.socket.remoteAddress ?? '' });
    if (fault !== undefined) throw new DemoLoginRefusedError(fault);
    return { subscriber_hash: this.demoLogin.sign(body.public_key, body.subscriber_id) };
  }
}
