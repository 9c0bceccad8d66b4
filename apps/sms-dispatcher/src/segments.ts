// How many segments an SMS is sent in: each is paid.
import { SegmentedMessage } from 'sms-segments-calculator'

/** Segments of a text: 160 GSM-7 characters or 70 others in one, 153 or 67 in each of several. */
export const segmentsOf = (body: string): number => Math.max(1, new SegmentedMessage(body).segmentsCount)
