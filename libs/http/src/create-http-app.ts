import type { DynamicModule, Type } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { BelfryConfig, ConfigModule } from '#config';
import { DatabaseUnavailableError } from '#database';
import { countMetric, flushTelemetry, NestLogger, observeMetric, TelemetryModule, WideLogger } from '#telemetry';
import { closeEventStreams, countEventStreams } from './event-stream.js';
import { HealthRegistry } from './health.js';
import { createHttpAdapter } from './http-adapter.js';
import { httpConfig } from './http.config.js';
import { HTTP_ERRORS, ListenFailedError } from './http.errors.js';
import { HttpModule } from './http.module.js';
import { buildDocument } from './openapi.js';
import { ERRORS_PAGE_PATH } from './problem.js';
import { ProblemFilter } from './problem.filter.js';
import { renderErrorsPage } from './render-errors-doc.js';
import { logRequests, RequestsInFlight } from './request-log.js';
import { errorsOfRoutes } from './routes.js';
import { ShutdownService } from './shutdown.js';
import { RequestValidationPipe } from './validation.pipe.js';
import { closeWebSockets, countWebSockets } from './web-socket.js';

/** How an app is made. */
export interface HttpAppOptions {
  /** Name of the app in logs: `gateway`. */
  readonly name: string;
  /** Must hold `httpConfig`, `telemetryConfig` and the sections of all modules. */
  readonly config: BelfryConfig;
  /** Version in the OpenAPI document. */
  readonly version?: string;
}

/** Shown in the OpenAPI document. */
export const API_DESCRIPTION =
  'Campaigns, inbox and Web Push with true counts. Errors are problem details (RFC 9457) with a stable `code`.';

/** System errors of `listen` in words. */
const LISTEN_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has this port',
  EACCES: 'this user may not take this port',
  EADDRNOTAVAIL: 'the address is not one of this machine',
  ENOTFOUND: 'the host name is not known',
};

@Module({})
class AppRootModule {}

/**
 * Makes an app: HTTP server with limits, problem+json, validation, OpenAPI, health, metrics and staged shutdown around `module`.
 * Configuration, telemetry and `HttpModule` are provided globally. Apps that only consume use it too (for health and metrics) and
 * add `app.connectMicroservice({ strategy })` before `startHttpApp`.
 *
 * The app is neither initialised nor listening: call `startHttpApp(app)`, or in tests `await app.init()` and `app.inject(…)`.
 */
export async function createHttpApp(module: Type | DynamicModule, options: HttpAppOptions): Promise<NestFastifyApplication> {
  const { config } = options;
  const root: DynamicModule = {
    module: AppRootModule,
    imports: [ConfigModule.forRoot(config), TelemetryModule.forRoot(options.name), HttpModule, module],
  };
  const app = await NestFactory.create<NestFastifyApplication>(root, createHttpAdapter(config.of(httpConfig)), {
    bodyParser: false,
    bufferLogs: true,
    // What Nest has to say about a failed start is in the error, which `runMain` tells.
    autoFlushLogs: false,
    abortOnError: false,
  });
  const logger = app.get(WideLogger);
  app.useLogger(new NestLogger(logger));
  app.useGlobalPipes(new RequestValidationPipe());
  app.useGlobalFilters(new ProblemFilter(logger));
  const inFlight = new RequestsInFlight();
  const instance = instanceOf(app);
  logRequests(instance, logger, inFlight);
  if (config.of(httpConfig).docsEnabled) serveDocs(app, options);
  registerShutdown(app, inFlight);
  return app;
}

/**
 * Initialises an app, starts its consumers, listens, and ends it in stages by SIGTERM or SIGINT. What was started is ended in the same
 * stages when the start fails (a port in use).
 *
 * @returns the URL the server listens on.
 * @throws ListenFailedError, and whatever the start of a module or a consumer throws.
 */
