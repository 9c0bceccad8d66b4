// `GET /l/{token}`: a tracked link, followed by whoever got the message.
import { Controller, Get, Inject, Param, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { contentPolicy, Describe, RequireScope } from '@stepcast/service'
import { LinkVisits } from './clicks'

const page = (title: string, text: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>` +
  `<body style="font:16px/1.5 system-ui,sans-serif;margin:4em auto;max-width:24em;padding:0 1em"><h1>${title}</h1><p>${text}</p>`

const gone = page('This link has expired', 'Please ask whoever sent you the message for a new one.')
const unknown = page('There is no such link', 'Perhaps a part of it was lost on the way. Please open it from the message itself.')

const headers = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-robots-tag': 'noindex',
  'content-security-policy': contentPolicy("style-src 'unsafe-inline'"),
}

/** `/l`, public: the token is all it takes. */
@Controller('l')
export class LinksController {
  constructor(@Inject(LinkVisits) private readonly visits: LinkVisits) {}

  /** 302 to where the link leads; 404: we made no such link; 410: it has expired, or its user was erased. HEAD is answered likewise. */
  @Get(':token')
  @RequireScope('public')
  @Describe({
    summary: 'Follow a tracked link',
    description:
      'Followed by people, not by you. 302 to where it leads; the first visit of a person is reported as `clicked`, those of link ' +
      'previews and scanners are not. 404: there is no such link. 410: it has expired, or its user was erased.',
  })
  async follow(@Param('token') token: string, @Req() request: Request, @Res() response: Response): Promise<void> {
    const answer = await this.visits.visit(token, request)
    // Each visit must reach us, and the page it leads to shall not learn of the token.
    response.set(headers)
    switch (answer.kind) {
      case 'redirect':
        response.status(302).set('location', answer.target).end()
        return
      case 'gone':
        response.status(410).type('html').send(gone)
        return
      case 'unknown':
        response.status(404).type('html').send(unknown)
        return
    }
  }
}
