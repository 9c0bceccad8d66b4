// Specs on the real stack wait for real servers: two minutes, not Jest's five seconds.
jest.setTimeout(120_000)
