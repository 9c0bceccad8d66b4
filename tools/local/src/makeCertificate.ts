// For containers: makes the certificate of the provider sandbox's TLS address in a directory that sandbox and push dispatcher share.
import { sandboxCertificate } from './certificate'

const [home, ...names] = process.argv.slice(2)

if (home === undefined || names.length === 0) {
  console.error('Give a directory, and the names by which the sandbox is reached.')
  process.exit(1)
}
sandboxCertificate(home, names).then(
  ({ certFile }) => console.log(`${certFile} is good for ${names.join(', ')}.`),
  (error: Error) => {
    console.error(error.message)
    process.exit(1)
  },
)
