// Tells when an element was really seen: half of it on the screen for one second, on a page that is in front.

/** As much of the browser as this needs; Node has none of it. */
interface Browser {
  readonly document: {
    readonly visibilityState: string
    addEventListener(type: 'visibilitychange', listener: () => void): void
    removeEventListener(type: 'visibilitychange', listener: () => void): void
  }
  readonly IntersectionObserver: new (
    seen: (entries: readonly Sighting[]) => void,
    options: { root: object | null; threshold: readonly number[] },
  ) => { observe(element: object): void; disconnect(): void }
}

interface Area {
  readonly width: number
  readonly height: number
}

interface Sighting {
  readonly intersectionRatio: number
  readonly intersectionRect: Area
  readonly rootBounds: Area | null
}

/** How an element is watched. */
export interface ObserveOptions {
  /** Milliseconds it must be seen without a break; 1,000 by default. */
  readonly afterMs?: number
  /** The part of it, or of the screen where it is larger than that, that must be seen: 0 to 1; 0.5 by default. */
  readonly part?: number
  /** The scrolling ancestor it is seen through; the window by default. */
  readonly root?: object | null
  /** The receipt was refused, or given up. */
  readonly onError?: (error: unknown) => void
}

// The observer speaks when one of these parts is crossed: twenty steps place the half of a tall element well enough.
const threshold = Array.from({ length: 21 }, (_, step) => step / 20)

/**
 * Calls `seen` once, when the element was seen; answers how to stop watching before that.
 * Throws an error where there is no IntersectionObserver (Node, workers).
 */
export function observeSeen(
  element: object,
  seen: () => void,
  { afterMs = 1_000, part = 0.5, root = null }: ObserveOptions = {},
): () => void {
  const { document, IntersectionObserver } = globalThis as unknown as Browser
  if (IntersectionObserver === undefined) throw new Error('observeViewed needs a browser: here is no IntersectionObserver')
  let onScreen = false
  let timer: ReturnType<typeof setTimeout> | null = null

  const judge = (): void => {
    const counts = onScreen && document.visibilityState === 'visible'
    if (counts && timer === null) timer = setTimeout(end, afterMs)
    if (counts || timer === null) return
    clearTimeout(timer)
    timer = null
  }
  const observer = new IntersectionObserver(
    (sightings) => {
      onScreen = isSeen(sightings.at(-1)!, part)
      judge()
    },
    { root, threshold },
  )
  const stop = (): void => {
    onScreen = false
    judge()
    observer.disconnect()
    document.removeEventListener('visibilitychange', judge)
  }
  const end = (): void => {
    stop()
    seen()
  }
  document.addEventListener('visibilitychange', judge)
  observer.observe(element)
  return stop
}

function isSeen({ intersectionRatio, intersectionRect, rootBounds }: Sighting, part: number): boolean {
  if (intersectionRatio >= part) return intersectionRect.width > 0 && intersectionRect.height > 0
  const screen = rootBounds === null ? 0 : rootBounds.width * rootBounds.height
  return screen > 0 && intersectionRect.width * intersectionRect.height >= part * screen
}
