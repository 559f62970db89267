import { z } from 'zod';
import { parseJson, textSchema } from '#http';
import { NotificationApiRequestInvalidError } from '../notificationapi.errors.js';

const COUNT_MAX = 1_000_000;
const TRACKING_ID_LENGTH_MAX = 100;
const PREFERENCES_MAX = 100;

/** The client sends an empty date while it has no notification yet. */
const before = z.union([z.literal('').transform(() => undefined), z.iso.datetime({ offset: true }).transform((text) => new Date(text))]);

/** What the published client asks on its WebSocket. */
const requestSchema = z.discriminatedUnion('route', [
  z.object({ route: z.literal('environment/data') }),
  z.object({ route: z.literal('inapp_web/unread_count') }),
  z.object({
    route: z.literal('inapp_web/notifications'),
    payload: z.object({ count: z.int().min(1).max(COUNT_MAX), before: before.optional() }),
  }),
  z.object({
    route: z.literal('inapp_web/unread_clear'),
    payload: z.object({ notificationId: textSchema({ min: 1, max: TRACKING_ID_LENGTH_MAX }).optional() }).nullish(),
  }),
  z.object({ route: z.literal('user_preferences/get_preferences') }),
  z.object({ route: z.literal('user_preferences/patch_preferences'), payload: z.array(z.unknown()).max(PREFERENCES_MAX) }),
]);

export type SocketRequest = z.output<typeof requestSchema>;

/** Reads one text of a client. @throws NotificationApiRequestInvalidError, and what `parseJson` throws */
export function parseSocketRequest(text: string): SocketRequest {
  const parsed = requestSchema.safeParse(parseJson(Buffer.from(text, 'utf8')));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new NotificationApiRequestInvalidError(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}`, {
    cause: parsed.error,
  });
}
