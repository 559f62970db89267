import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { type RevocableSession, type Session, SessionRevocations } from '#identity';
import { CatchUp } from './catch-up.js';
import { Tab, TabRegistry, type TabSink } from './tab-registry.js';

/** Whose tab it is, and what ends it when it is revoked. */
export type TabSession = RevocableSession & Pick<Session, 'subscriberId'>;

/** A tab that wants to be connected. */
export interface TabRequest {
  readonly session: TabSession;
  /** When its session token expires: the stream ends then. */
  readonly until: Date;
  /** The last event that the tab got before it lost its connection. */
  readonly lastEventId?: string | undefined;
}

/** A sink that tells when it ended: closed by us, left by the client, or cut off because it did not keep up. */
export interface OpenSink extends TabSink {
  onClose(callback: () => void): void;
}

/**
 * Connects tabs. The order matters: register (live events wait from now on) -> read what was missed -> open the stream -> send both.
 * Whatever is committed after the reading is announced to the registered tab, so nothing falls between the two.
 */
@Injectable()
export class StreamMessages {
  constructor(
    private readonly tabs: TabRegistry,
    private readonly catchUp: CatchUp,
    private readonly revocations: SessionRevocations,
    private readonly clock: Clock,
  ) {}

  /**
   * @param open opens the stream; called when nothing can fail any more.
   * @throws InboxStreamLimitError, InboxStreamCapacityError
   */
  async connect(request: TabRequest, open: () => OpenSink): Promise<void> {
    const { environmentId, subscriberId } = request.session;
    const tab = new Tab({ environmentId, subscriberId });
    this.tabs.add(tab);
    try {
      const missed = await this.catchUp.read(tab.owner, request.lastEventId);
      const sink = open();
      const expiry = setTimeout(() => tab.close(), request.until.getTime() - this.clock.now().getTime());
      expiry.unref();
      const unwatch = this.revocations.watch(request.session, () => tab.close());
      sink.onClose(() => {
        clearTimeout(expiry);
        unwatch();
        tab.close();
        this.tabs.remove(tab);
      });
      tab.goLive(sink, missed);
    } catch (error) {
      tab.close();
      this.tabs.remove(tab);
      throw error;
    }
  }
}
