// Makes sure that what this process started does not outlive it, even when it is killed with SIGKILL.
import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'

/** How long programs get to stop by themselves once their parent is gone, in seconds. */
const stopSeconds = 10

/**
 * A shell that keeps the list of running programs. Its input ends when our process ends, however that happens; then it stops
 * what is still on the list. A shell and not Node because it waits for weeks and must cost nothing.
 */
const script = `
trap '' INT HUP TERM
list=
while read -r change pid signal; do
  case $change in
    +) list="$list $pid:$signal" ;;
    -) rest=; for entry in $list; do [ "\${entry%%:*}" = "$pid" ] || rest="$rest $entry"; done; list=$rest ;;
  esac
done
for entry in $list; do kill -CONT "\${entry%%:*}"; kill -"\${entry##*:}" "\${entry%%:*}"; done
waited=0
while [ $waited -lt ${stopSeconds} ]; do
  alive=
  for entry in $list; do kill -0 "\${entry%%:*}" && alive=yes; done
  [ -z "$alive" ] && exit 0
  sleep 1
  waited=$((waited + 1))
done
for entry in $list; do kill -KILL "\${entry%%:*}"; done
`

let shell: ChildProcess | undefined

function tell(line: string): void {
  if (shell === undefined) {
    shell = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    // A guard that could not be started or was killed leaves us without its service, not without the system.
    shell.on('error', () => undefined)
    shell.stdin?.on('error', () => undefined)
    shell.unref()
    const input = shell.stdin as Socket | null
    input?.unref()
  }
  shell.stdin?.write(`${line}\n`)
}

/** Promises that the process is stopped by the given signal when our own process ends. */
export function guard(pid: number, stopSignal: NodeJS.Signals): void {
  tell(`+ ${pid} ${stopSignal.slice('SIG'.length)}`)
}

/** Takes the promise back: the process has ended. */
export function unguard(pid: number): void {
  tell(`- ${pid}`)
}
