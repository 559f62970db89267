import { BelfryError } from '#contracts';
import type { WebSocketConnection } from '#http';
import type { InboxMessage, OpenSink, TabEvent } from '#inbox';
import { toNotification } from '../notifications/notification.js';
import { unreadCountOf } from '../notifications/user-notifications.js';
import type { SocketMessage } from './answer-request.js';

/** The live feed of an inbox in the words of NotificationAPI: new notifications and the unread count. Clients know nothing of other changes. */
export class NotificationTab implements OpenSink {
  constructor(private readonly connection: WebSocketConnection) {}

  send({ event, data }: TabEvent): void {
    if (event === 'message.delivered') {
      this.say({ route: 'inapp_web/new_notifications', payload: { notifications: [toNotification(data as InboxMessage)] } });
    }
    if (event === 'unread_count') {
      this.say({ route: 'inapp_web/unread_count', payload: { count: unreadCountOf(data as { count: number; capped: boolean }) } });
    }
  }

  /** Answers a request. */
  say(message: SocketMessage): void {
    this.connection.send(JSON.stringify(message));
  }

  /** Tells what is wrong with a request; the published clients pass over routes that they do not know. */
  refuse(error: BelfryError): void {
    const { code, title, hint } = error.facts;
    this.say({ route: 'error', payload: { code, title, hint, detail: error.message } });
  }

  onClose(callback: () => void): void {
    this.connection.onClose(callback);
  }

  close(): void {
    this.connection.close();
  }
}