export async function startHttpApp(app: NestFastifyApplication): Promise<string> {
  const config = app.get(BelfryConfig);
  const logger = app.get(WideLogger);
  const shutdown = app.get(ShutdownService);
  shutdown.listenForSignals();
  for (const warning of config.warnings) logger.warn('config.key.unknown', { warning });
  try {
    const { host, port } = config.of(httpConfig);
    await app.startAllMicroservices();
    await app.listen(port, host).catch((error: unknown) => {
      throw listenFailure(error, `${host}:${port}`);
    });
  } catch (error) {
    await shutdown.shutdown('start_failed');
    throw error;
  }
  const url = await app.getUrl();
  const summary = Object.entries(config.summary()).map(([key, value]) => `${key}=${value}`);
  logger.info('app.started', { url, config: summary });
  return url;
}

/** What a person can mend about the address in words, anything else as it is. */
function listenFailure(error: unknown, address: string): unknown {
  const reason = LISTEN_FAILURES[(error as NodeJS.ErrnoException).code ?? ''];
  return reason === undefined ? error : new ListenFailedError(`Cannot listen on ${address}: ${reason}`, { cause: error });
}

function serveDocs(app: NestFastifyApplication, options: HttpAppOptions): void {
  const { publicUrl } = options.config.of(httpConfig);
  const facts = {
    title: 'Belfry',
    description: API_DESCRIPTION,
    version: options.version ?? '1.0.0',
    ...(publicUrl === undefined ? {} : { publicUrl }),
  };
  const page = renderErrorsPage([...HTTP_ERRORS, DatabaseUnavailableError, ...errorsOfRoutes()]);
  SwaggerModule.setup('docs', app, () => buildDocument(app, facts), { jsonDocumentUrl: '/openapi.json', yamlDocumentUrl: '/openapi.yaml' });
  instanceOf(app).get(ERRORS_PAGE_PATH, (_request, reply) => reply.type('text/html; charset=utf-8').send(page));
}

/** @see SHUTDOWN_STAGES */
function registerShutdown(app: NestFastifyApplication, inFlight: RequestsInFlight): void {
  const shutdown = app.get(ShutdownService);
  const instance = instanceOf(app);
  // From the start, so that the first one is seen as an increase.
  countMetric('eventStreamsCut', 0);
  const countStreams = (): number => countEventStreams(instance) + countWebSockets(instance);
  const stopObserving = observeMetric('eventStreams', (result) => result.observe(countStreams()));
  shutdown.register({ stage: 'readiness', name: 'readiness', run: (signal) => leaveLoadBalancer(app, signal) });
  shutdown.register({ stage: 'stop', name: 'listener', run: () => void instance.server.close() });
  shutdown.register({ stage: 'drain', name: 'requests', run: (signal) => inFlight.drained(countStreams, signal) });
  shutdown.register({ stage: 'drain', name: 'consumers', run: () => closeConsumers(app) });
  shutdown.register({ stage: 'streams', name: 'event-streams', run: () => closeEventStreams(instance) });
  shutdown.register({ stage: 'streams', name: 'web-sockets', run: () => closeWebSockets(instance) });
  shutdown.register({ stage: 'telemetry', name: 'telemetry', run: flushTelemetry });
  shutdown.register({
    stage: 'database',
    name: 'modules',
    run: () => {
      stopObserving();
      instance.server.closeAllConnections();
      return app.close();
    },
  });
}

/** Turns readiness off and waits as long as load balancers need to notice. */
async function leaveLoadBalancer(app: NestFastifyApplication, signal: AbortSignal): Promise<void> {
  app.get(HealthRegistry).turnOff();
  const { shutdownNoticeMs } = app.get(BelfryConfig).of(httpConfig);
  if (shutdownNoticeMs === 0) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, shutdownNoticeMs);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** Ends consumption: the strategies drain by themselves. Nest closes them again later; a strategy's close must be idempotent. */
async function closeConsumers(app: NestFastifyApplication): Promise<void> {
  await Promise.all(
    app.getMicroservices().map((microservice) => (microservice as unknown as HybridMicroservice).getTransportServer().close()),
  );
}

/** The part of Nest's microservice that its interface does not show. */
interface HybridMicroservice {
  getTransportServer(): { close(): unknown };
}

function instanceOf(app: NestFastifyApplication): FastifyInstance {
  return app.getHttpAdapter().getInstance();
}
