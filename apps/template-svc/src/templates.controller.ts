// The HTTP edge of templates: who may call what, which input is read, which status is answered.
import { Body, Controller, Get, Headers, HttpCode, Param, Post, Put, Query } from '@nestjs/common'
import {
  Caller,
  fingerprintOf,
  IdempotencyKey,
  locale,
  namedTexts,
  page,
  pageQuery,
  queryInt4,
  refused,
  RequireScope,
} from '@stepcast/service'
import { z } from 'zod'
import { templateBody } from './draft'
import { Templates, templateOrder, versionOrder, type Listed, type Write } from './templates'
import type { Preview } from './preview'
import type { ListedTemplate, TemplateView, VersionView } from './view'

const listQuery = pageQuery.extend({ status: z.enum(['draft', 'approved', 'archived']).optional() })
const versionQuery = z.object({ version: queryInt4(1).optional() })
const previewBody = z.strictObject({
  variables: namedTexts(() => null).default({}),
  locale: locale.optional().describe('BCP 47; content has one language so far, so it changes nothing yet'),
})

@Controller('v1/templates')
export class TemplatesController {
  constructor(private readonly templates: Templates) {}

  /** Creates a draft. 409: the templateId is taken. 422: every broken rule with its field. */
  @Post()
  @RequireScope('admin')
  create(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Body({ schema: templateBody }) body: z.output<typeof templateBody>,
  ): Promise<TemplateView> {
    return this.templates.create(write('POST /v1/templates', caller, key, body), body.templateId, body.definition)
  }

  /** Lists templates, newest first; channels without their contents. */
  @Get()
  @RequireScope('read')
  list(
    @Caller() { workspaceId }: Caller,
    @Query({ schema: listQuery }) query: z.output<typeof listQuery>,
  ): Promise<Listed<ListedTemplate>> {
    return this.templates.list(workspaceId, page(query, templateOrder), query.status)
  }

  /** One template: the approved version asked for, else the draft, else the latest version. */
  @Get(':templateId')
  @RequireScope('read')
  read(
    @Caller() { workspaceId }: Caller,
    @Param('templateId') templateId: string,
    @Query({ schema: versionQuery }) { version }: z.output<typeof versionQuery>,
  ): Promise<TemplateView> {
    return this.templates.read(workspaceId, templateId, version)
  }

  /** Lists the approved versions, latest first. */
  @Get(':templateId/versions')
  @RequireScope('read')
  versions(
    @Caller() { workspaceId }: Caller,
    @Param('templateId') templateId: string,
    @Query({ schema: pageQuery }) query: z.output<typeof pageQuery>,
  ): Promise<Listed<VersionView>> {
    return this.templates.versions(workspaceId, templateId, page(query, versionOrder))
  }

  /** Replaces the draft; on an approved template begins a new one. 409: archived. 412: `If-Match` is not its `ETag`: somebody else has changed it. */
  @Put(':templateId')
  @RequireScope('admin')
  replaceDraft(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Param('templateId') templateId: string,
    @Headers('if-match') ifMatch: string | undefined,
    @Body({ schema: templateBody }) body: z.output<typeof templateBody>,
  ): Promise<TemplateView> {
    if (body.templateId !== undefined && body.templateId !== templateId) {
      throw refused([{ path: '/templateId', message: `must be "${templateId}" as in the address, or absent: an id never changes` }])
    }
    return this.templates.replaceDraft(
      write('PUT /v1/templates/{templateId}', caller, key, { templateId, body }),
      { templateId, ifMatch: ifMatch ?? null },
      body.definition,
    )
  }

  /** Freezes the draft as the next version; answers once Kafka has it. 409: no draft, or archived. 412: as above. 503: kept, and published later. */
  @Post(':templateId/approve')
  @HttpCode(200)
  @RequireScope('admin')
  approve(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Param('templateId') templateId: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): ReturnType<Templates['approve']> {
    const asked = write('POST /v1/templates/{templateId}/approve', caller, key, { templateId })
    return this.templates.approve(asked, { templateId, ifMatch: ifMatch ?? null })
  }

  /** Refuses new sends from now on; running sequences go on. Answers once Kafka has it. */
  @Post(':templateId/archive')
  @HttpCode(200)
  @RequireScope('admin')
  archive(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Param('templateId') templateId: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<TemplateView> {
    const asked = write('POST /v1/templates/{templateId}/archive', caller, key, { templateId })
    return this.templates.setArchived(asked, { templateId, ifMatch: ifMatch ?? null }, true)
  }

  /** Takes new sends again. Answers once Kafka has it. */
  @Post(':templateId/unarchive')
  @HttpCode(200)
  @RequireScope('admin')
  unarchive(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Param('templateId') templateId: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<TemplateView> {
    const asked = write('POST /v1/templates/{templateId}/unarchive', caller, key, { templateId })
    return this.templates.setArchived(asked, { templateId, ifMatch: ifMatch ?? null }, false)
  }

  /** The content rendered with trial values: of the version asked for, else the draft, else the latest version. */
  @Post(':templateId/preview')
  @HttpCode(200)
  @RequireScope('read', 'admin')
  preview(
    @Caller() { workspaceId }: Caller,
    @Param('templateId') templateId: string,
    @Query({ schema: versionQuery }) { version }: z.output<typeof versionQuery>,
    @Body({ schema: previewBody }) { variables }: z.output<typeof previewBody>,
  ): Promise<Preview> {
    return this.templates.preview(workspaceId, templateId, version, variables)
  }
}

const write = (route: string, caller: Caller, key: string | null, asked: unknown): Write => ({
  caller,
  route,
  key,
  fingerprint: fingerprintOf(asked),
})
