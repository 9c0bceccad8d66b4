// For containers: makes the demo workspace once, and tells the sandbox of its phones and accounts, which that one forgets when it ends.
import { join } from 'node:path'
import { ensureDemoWorkspace, registerPhones } from './demoWorkspace'
import { devEnvText } from './devEnv'
import { connectProviders, keptAccounts } from './providerAccounts'
import { writePrivately } from './secrets'

/** Reads STEPCAST_URL, STEPCAST_SANDBOX_URL (from here), STEPCAST_PUBLIC_URL and STEPCAST_ROOT_KEY. @throws Error naming what is missing */
async function wire(home: string, env: NodeJS.ProcessEnv): Promise<string> {
  const need = (name: string): string => {
    const value = env[name]
    if (!value) throw new Error(`${name} is missing.`)
    return value.replace(/\/+$/, '')
  }
  const [url, sandboxUrl, publicUrl, rootKey] = ['STEPCAST_URL', 'STEPCAST_SANDBOX_URL', 'STEPCAST_PUBLIC_URL', 'STEPCAST_ROOT_KEY'].map(
    need,
  ) as [string, string, string, string]
  const demo = await ensureDemoWorkspace(home, url, rootKey)
  const file = join(home, 'dev.env')
  if (demo === null) return `The workspace "demo" exists already and its keys are not in ${home}: nothing is wired.`
  await registerPhones(sandboxUrl, demo)
  await connectProviders({ url, publicUrl, ...demo, sandboxUrl, accounts: keptAccounts(home) })
  writePrivately(
    file,
    devEnvText({
      STEPCAST_URL: publicUrl,
      STEPCAST_WORKSPACE_ID: demo.workspaceId,
      STEPCAST_API_KEY: demo.apiKey,
      STEPCAST_SIGNING_KID: demo.signingKid,
      STEPCAST_SIGNING_SECRET: demo.signingSecret,
    }),
  )
  return `The workspace "demo" sends to the sandbox; its keys are in ${file}.`
}

const [home] = process.argv.slice(2)
wire(home ?? '/data', process.env).then(
  (line) => console.log(line),
  (error: Error) => {
    console.error(error.message)
    process.exit(1)
  },
)
