import type { Content } from '#content';
import { newUuid } from '#contracts';
import type { SubscriberProfile } from '#subscribers';
import { describe, expect, it } from 'vitest';
import { renderRecipients, RENDERINGS_PER_HEARTBEAT } from './render-recipients.js';

const content: Content = { id: newUuid(), personalised: true, fields: { title: 'Hello {{ subscriber.name }}', body: 'The same for all' } };

function profile(id: string, attributes: Record<string, string>): SubscriberProfile {
  return { id, externalId: id, attributes, locale: null, timeZone: null } as SubscriberProfile;
}

function counting() {
  const progress = { beats: 0, heartbeat: async () => void (progress.beats += 1) };
  return progress;
}

describe('renderRecipients', () => {
  it('gives each recipient the personalised fields and nothing else', async () => {
    const [anna, ben] = [newUuid(), newUuid()];
    const profiles = new Map([anna, ben].map((id) => [id, profile(id, { name: id === anna ? 'Anna' : 'Ben' })]));
    const prepared = await renderRecipients({ content, recipientIds: [anna, ben], profiles }, counting());
    expect(prepared.subscriberIds).toEqual([anna, ben]);
    expect(prepared.rendered).toEqual([{ title: 'Hello Anna' }, { title: 'Hello Ben' }]);
    expect(prepared.failures.size).toBe(0);
  });

  it('says who cannot be rendered and who is gone, and renders the rest', async () => {
    const [anna, nameless, gone] = [newUuid(), newUuid(), newUuid()];
    const profiles = new Map([
      [anna, profile(anna, { name: 'Anna' })],
      [nameless, profile(nameless, {})],
    ]);
    const prepared = await renderRecipients({ content, recipientIds: [gone, nameless, anna], profiles }, counting());
    expect(prepared.subscriberIds).toEqual([anna]);
    expect([...prepared.failures]).toEqual([
      [gone, 'subscriber_gone'],
      [nameless, 'content_render_failed'],
    ]);
  });

  it('tells between renderings that it is alive, and stops when the work was taken away', async () => {
    const recipientIds = Array.from({ length: 3 * RENDERINGS_PER_HEARTBEAT }, () => newUuid());
    const profiles = new Map(recipientIds.map((id) => [id, profile(id, { name: 'N' })]));
    const progress = counting();
    await renderRecipients({ content, recipientIds, profiles }, progress);
    expect(progress.beats).toBe(2);
    const lost = { heartbeat: () => Promise.reject(new Error('partition lost')) };
    await expect(renderRecipients({ content, recipientIds, profiles }, lost)).rejects.toThrow('partition lost');
  });
});
