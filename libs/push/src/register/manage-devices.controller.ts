import { Body, Controller, Delete, Get, Headers, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { decodeId } from '#contracts';
import { CursorInvalidError, listCursor, pageQuerySchema, pageSchema, Returns, Throws, toPage, type Page, type PageQuery } from '#http';
import { CurrentSubscriber, RequireSession, type SessionSubscriber } from '#identity';
import { PushDeviceNotFoundError, PushEndpointNotAllowedError, PushSubscriptionUnprovenError } from '../push.errors.js';
import { deviceResourceSchema, presentDevice, type DeviceResource } from './device-resource.js';
import { ManageDevices } from './manage-devices.js';
import { pushSubscriptionSchema, type PushSubscriptionInput } from './subscription.js';

const cursors = listCursor('devices');
const listQuerySchema = pageQuerySchema(cursors);

/** The subscriber's own devices, by session token. */
@ApiTags('push')
@Controller('v1/push/subscriptions')
export class ManageDevicesController {
  constructor(private readonly manageDevices: ManageDevices) {}

  /** Registers this browser. Idempotent: call it at each visit. */
  @Post()
  @ApiOperation({
    summary: 'Register a device',
    description: 'Takes PushSubscription.toJSON() as it is. The same endpoint again is the same device; call it at each visit.',
  })
  @RequireSession('push')
  @Returns(201, deviceResourceSchema, 'The device gets push messages of this subscriber from now on.')
  @Throws(PushEndpointNotAllowedError, PushSubscriptionUnprovenError)
  async register(
    @CurrentSubscriber() subscriber: SessionSubscriber,
    @Body({ schema: pushSubscriptionSchema }) body: PushSubscriptionInput,
    @Headers('user-agent') userAgent: string | undefined,
  ): Promise<DeviceResource> {
    return presentDevice(await this.manageDevices.register(subscriber, body, userAgent));
  }

  @Get()
  @ApiOperation({ summary: 'List the devices of the subscriber' })
  @RequireSession('push')
  @Returns(200, pageSchema(deviceResourceSchema, 'PushDevicePage'), 'The devices, oldest first; removed ones are left out.')
  @Throws(CursorInvalidError)
  async list(
    @CurrentSubscriber() subscriber: SessionSubscriber,
    @Query({ schema: listQuerySchema }) { limit, cursor }: PageQuery,
  ): Promise<Page<DeviceResource>> {
    const afterId = cursors.decode(cursor);
    const devices = await this.manageDevices.list(subscriber, { limit, afterId });
    return toPage(devices, limit, presentDevice, (device) => cursors.encode(device.id));
  }

  @Delete(':device_id')
  @ApiOperation({ summary: 'Remove a device' })
  @RequireSession('push')
  @Returns(204, null, 'Nothing more is sent to the device. Removing it again changes nothing.')
  @Throws(PushDeviceNotFoundError)
  async remove(@CurrentSubscriber() subscriber: SessionSubscriber, @Param('device_id') id: string): Promise<void> {
    await this.manageDevices.remove(subscriber, decodeId('device', id));
  }
}
