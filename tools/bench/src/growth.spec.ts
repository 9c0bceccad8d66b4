// "A million timers and ten million events" has to be what is in the store.
import { sequencesFor } from './growth'

describe('the filled store', () => {
  it('holds the timers asked for, and events to fill up with ended sequences', () => {
    expect(sequencesFor({ timers: 1_000_000, events: 10_000_000 })).toEqual({ waiting: 1_000_000, ended: 1_166_667 })
  })

  it('has no ended sequences where the waiting ones alone have events enough', () => {
    expect(sequencesFor({ timers: 1_000_000, events: 1_000 })).toEqual({ waiting: 1_000_000, ended: 0 })
  })
})
