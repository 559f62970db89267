import { describe, expect, it } from 'vitest';
import { campaignDeliverySettledSchema } from '#contracts';
import { CHANNEL_TOPICS, CHANNELS } from './channels.js';

describe('channels', () => {
  it('are those that delivery reports know', () => {
    expect(campaignDeliverySettledSchema.shape.channel.options).toEqual([...CHANNELS]);
  });

  it('have topics of their own, single messages apart from campaigns', () => {
    const topics = CHANNELS.flatMap((channel) => [CHANNEL_TOPICS[channel].requested.topic, CHANNEL_TOPICS[channel].requestedUrgent.topic]);
    expect(new Set(topics).size).toBe(topics.length);
  });
});
