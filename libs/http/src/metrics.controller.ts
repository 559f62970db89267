import { Controller, Get, Header } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { renderMetrics } from '#telemetry';
import { MetricsOffError } from './http.errors.js';
import { Returns } from './returns.js';
import { Public, Throws } from './routes.js';

/** Serves the metrics of this process in Prometheus' text format. */
@ApiTags('operations')
@Controller('metrics')
export class MetricsController {
  @Get()
  @ApiOperation({ operationId: 'readMetrics', summary: 'Metrics in the Prometheus text format' })
  @Public('scrapers reach it inside the network only; it holds no personal data')
  @ApiProduces('text/plain')
  @Returns(200, z.string(), 'All metrics of this process.')
  @Throws(MetricsOffError)
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  async read(): Promise<string> {
    const text = await renderMetrics();
    if (text === undefined) throw new MetricsOffError();
    return text;
  }
}
