// The tables of templates as TypeORM reads them; changes.ts writes them in SQL, in one transaction with the outbox.
import type { TemplateDefinition } from '@stepcast/template'
import { Column, Entity, PrimaryColumn } from 'typeorm'

/** A template as it stands: its draft, or where there is none its latest version. */
@Entity({ name: 'templates' })
export class Template {
  @PrimaryColumn('text', { name: 'workspace_id' }) workspaceId!: string
  @PrimaryColumn('text', { name: 'template_id' }) templateId!: string
  @Column('json') definition!: TemplateDefinition
  @Column('boolean', { name: 'has_draft' }) hasDraft!: boolean
  /** The latest approved; null until the first approval. */
  @Column('int', { nullable: true }) version!: number | null
  @Column('timestamptz', { name: 'archived_at', nullable: true }) archivedAt!: Date | null
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date
  @Column('timestamptz', { name: 'updated_at' }) updatedAt!: Date
}

/** What an approval froze. A trigger refuses updates. */
@Entity({ name: 'template_versions' })
export class ApprovedVersion {
  @PrimaryColumn('text', { name: 'workspace_id' }) workspaceId!: string
  @PrimaryColumn('text', { name: 'template_id' }) templateId!: string
  @PrimaryColumn('int') version!: number
  @Column('json') definition!: TemplateDefinition
  @Column('timestamptz', { name: 'approved_at' }) approvedAt!: Date
}
