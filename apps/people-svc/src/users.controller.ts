// The HTTP edge of users: who may call what, which input is read, which status is answered.
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common'
import { Caller, IdempotencyKey, page, pageQuery, refused, RequireScope } from '@stepcast/service'
import { z } from 'zod'
import { putDevice, putPreferences, putProfile, removeDeadToken, removeDevice } from './changes'
import {
  deadTokenBody,
  deviceBody,
  deviceIdParam,
  preferencesBody,
  profileBody,
  userIdParam,
  type DeadToken,
  type DeviceToken,
  type Preferences,
  type Profile,
} from './person'
import { userOrder, Users, type Write } from './users'
import type { DeviceView, ListedUser, PreferencesView, UserView } from './view'

const listQuery = pageQuery.extend({ prefix: z.string().max(128).default('') })

@Controller('v1/users')
export class UsersController {
  constructor(private readonly users: Users) {}

  /**
   * Creates or replaces the profile: what is absent is cleared, devices and preferences stay.
   * Answers once Kafka has it; 503 after 5 s: kept, and published later.
   */
  @Put(':userId')
  @RequireScope('admin', 'send')
  async put(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Param('userId', { schema: userIdParam }) userId: string,
    @Body({ schema: profileBody }) profile: Profile,
  ): Promise<UserView> {
    const { workspaceId } = caller
    await this.users.change(write('PUT /v1/users/{userId}', caller, key, { userId, profile }), (tx) =>
      putProfile(tx, { workspaceId, userId }, profile),
    )
    return this.users.read(workspaceId, userId)
  }

  /** Users by userId, code point by code point; with `prefix` those whose ids begin with it. Without their devices. */
  @Get()
  @RequireScope('read')
  list(
    @Caller() { workspaceId }: Caller,
    @Query({ schema: listQuery }) query: z.output<typeof listQuery>,
  ): Promise<{ items: ListedUser[]; nextCursor: string | null }> {
    return this.users.list(workspaceId, query.prefix, page(query, userOrder))
  }

  /** The user with devices and preferences, and the senders that their number has told to stop (null: not known at the moment). */
  @Get(':userId')
  @RequireScope('read')
  read(@Caller() { workspaceId }: Caller, @Param('userId', { schema: userIdParam }) userId: string): Promise<UserView> {
    return this.users.read(workspaceId, userId)
  }

  /** Erases the user and cancels what runs and waits, of an unknown user too. 204 once Kafka has it; who comes back then is a new person. */
  @Delete(':userId')
  @HttpCode(204)
  @RequireScope('admin', 'send')
  async erase(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Param('userId', { schema: userIdParam }) userId: string,
  ): Promise<void> {
    const { workspaceId } = caller
    await this.users.erase(write('DELETE /v1/users/{userId}', caller, key, { userId }), { workspaceId, userId }, requestedBy(caller))
  }

  /** Registers a device, creating the user where needed. A token another device had is taken from it. At most 20 devices, the oldest go. */
  @Put(':userId/devices/:deviceId')
  @RequireScope('admin', 'send')
  async putDevice(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Param('userId', { schema: userIdParam }) userId: string,
    @Param('deviceId', { schema: deviceIdParam }) deviceId: string,
    @Body({ schema: deviceBody }) device: DeviceToken,
  ): Promise<DeviceView> {
    const { workspaceId } = caller
    const asked = write('PUT /v1/users/{userId}/devices/{deviceId}', caller, key, { userId, deviceId, device })
    await this.users.change(asked, (tx) => putDevice(tx, { workspaceId, userId }, deviceId, device))
    return this.users.device(workspaceId, userId, deviceId)
  }

  /** Removes a device; 204 also where there is none. */
  @Delete(':userId/devices/:deviceId')
  @HttpCode(204)
  @RequireScope('admin', 'send')
  async removeDevice(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Param('userId', { schema: userIdParam }) userId: string,
    @Param('deviceId', { schema: deviceIdParam }) deviceId: string,
  ): Promise<void> {
    const { workspaceId } = caller
    const asked = write('DELETE /v1/users/{userId}/devices/{deviceId}', caller, key, { userId, deviceId })
    await this.users.change(asked, (tx) => removeDevice(tx, { workspaceId, userId }, deviceId))
  }

  /** Replaces opt-outs and quiet hours, creating the user where needed: what is absent is cleared. */
  @Put(':userId/preferences')
  @RequireScope('admin', 'send')
  async putPreferences(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Param('userId', { schema: userIdParam }) userId: string,
    @Body({ schema: preferencesBody }) preferences: Preferences,
  ): Promise<PreferencesView> {
    const { workspaceId } = caller
    const asked = write('PUT /v1/users/{userId}/preferences', caller, key, { userId, preferences })
    await this.users.change(asked, (tx) => putPreferences(tx, { workspaceId, userId }, preferences))
    return this.users.preferences(workspaceId, userId)
  }
}

@Controller('internal/devices')
export class DeadTokensController {
  constructor(private readonly users: Users) {}

  /** The push dispatcher's: a provider called a token dead. Removed unless it changed or was registered again after `deadSince`. */
  @Post('remove-token')
  @HttpCode(200)
  @RequireScope('internal', 'admin')
  async removeToken(@Caller() caller: Caller, @Body({ schema: deadTokenBody }) dead: DeadToken): Promise<{ removed: boolean }> {
    if (dead.workspaceId !== caller.workspaceId)
      throw refused([{ path: '/workspaceId', message: 'must be the workspace of the signed context' }])
    const { changed } = await this.users.change(write('POST /internal/devices/remove-token', caller, null, dead), (tx) =>
      removeDeadToken(tx, dead),
    )
    return { removed: changed }
  }
}

const write = (route: string, caller: Caller, key: string | null, asked: unknown): Write => ({ caller, route, key, asked })

const requestedBy = ({ via, keyId }: Caller): string => (keyId === null ? via : `${via} ${keyId}`)
