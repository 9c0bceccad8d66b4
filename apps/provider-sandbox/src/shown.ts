// A message as the page shows it.
import type { ShownMessage } from './live'
import type { HeldMessage } from './phones'
import type { Product } from './product'

/** Without what belongs to the carrier; links say whether the product learns of a tap. */
export const shown = (message: HeldMessage, product: Product): ShownMessage => ({
  position: message.position,
  messageId: message.messageId,
  channel: message.channel,
  provider: message.provider,
  workspaceId: message.workspaceId,
  userId: message.userId,
  to: message.targets,
  at: message.at,
  title: message.title,
  body: message.body,
  imageUrl: message.imageUrl,
  links: message.links.map((link) => ({ ...link, tracked: product.owns(link.url) })),
  deliveredAt: message.deliveredAt,
  clickedAt: message.clickedAt,
  failedAt: message.failedAt,
  previews: message.previews,
})
