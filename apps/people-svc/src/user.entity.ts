// The tables of users as TypeORM reads them; changes.ts writes them in SQL, in one transaction with the outbox.
import { Column, Entity, PrimaryColumn } from 'typeorm'

@Entity({ name: 'users' })
export class User {
  @PrimaryColumn('text', { name: 'workspace_id' }) workspaceId!: string
  @PrimaryColumn('text', { name: 'user_id' }) userId!: string
  @Column('text', { name: 'phone_number', nullable: true }) phoneNumber!: string | null
  @Column('text', { name: 'kakao_phone_number', nullable: true }) kakaoPhoneNumber!: string | null
  @Column('text', { nullable: true }) locale!: string | null
  @Column('text', { nullable: true }) timezone!: string | null
  @Column('text', { name: 'opt_out_channels', array: true }) optOutChannels!: string[]
  @Column('text', { name: 'opt_out_categories', array: true }) optOutCategories!: string[]
  /** HH:mm, both or none. */
  @Column('text', { name: 'quiet_hours_start', nullable: true }) quietHoursStart!: string | null
  @Column('text', { name: 'quiet_hours_end', nullable: true }) quietHoursEnd!: string | null
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date
  @Column('timestamptz', { name: 'updated_at' }) updatedAt!: Date
}

@Entity({ name: 'devices' })
export class Device {
  @PrimaryColumn('text', { name: 'workspace_id' }) workspaceId!: string
  @PrimaryColumn('text', { name: 'user_id' }) userId!: string
  @PrimaryColumn('text', { name: 'device_id' }) deviceId!: string
  @Column('text') platform!: 'fcm' | 'apns'
  @Column('text') token!: string
  /** When it was registered last. */
  @Column('timestamptz', { name: 'updated_at' }) updatedAt!: Date
}
