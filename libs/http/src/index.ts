/**
 * The HTTP side of every app. How to write a route:
 *
 * ```ts
 * const triggerBodySchema = z.strictObject({ note: textSchema({ max: 200 }).optional() }).meta({ id: 'TriggerCampaign' });
 * const runSchema = z.object({ id: z.string(), state: z.enum(RUN_STATES) }).meta({ id: 'Run' });
 *
 * @ApiTags('campaigns')
 * @Controller('v1/campaigns')
 * export class TriggerCampaignController {
 *   constructor(private readonly triggerCampaign: TriggerCampaign) {}
 *
 *   @Post(':campaign_id/trigger')
 *   @ApiOperation({ summary: 'Trigger a campaign' })                // operationId: triggerCampaign, from the names of class and method
 *   @RequireScope('campaigns:write')                                // or @Public('why this needs no permission')
 *   @Returns(202, runSchema, 'The run was accepted.')
 *   @Throws(CampaignNotFoundError, IdempotencyKeyReusedError)
 *   async trigger(
 *     @CurrentEnvironment() environment: EnvironmentContext,
 *     @Param('campaign_id') campaignId: string,                     // decodeId('campaign', …) ?? throw new CampaignNotFoundError()
 *     @Body({ schema: triggerBodySchema }) body: z.infer<typeof triggerBodySchema>,
 *     @IdempotencyKey() key: string | undefined,
 *   ): Promise<z.infer<typeof runSchema>> { … }
 * }
 * ```
 *
 * - Input: `@Body({ schema })`, `@Query({ schema })`, `@Param('name', { schema })`. Use `z.strictObject` (unknown fields are refused) and
 *   `textSchema` for texts. Bodies and URLs with NUL characters or lone surrogates are refused before any handler (400), as are
 *   deep, huge, compressed and non-JSON ones.
 * - Failures: throw a `BelfryError` subclass; the filter answers with its facts as problem+json. Never catch to answer yourself.
 * - Lists: `const cursors = listCursor('campaigns')`, `@Query({ schema: pageQuerySchema(cursors) })`, `@Returns(200, pageSchema(itemSchema,
 *   'CampaignPage'), '…')`, fetch `limit + 1` rows after `cursors.decode(query.cursor)` and return `toPage(rows, limit, present, (row) =>
 *   cursors.encode(row.id))`.
 * - Repeatable writes, inside the story: `this.idempotency.run({ environmentId, route: 'POST /v1/campaigns/:id/trigger', key,
 *   requestHash: hashRequest({ campaignId, body }) }, tx, async () => answer)`. The answer is stored as JSON and given to repeats; no key, no record.
 * - Event streams: `@Res() reply: FastifyReply`, `const stream = openEventStream(reply)`, `stream.send({ id, event, data })`, `stream.onClose(…)`.
 *   Throw before `openEventStream`, never after it.
 * - WebSockets: `@TakesWebSockets('…')` on a GET route with `@Res() reply: FastifyReply`, `const socket = openWebSocket(reply)`. Throw before it, never after it.
 * - Large uploads: `@StreamedBody(['application/x-ndjson'], bytesMax)` and `@Body() body: Readable`; larger JSON: `@BodyBytesMax(bytes)`;
 *   JSON from `navigator.sendBeacon`: `@JsonBodyAs('text/plain')`.
 * - Readiness: Postgres and the event log count by themselves; for other parts `healthRegistry.register({ name, check })`. Shutdown: `shutdownService.register({ stage, name, run })`.
 * - Tests: `const app = await createHttpApp(XModule, { name: 'test', config: BelfryConfig.load([httpConfig, telemetryConfig, …], {}) }); await app.init();
 *   await app.inject({ method: 'POST', url: '/v1/…', payload: { … } })`; `findDocumentFaults(buildDocument(app, facts))` must be empty.
 */
export * from './create-http-app.js';
export * from './cursor.js';
export { documentedAs } from './documented-as.js';
export * from './event-stream.js';
export * from './health.js';
export * from './http.config.js';
export * from './http.errors.js';
export * from './http.module.js';
export * from './http-retention.store.js';
export * from './idempotency.js';
export * from './idempotency.store.js';
export * from './json-body.js';
export * from './openapi.js';
export { problemSchema } from './openapi-problems.js';
export * from './page.js';
export * from './problem.js';
export * from './render-errors-doc.js';
export * from './returns.js';
export * from './route-config.js';
export * from './run-app.js';
export * from './routes.js';
export * from './shutdown.js';
export * from './text-schema.js';
export * from './validation.pipe.js';
export * from './web-socket.js';
