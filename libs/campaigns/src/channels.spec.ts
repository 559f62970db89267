import { describe, expect, it } from 'vitest';
import { campaignDeliverySettledSchema } from '#contracts';
import { assertDeliverable, CHANNELS, DELIVERABLE_CHANNELS } from './channels.js';
import { ChannelNotDeliverableError } from './campaigns.errors.js';

describe('channels', () => {
  it('are those that delivery reports know', () => {
    expect(campaignDeliverySettledSchema.shape.channel.options).toEqual([...CHANNELS]);
  });

  it('are accepted when this version delivers them', () => {
    expect(() => assertDeliverable(Object.keys(DELIVERABLE_CHANNELS) as (typeof CHANNELS)[number][])).not.toThrow();
  });

  it('are refused with their places when it does not', () => {
    const refused = CHANNELS.filter((channel) => DELIVERABLE_CHANNELS[channel] === undefined);
    for (const channel of refused) {
      expect(() => assertDeliverable(['inbox', channel])).toThrow(
        expect.objectContaining({ faults: [expect.objectContaining({ pointer: '/channels/1' })] }) as ChannelNotDeliverableError,
      );
    }
  });
});
